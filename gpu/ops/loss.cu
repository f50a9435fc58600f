#include "gpu/ops/loss.h"

#include "gpu/ops/log_sum_exp.cuh"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// A row with this label does not count.
constexpr std::int64_t kIgnoreIndex = -100;

/// losses (rows): logsumexp(logits) - logits[label], 0 for an ignored label.
template <class T>
__global__ void row_losses(std::int64_t rows, std::int64_t width, float* losses, const T* logits,
                           const std::int64_t* labels) {
  const Team team = team_of_thread(width);
  const std::int64_t label = team.row < rows ? labels[team.row] : kIgnoreIndex;
  const bool counts = label != kIgnoreIndex;
  const T* own = logits + team.row * width;
  const MaxAndExpSum row = max_and_exp_sum(own, counts ? width : 0, team, shared_memory<float>());
  if (team.row >= rows || team.rank != 0) return;
  losses[team.row] = counts ? row.log_sum_exp() - static_cast<float>(own[label]) : 0.0F;
}

/// One block per chunk of rows: the sum of its losses, and how many labels count.
__global__ void add_chunks(std::int64_t rows, std::int64_t chunk_size, float* sums, std::int64_t* valid,
                           const float* losses, const std::int64_t* labels) {
  const std::int64_t begin = blockIdx.x * chunk_size, left = rows - begin;
  const std::int64_t length = left < chunk_size ? left : chunk_size;
  const float sum =
      block_sum_of(length, shared_memory<float>(), [=](std::int64_t i) { return losses[begin + i]; });
  const std::int64_t count = block_sum_of(length, shared_memory<std::int64_t>(), [=](std::int64_t i) {
    return std::int64_t{labels[begin + i] != kIgnoreIndex};
  });
  if (threadIdx.x != 0) return;
  sums[blockIdx.x] = sum;
  valid[blockIdx.x] = count;
}

/// One block: the mean over all labels that count.
__global__ void mean_of_chunks(std::int64_t chunks, float* mean, const float* sums,
                               const std::int64_t* valid) {
  const float sum = block_sum_of(chunks, shared_memory<float>(), [=](std::int64_t i) { return sums[i]; });
  const std::int64_t count =
      block_sum_of(chunks, shared_memory<std::int64_t>(), [=](std::int64_t i) { return valid[i]; });
  if (threadIdx.x == 0) *mean = count == 0 ? 0.0F : sum / static_cast<float>(count);
}

}  // namespace

template <class T>
DeviceTensor<float> cross_entropy(Device& device, const DeviceTensor<T>& logits,
                                  const DeviceTensor<std::int64_t>& labels) {
  return chunked_cross_entropy(device, logits, labels, std::max<std::int64_t>(1, logits.rows()));
}

template <class T>
DeviceTensor<float> chunked_cross_entropy(Device& device, const DeviceTensor<T>& logits,
                                          const DeviceTensor<std::int64_t>& labels, std::int64_t chunk_size) {
  const std::int64_t rows = logits.rows();
  require_shape("[cross_entropy] labels", {labels.size()}, {rows});
  if (chunk_size <= 0) {
    throw ShapeError("[cross_entropy] chunk_size = " + std::to_string(chunk_size) + ": must be positive");
  }
  constexpr std::size_t kScratch = kWarp * sizeof(std::int64_t);
  // 1. rows
  const DeviceTensor<float> losses = device.make<float>({rows}, "losses of the rows");
  launch_teams(device, "cross_entropy", row_losses<T>, rows, logits.width(), losses.get(), logits.get(),
               labels.get());
  // 2. chunks
  const std::int64_t longest = std::min(chunk_size, rows);
  const std::int64_t chunks = rows == 0 ? 0 : blocks_for(rows, longest);
  const DeviceTensor<float> sums = device.make<float>({chunks}, "losses of the chunks");
  const DeviceTensor<std::int64_t> valid = device.make<std::int64_t>({chunks}, "labels of the chunks");
  launch(device, "add_chunks", add_chunks, chunks, tree_threads(longest), kScratch, rows, longest, sums.get(),
         valid.get(), losses.get(), labels.get());
  // 3. mean
  DeviceTensor<float> mean = device.make<float>({}, "cross entropy");
  launch(device, "mean_of_chunks", mean_of_chunks, 1, tree_threads(chunks), kScratch, chunks, mean.get(),
         sums.get(), valid.get());
  return mean;
}

template <class T>
DeviceTensor<float> logit_z_loss(Device& device, const DeviceTensor<T>& logits, double weight) {
  if (weight != 0) return mean_square_log_sum_exp<float>(device, logits, static_cast<float>(weight));
  DeviceTensor<float> zero = device.make<float>({}, "logit z-loss");
  FORGECHECK_CUDA(cudaMemsetAsync(zero.get(), 0, sizeof(float), device.stream()));
  return zero;
}

#define INSTANTIATE(T)                                                                                 \
  template DeviceTensor<float> cross_entropy(Device&, const DeviceTensor<T>&,                          \
                                             const DeviceTensor<std::int64_t>&);                       \
  template DeviceTensor<float> chunked_cross_entropy(Device&, const DeviceTensor<T>&,                  \
                                                     const DeviceTensor<std::int64_t>&, std::int64_t); \
  template DeviceTensor<float> logit_z_loss(Device&, const DeviceTensor<T>&, double);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
