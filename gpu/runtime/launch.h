// Launching a kernel, and its shared memory: the two things for which nvcc has its own syntax, so the only
// place where the builds for a device and for the emulator differ.
#pragma once

#include <string>
#include <utility>

#include "gpu/runtime/check.h"
#include "gpu/runtime/device.h"
#include "gpu/runtime/kernel_clock.h"
#include "reference/error.h"

namespace forgecheck::gpu {

inline constexpr int kWarp = 32;
/// Dynamic shared memory that every kernel may use; more must be requested.
inline constexpr std::size_t kPlainSharedBytes = std::size_t{48} << 10;
/// nvcc assumes that shared memory aligned to 16 bytes comes in multiples of 16: it may read an array of 8
/// bytes with one load of 16.
inline constexpr std::size_t kSharedUnit = 16;
inline constexpr std::int64_t kMaxGrid = (std::int64_t{1} << 31) - 1;

#ifdef __CUDACC__
/// The block's dynamic shared memory, aligned to 16 bytes.
template <class T>
__device__ T* shared_memory() {
  extern __shared__ __align__(16) unsigned char forgecheck_shared[];
  return reinterpret_cast<T*>(forgecheck_shared);
}
#elif defined(FORGECHECK_SIMT)
using simt::shared_memory;
#endif

#if defined(__CUDACC__) || defined(FORGECHECK_SIMT)
/// Launches `kernel` on the device's stream: `blocks` blocks of `threads` threads with `shared_bytes` each,
/// rounded up to a multiple of 16. Does nothing if blocks is 0. Throws CudaError naming the kernel if it
/// cannot be launched.
template <class... Parameters, class... Arguments>
void launch(Device& device, const char* name, void (*kernel)(Parameters...), std::int64_t blocks, int threads,
            std::size_t shared_bytes, Arguments&&... arguments) {
  if (blocks == 0) return;
  if (blocks > kMaxGrid) {
    throw CudaError(std::string("kernel ") + name + ": " + std::to_string(blocks) +
                    " blocks; at most 2^31 - 1 are allowed");
  }
  shared_bytes = (shared_bytes + kSharedUnit - 1) / kSharedUnit * kSharedUnit;
  if (shared_bytes > kPlainSharedBytes) {
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          name);
  }
  const KernelSpan timed(device, name);
  const dim3 grid(static_cast<unsigned>(blocks)), block(static_cast<unsigned>(threads));
#ifdef __CUDACC__
  kernel<<<grid, block, shared_bytes, device.stream()>>>(
      static_cast<Parameters>(std::forward<Arguments>(arguments))...);
  check(cudaGetLastError(), name);
#else
  check(simt::launch(kernel, grid, block, shared_bytes, device.stream(),
                     static_cast<Parameters>(std::forward<Arguments>(arguments))...),
        name);
#endif
}
#endif

/// ceil(n / d) for n >= 0, d > 0.
constexpr std::int64_t blocks_for(std::int64_t n, std::int64_t d) {
  return (n + d - 1) / d;
}

}  // namespace forgecheck::gpu
