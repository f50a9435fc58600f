// Guard bands: bytes before and after a buffer that must not change.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace forgecheck::gpu {

class Device;

inline constexpr std::size_t kGuardBytes = 256;

/// Bytes of a block that holds `bytes` between two bands.
constexpr std::size_t guarded_size(std::size_t bytes) {
  const std::size_t whole = (bytes + kGuardBytes - 1) / kGuardBytes * kGuardBytes;
  return kGuardBytes + whole + kGuardBytes;
}

/// Fills the bands of a fresh block on `stream`, and the buffer between them with NaN. The second band begins
/// at the first byte after the buffer.
void lay_guards(unsigned char* block, std::size_t bytes, cudaStream_t stream);

/// Lowers *first_broken to `number` if a band of the block was changed; runs on the device's stream.
void check_guards(Device& device, const unsigned char* block, std::size_t bytes, std::uint64_t number,
                  unsigned long long* first_broken);

}  // namespace forgecheck::gpu
