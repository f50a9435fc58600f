// The address that an instruction was about to access, for faults where the system does not report it.
#pragma once

#include <ucontext.h>

#include <cstdint>

namespace simt {

/// The address of the memory operand of the SSE instruction at which the context stopped. Null for any other
/// instruction, or if the processor is not x86-64.
const void* memory_operand(const ucontext_t& context);

/// Whether the address is canonical: x86-64 uses 48 bits of it, and repeats the highest one.
inline bool is_canonical(const void* address) {
  const auto bits = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(address));
  return bits >> 47 == 0 || bits >> 47 == -1;
}

}  // namespace simt
