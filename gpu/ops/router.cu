#include "gpu/ops/router.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "gpu/ops/elementwise.cuh"
#include "gpu/ops/log_sum_exp.cuh"
#include "gpu/ops/ranks.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

template <class T>
__global__ void softmax_rows(std::int64_t rows, std::int64_t width, T* scores, const T* logits) {
  const Team team = team_of_thread(width);
  const std::int64_t end = team.row < rows ? width : 0, first = team.row * width;
  const MaxAndExpSum row = max_and_exp_sum(logits + first, end, team, shared_memory<float>());
  for (std::int64_t e = team.rank; e < end; e += team.size) {
    scores[first + e] = T(expf(static_cast<float>(logits[first + e]) - row.maximum) / row.sum);
  }
}

template <class T>
__global__ void biased_sigmoid(std::int64_t n, T* scores, const T* logits, const T* expert_bias,
                               std::int64_t num_experts) {
  for_each_element(n, [=](std::int64_t i) {
    const float bias = expert_bias[i % num_experts];
    scores[i] = T(sigmoid(rounded<T>(static_cast<float>(logits[i]) + bias)));
  });
}

/// Whether score a ranks before score b of the same row: numbers before NaN, larger before smaller, lower
/// index before higher. A total order, so no two scores of a row share a rank.
__device__ bool ranks_before(float a, std::int64_t index_a, float b, std::int64_t index_b) {
  const bool a_is_nan = a != a, b_is_nan = b != b;
  if (a_is_nan != b_is_nan) return b_is_nan;
  if (a > b || a < b) return a > b;
  return index_a < index_b;
}

/// One thread per score, n in all: a score with fewer than k before it in its row is stored at that rank.
template <class T>
__global__ void place_largest(std::int64_t n, std::int64_t* indices, const T* scores, std::int64_t width,
                              std::int64_t k) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const std::int64_t row = i / width, own = i % width;
  const float score = scores[i];
  std::int64_t rank = 0;
  for (std::int64_t other = 0; other < width && rank < k; ++other) {
    if (ranks_before(scores[row * width + other], other, score, own)) ++rank;
  }
  if (rank < k) indices[row * k + rank] = own;
}

/// One thread per token.
template <class T>
__global__ void normalise_choices(std::int64_t tokens, T* weights, const T* scores,
                                  const std::int64_t* indices, std::int64_t num_experts, std::int64_t k) {
  for_each_element(tokens, [=](std::int64_t n) {
    const T* row = scores + n * num_experts;
    const std::int64_t* chosen = indices + n * k;
    float sum = 0;
    for (std::int64_t slot = 0; slot < k; ++slot) sum += static_cast<float>(row[chosen[slot]]);
    sum = rounded<T>(sum);
    for (std::int64_t slot = 0; slot < k; ++slot) {
      weights[n * k + slot] = T(static_cast<float>(row[chosen[slot]]) / sum);
    }
  });
}

/// One block per expert: mean over the tokens of its scores (N, E).
template <class T>
__global__ void mean_scores(std::int64_t tokens, std::int64_t num_experts, float* means, const T* scores) {
  const std::int64_t expert = blockIdx.x;
  const float sum = block_sum_of(tokens, shared_memory<float>(), [=](std::int64_t n) {
    return static_cast<float>(scores[n * num_experts + expert]);
  });
  if (threadIdx.x == 0) means[expert] = rounded<T>(sum / static_cast<float>(tokens));
}

/// The sum of all counts, plus epsilon. They are few: every thread adds them up.
__device__ float assignments(const std::int64_t* counts, std::int64_t num_experts, double epsilon) {
  std::int64_t total = 0;
  for (std::int64_t e = 0; e < num_experts; ++e) total += counts[e];
  return static_cast<float>(static_cast<double>(total) + epsilon);
}

/// One block.
__global__ void balance(std::int64_t num_experts, float* loss, const float* means, const std::int64_t* counts,
                        double epsilon) {
  const float all = assignments(counts, num_experts, epsilon);
  const float sum = block_sum_of(num_experts, shared_memory<float>(), [=](std::int64_t e) {
    return static_cast<float>(counts[e]) / all * means[e];
  });
  if (threadIdx.x == 0) *loss = static_cast<float>(num_experts) * sum;
}

template <class T>
__global__ void step_state(std::int64_t num_experts, T* expert_ema, T* expert_bias,
                           const std::int64_t* counts, float rate) {
  constexpr double kEmaDecay = 0.99;
  const float all = assignments(counts, num_experts, 1e-8);
  const float target = static_cast<float>(1.0 / static_cast<double>(num_experts));
  for_each_element(num_experts, [=](std::int64_t e) {
    // 1. moving average of the share of assignments
    const float utilization = rounded<T>(static_cast<float>(counts[e]) / all);
    const float old = expert_ema[e];
    const float ema = rounded<T>(old + (utilization - old) * static_cast<float>(1.0 - kEmaDecay));
    expert_ema[e] = T(ema);
    // 2. push the bias towards equal shares
    expert_bias[e] = T(static_cast<float>(expert_bias[e]) + rate * (target - ema));
  });
}

}  // namespace

