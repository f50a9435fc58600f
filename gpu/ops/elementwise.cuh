// Elementwise kernels: how the elements are spread over threads.
#pragma once

#include <algorithm>

#include "gpu/runtime/launch.h"

namespace forgecheck::gpu {

inline constexpr int kElementsPerThread = 8;

/// Calls f(i) once for each i in 0 .. n - 1; neighbouring threads take neighbouring elements.
template <class F>
__device__ void for_each_element(std::int64_t n, F f) {
  std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x * kElementsPerThread + threadIdx.x;
  for (int step = 0; step < kElementsPerThread && i < n; ++step, i += blockDim.x) f(i);
}

/// Launches `kernel`, which calls for_each_element(n, ...), with as many threads as n elements need.
template <class... Parameters, class... Arguments>
void launch_elementwise(Device& device, const char* name, void (*kernel)(Parameters...), std::int64_t n,
                        Arguments&&... arguments) {
  constexpr std::int64_t kMostThreads = 256;
  const std::int64_t warps = blocks_for(n, kWarp * kElementsPerThread);
  const std::int64_t threads = std::clamp<std::int64_t>(warps * kWarp, kWarp, kMostThreads);
  launch(device, name, kernel, blocks_for(n, threads * kElementsPerThread), static_cast<int>(threads), 0, n,
         std::forward<Arguments>(arguments)...);
}

}  // namespace forgecheck::gpu
