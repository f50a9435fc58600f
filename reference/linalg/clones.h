// Functions compiled for processors with AVX2 too, of which the program takes what the machine has. Neither fuses multiply and
// add: both have the same bits. The sanitizers run before a program can choose between the two.
#pragma once

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_ADDRESS__)
#define FORGECHECK_CLONES __attribute__((target_clones("avx2", "default")))
#else
#define FORGECHECK_CLONES
#endif
