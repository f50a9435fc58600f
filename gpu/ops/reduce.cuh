// Sums and maxima over the threads of a warp, of a block, or of the team that shares a row: fixed trees, so
// the same bits every time, in every thread.
#pragma once

#include <algorithm>
#include <cstdint>

#include "gpu/runtime/launch.h"

namespace forgecheck::gpu {

inline constexpr unsigned kAllLanes = 0xffffffffU;

/// Over aligned groups of `lanes` neighbouring lanes (1, 2, 4, .. 32). Every lane of the warp must call this.
template <class T>
__device__ T lanes_sum(T value, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, distance);
  }
  return value;
}

/// The larger of two; NaN is ignored.
template <class T>
__device__ T larger(T a, T b) {
  return a < b || a != a ? b : a;
}

template <class T>
__device__ T lanes_max(T value, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2) {
    value = larger(value, __shfl_xor_sync(kAllLanes, value, distance));
  }
  return value;
}

template <class T>
__device__ T warp_sum(T value) {
  return lanes_sum(value, kWarp);
}

template <class T>
__device__ T warp_max(T value) {
  return lanes_max(value, kWarp);
}

/// Over the block, whose size is a multiple of 32. scratch: kWarp elements of shared memory that may be
/// reused right away. Every thread must call this.
template <class T>
__device__ T block_sum(T value, T* scratch) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const T part = warp_sum(value);
  if (lane == 0) scratch[warp] = part;
  __syncthreads();
  T total = scratch[0];
  for (unsigned w = 1; w < warps; ++w) total += scratch[w];
  __syncthreads();  // all threads have read before scratch is written again
  return total;
}

template <class T>
__device__ T block_max(T value, T* scratch) {
  const unsigned lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp, warps = blockDim.x / kWarp;
  const T part = warp_max(value);
  if (lane == 0) scratch[warp] = part;
  __syncthreads();
  T largest = scratch[0];
  for (unsigned w = 1; w < warps; ++w) largest = larger(largest, scratch[w]);
  __syncthreads();  // all threads have read before scratch is written again
  return largest;
}

// Rows: a team of threads shares a row of `width` elements; thread `rank` of it takes elements rank,
// rank + size, ... Narrow rows have 1, 2, 4, .. 32 lanes of a warp, wide ones a whole block. The team depends
// on the width only, and so do the bits of a row's sum.

inline constexpr int kTeamBlock = 128;            // most threads of a block of teams
inline constexpr std::int64_t kTeamShare = 16;    // elements a thread takes before the team grows
inline constexpr std::int64_t kWarpWidth = 1024;  // widest row of a single warp

/// Threads that share a row of that width.
__host__ __device__ constexpr int team_size(std::int64_t width) {
  if (width > kWarpWidth) return kTeamBlock;
  int size = 1;
  while (size < kWarp && size * kTeamShare < width) size *= 2;
  return size;
}

struct Team {
  std::int64_t row;  // may be past the last one: the thread still has to take part in the sums
  int rank;
  int size;
};

/// The team of this thread.
__device__ inline Team team_of_thread(std::int64_t width) {
  const unsigned size = static_cast<unsigned>(team_size(width));
  const std::int64_t rows_before = static_cast<std::int64_t>(blockIdx.x) * (blockDim.x / size);
  return {rows_before + threadIdx.x / size, static_cast<int>(threadIdx.x % size), static_cast<int>(size)};
}

/// Over the team. scratch: kWarp elements of shared memory. Every thread of the block must call this.
template <class T>
__device__ T team_sum(T value, const Team& team, T* scratch) {
  return team.size <= kWarp ? lanes_sum(value, team.size) : block_sum(value, scratch);
}

template <class T>
__device__ T team_max(T value, const Team& team, T* scratch) {
  return team.size <= kWarp ? lanes_max(value, team.size) : block_max(value, scratch);
}

/// Launches kernel(rows, width, arguments...) with a team for each row, and scratch for floats.
template <class... Parameters, class... Arguments>
void launch_teams(Device& device, const char* name, void (*kernel)(Parameters...), std::int64_t rows,
                  std::int64_t width, Arguments&&... arguments) {
  const std::int64_t size = team_size(width);
  const std::int64_t threads =
      std::clamp<std::int64_t>(blocks_for(rows * size, kWarp) * kWarp, kWarp, kTeamBlock);
  launch(device, name, kernel, blocks_for(rows, threads / size), static_cast<int>(threads),
         kWarp * sizeof(float), rows, width, std::forward<Arguments>(arguments)...);
}

}  // namespace forgecheck::gpu