template <class T>
DeviceTensor<T> softmax_scores(Device& device, const DeviceTensor<T>& logits) {
  DeviceTensor<T> scores = device.make<T>(logits.shape, "router scores");
  launch_teams(device, "softmax_scores", softmax_rows<T>, logits.rows(), logits.width(), scores.get(),
               logits.get());
  return scores;
}

template <class T>
DeviceTensor<T> sigmoid_scores(Device& device, const DeviceTensor<T>& logits,
                               const DeviceTensor<T>& expert_bias) {
  require_shape("[router] expert_bias", expert_bias.shape, {logits.width()});
  DeviceTensor<T> scores = device.make<T>(logits.shape, "router scores");
  launch_elementwise(device, "sigmoid_scores", biased_sigmoid<T>, scores.size(), scores.get(), logits.get(),
                     expert_bias.get(), logits.width());
  return scores;
}

template <class T>
DeviceTensor<std::int64_t> top_k(Device& device, const DeviceTensor<T>& scores, std::int64_t k) {
  if (k > scores.width()) {
    throw ShapeError("[top_k] k = " + std::to_string(k) + " of " + std::to_string(scores.width()) +
                     " scores");
  }
  DeviceTensor<std::int64_t> indices = device.make<std::int64_t>({scores.rows(), k}, "indices of top_k");
  constexpr int kThreads = 128;
  launch(device, "top_k", place_largest<T>, blocks_for(scores.size(), kThreads), kThreads, 0, scores.size(),
         indices.get(), scores.get(), scores.width(), k);
  return indices;
}

template <class T>
DeviceTensor<T> routing_weights(Device& device, const DeviceTensor<T>& scores,
                                const DeviceTensor<std::int64_t>& indices) {
  DeviceTensor<T> weights = device.make<T>(indices.shape, "routing weights");
  launch_elementwise(device, "routing_weights", normalise_choices<T>, indices.rows(), weights.get(),
                     scores.get(), indices.get(), scores.width(), indices.width());
  return weights;
}

DeviceTensor<std::int64_t> assignments_per_expert(Device& device, const DeviceTensor<std::int64_t>& indices,
                                                  std::int64_t num_experts) {
  return count_keys(device, indices.reshaped({indices.size(), 1}), num_experts).reshaped({num_experts});
}

template <class T>
DeviceTensor<float> balance_loss(Device& device, const DeviceTensor<T>& scores,
                                 const DeviceTensor<std::int64_t>& counts, double epsilon) {
  const std::int64_t tokens = scores.rows(), num_experts = scores.width();
  require_shape("[balance_loss] counts", counts.shape, {num_experts});
  const DeviceTensor<float> means = device.make<float>({num_experts}, "mean scores");
  launch(device, "mean_scores", mean_scores<T>, num_experts, tree_threads(tokens), kWarp * sizeof(float),
         tokens, num_experts, means.get(), scores.get());
  DeviceTensor<float> loss = device.make<float>({}, "balance loss");
  launch(device, "balance", balance, 1, tree_threads(num_experts), kWarp * sizeof(float), num_experts,
         loss.get(), means.get(), counts.get(), epsilon);
  return loss;
}

template <class T>
DeviceTensor<float> router_z_loss(Device& device, const DeviceTensor<T>& logits) {
  return mean_square_log_sum_exp<T>(device, logits, 1.0F);
}

double effective_bias_rate(BiasSchedule schedule, MoeStep at) {
  constexpr double kRate = 0.001;
  const double progress =
      static_cast<double>(at.step) / static_cast<double>(std::max<std::int64_t>(at.max_steps, 1));
  switch (schedule) {
    case BiasSchedule::constant:
      return kRate;
    case BiasSchedule::cosine_decay:
      return kRate * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    case BiasSchedule::linear_warmup:
      return kRate * std::min(1.0, progress * 10.0);
  }
  throw_not_an_enumerator("moe_bias_schedule", schedule);
}

template <class T>
void update_router_state(Device& device, const DeviceTensor<T>& expert_ema,
                         const DeviceTensor<T>& expert_bias, const DeviceTensor<std::int64_t>& counts,
                         double rate) {
  require_shape("[router] expert_ema", expert_ema.shape, counts.shape);
  require_shape("[router] expert_bias", expert_bias.shape, counts.shape);
  launch_elementwise(device, "update_router_state", step_state<T>, counts.size(), expert_ema.get(),
                     expert_bias.get(), counts.get(), static_cast<float>(rate));
}

#define INSTANTIATE(T)                                                                              \
  template DeviceTensor<T> softmax_scores(Device&, const DeviceTensor<T>&);                         \
  template DeviceTensor<T> sigmoid_scores(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&); \
  template DeviceTensor<std::int64_t> top_k(Device&, const DeviceTensor<T>&, std::int64_t);         \
  template DeviceTensor<T> routing_weights(Device&, const DeviceTensor<T>&,                         \
                                           const DeviceTensor<std::int64_t>&);                      \
  template DeviceTensor<float> balance_loss(Device&, const DeviceTensor<T>&,                        \
                                            const DeviceTensor<std::int64_t>&, double);             \
  template DeviceTensor<float> router_z_loss(Device&, const DeviceTensor<T>&);                      \
  template void update_router_state(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&,        \
                                    const DeviceTensor<std::int64_t>&, double);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
