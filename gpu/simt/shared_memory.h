// The shared memory of the running block.
#pragma once

#include <cstddef>

namespace simt {

constexpr std::size_t shared_bytes_default = std::size_t{48} << 10;
constexpr std::size_t shared_bytes_most = std::size_t{227} << 10;

/// New shared memory for a block: all bits set (NaN, and an index out of every bound), nothing of the
/// previous block. It ends at an inaccessible page.
void prepare_shared_memory(std::size_t bytes);

/// The offset of an address in or just past the shared memory, or -1.
std::ptrdiff_t shared_offset(const void* address);

std::size_t shared_size();

}  // namespace simt
