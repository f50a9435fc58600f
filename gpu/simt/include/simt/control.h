// Controlling the emulator, and reading what it found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace simt {

/// The seed of every order that CUDA leaves open: threads, warps, blocks, streams. The first one is the
/// environment variable FORGECHECK_SIMT_SEED, or 0.
void set_seed(std::uint64_t seed);
std::uint64_t seed();

/// One mistake that the emulator found.
struct Finding {
  std::string kind;     // "race", "out of bounds", "divergent barrier", ...
  std::string message;  // with kernel, block, thread, allocation and source line, as far as known
};

/// Since the start of the program or clear_findings(); the newest is last.
const std::vector<Finding>& findings();
void clear_findings();

/// An allocation that was not freed.
struct Leak {
  const void* pointer;
  std::size_t bytes;
  std::uint64_t number;  // of the allocation, counted from 1
};
/// Device memory and pinned host memory that is allocated now, oldest first.
std::vector<Leak> allocations();

/// Bytes that cudaMalloc may hand out; 16 GiB at the start.
void set_memory_limit(std::size_t bytes);

}  // namespace simt
