// Row statistics for softmax and the losses, and sums of row values to one scalar, in fixed trees.
#pragma once

#include "gpu/ops/convert.cuh"
#include "gpu/ops/reduce.cuh"

namespace forgecheck::gpu {

struct MaxAndExpSum {
  float maximum;
  float sum;  // of exp(x - maximum)

  __device__ float log_sum_exp() const { return maximum + logf(sum); }
};

/// Over elements 0 .. width - 1 of the team's row x. Every thread of the block must call this; a team without
/// a row passes width 0.
template <class T>
__device__ MaxAndExpSum max_and_exp_sum(const T* x, std::int64_t width, const Team& team, float* scratch) {
  float maximum = -INFINITY;
  for (std::int64_t j = team.rank; j < width; j += team.size) {
    maximum = larger(maximum, static_cast<float>(x[j]));
  }
  maximum = team_max(maximum, team, scratch);
  float sum = 0;
  for (std::int64_t j = team.rank; j < width; j += team.size) {
    sum += expf(static_cast<float>(x[j]) - maximum);
  }
  return {maximum, team_sum(sum, team, scratch)};
}

/// Threads of the single block that adds up n values.
constexpr int tree_threads(std::int64_t n) {
  constexpr std::int64_t kMost = 256;
  return static_cast<int>(std::clamp<std::int64_t>(blocks_for(n, kWarp) * kWarp, kWarp, kMost));
}

/// value(0) + .. + value(n - 1), summed by the block and returned in every thread.
template <class V, class F>
__device__ V block_sum_of(std::int64_t n, V* scratch, F value) {
  V sum = 0;
  for (std::int64_t i = threadIdx.x; i < n; i += blockDim.x) sum += value(i);
  return block_sum(sum, scratch);
}

/// out (rows): logsumexp(row)^2; logsumexp and the square are each rounded to R.
template <class R, class T>
__global__ void square_log_sum_exp(std::int64_t rows, std::int64_t width, float* out, const T* x) {
  const Team team = team_of_thread(width);
  const MaxAndExpSum row =
      max_and_exp_sum(x + team.row * width, team.row < rows ? width : 0, team, shared_memory<float>());
  if (team.row >= rows || team.rank != 0) return;
  const float log_sum_exp = rounded<R>(row.log_sum_exp());
  out[team.row] = rounded<R>(log_sum_exp * log_sum_exp);
}

/// One block: factor * mean of n values; the mean is rounded to R.
template <class R>
__global__ void scaled_mean(std::int64_t n, float* out, const float* values, float factor) {
  const float sum = block_sum_of(n, shared_memory<float>(), [=](std::int64_t i) { return values[i]; });
  if (threadIdx.x == 0) *out = factor * rounded<R>(sum / static_cast<float>(n));
}

/// factor * mean over the rows of logsumexp(row)^2; logsumexp, the square and the mean are each
/// rounded to R.
template <class R, class T>
DeviceTensor<float> mean_square_log_sum_exp(Device& device, const DeviceTensor<T>& x, float factor) {
  const std::int64_t rows = x.rows();
  const DeviceTensor<float> squares = device.make<float>({rows}, "squares of logsumexp");
  launch_teams(device, "square_log_sum_exp", square_log_sum_exp<R, T>, rows, x.width(), squares.get(),
               x.get());
  DeviceTensor<float> out = device.make<float>({}, "mean square of logsumexp");
  launch(device, "scaled_mean", scaled_mean<R>, 1, tree_threads(rows), kWarp * sizeof(float), rows, out.get(),
         squares.get(), factor);
  return out;
}

}  // namespace forgecheck::gpu
