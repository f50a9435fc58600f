#include "gpu/ops/expert_choice.h"

#include <algorithm>
#include <cmath>

#include "gpu/ops/convert.cuh"
#include "gpu/ops/elementwise.cuh"

namespace forgecheck::gpu {

namespace {

/// noise may be null.
template <class T>
__global__ void noisy_sigmoid(std::int64_t n, T* scores, const T* logits, const T* noise) {
  for_each_element(n, [=](std::int64_t i) {
    float logit = logits[i];
    if (noise != nullptr) logit = rounded<T>(logit + static_cast<float>(noise[i]));
    scores[i] = T(sigmoid(logit));
  });
}

/// out (columns, rows) has n elements.
template <class T>
__global__ void transpose_elements(std::int64_t n, T* out, const T* x, std::int64_t rows,
                                   std::int64_t columns) {
  for_each_element(n, [=](std::int64_t i) { out[i] = x[i % rows * columns + i / rows]; });
}

/// The scores (E, tokens) of n choices.
template <class T>
__global__ void gather_chosen(std::int64_t n, T* out, const T* scores, const std::int64_t* indices,
                              std::int64_t chosen, std::int64_t tokens) {
  for_each_element(n, [=](std::int64_t i) { out[i] = scores[i / chosen * tokens + indices[i]]; });
}

/// choices (E, tokens): the number, counted from 1, of the choice by which the expert took the token.
__global__ void invert_choices(std::int64_t n, std::int64_t* choices, const std::int64_t* indices,
                               std::int64_t chosen, std::int64_t tokens) {
  for_each_element(n, [=](std::int64_t i) { choices[i / chosen * tokens + indices[i]] = i + 1; });
}

/// One block per token; its threads share the columns. Choice 0 means none.
template <class T>
__global__ void add_choices(T* out, const T* expert_outputs, const T* scores, const std::int64_t* choices,
                            std::int64_t num_experts, std::int64_t width) {
  const std::int64_t token = blockIdx.x, tokens = gridDim.x;
  for (std::int64_t j = threadIdx.x; j < width; j += blockDim.x) {
    float sum = 0;
    for (std::int64_t e = 0; e < num_experts; ++e) {
      const std::int64_t choice = choices[e * tokens + token];
      if (choice == 0) continue;
      sum = add_product<T>(sum, scores[choice - 1], expert_outputs[(choice - 1) * width + j]);
    }
    out[token * width + j] = T(sum);
  }
}

}  // namespace

std::int64_t tokens_per_expert(std::int64_t tokens, double capacity_factor) {
  const double wanted = std::ceil(capacity_factor * static_cast<double>(tokens));
  if (wanted >= static_cast<double>(tokens)) return tokens;
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(wanted));
}

template <class T>
DeviceTensor<T> expert_choice_scores(Device& device, const DeviceTensor<T>& logits,
                                     const DeviceTensor<T>* noise) {
  if (noise != nullptr) require_shape("[expert_choice] noise", noise->shape, logits.shape);
  DeviceTensor<T> scores = device.make<T>(logits.shape, "expert choice scores");
  const T* added = noise != nullptr ? noise->get() : nullptr;
  launch_elementwise(device, "expert_choice_scores", noisy_sigmoid<T>, scores.size(), scores.get(),
                     logits.get(), added);
  return scores;
}

template <class T>
DeviceTensor<T> transpose(Device& device, const DeviceTensor<T>& x) {
  const std::int64_t rows = x.dim(0), columns = x.dim(1);
  DeviceTensor<T> out = device.make<T>({columns, rows}, "transpose");
  launch_elementwise(device, "transpose", transpose_elements<T>, out.size(), out.get(), x.get(), rows,
                     columns);
  return out;
}

template <class T>
DeviceTensor<T> gather_scores(Device& device, const DeviceTensor<T>& scores,
                              const DeviceTensor<std::int64_t>& indices) {
  require_shape("[expert_choice] experts of the indices", {indices.dim(0)}, {scores.dim(0)});
  DeviceTensor<T> out = device.make<T>(indices.shape, "chosen scores");
  launch_elementwise(device, "gather_scores", gather_chosen<T>, out.size(), out.get(), scores.get(),
                     indices.get(), indices.dim(1), scores.dim(1));
  return out;
}

template <class T>
DeviceTensor<T> combine_chosen(Device& device, const DeviceTensor<T>& expert_outputs,
                               const DeviceTensor<T>& scores, const DeviceTensor<std::int64_t>& indices,
                               std::int64_t tokens) {
  const std::int64_t num_experts = indices.dim(0), chosen = indices.dim(1), width = expert_outputs.width();
  require_shape("[expert_choice] scores", scores.shape, indices.shape);
  require_shape("[expert_choice] expert_outputs", expert_outputs.shape, {indices.size(), width});
  // 1. invert the choices: which experts chose each token
  const DeviceTensor<std::int64_t> choices =
      device.make<std::int64_t>({num_experts, tokens}, "choices of the experts");
  FORGECHECK_CUDA(cudaMemsetAsync(
      choices.get(), 0, static_cast<std::size_t>(choices.size()) * sizeof(std::int64_t), device.stream()));
  launch_elementwise(device, "invert_choices", invert_choices, indices.size(), choices.get(), indices.get(),
                     chosen, tokens);
  // 2. each token's sum
  DeviceTensor<T> out = device.make<T>({tokens, width}, "combined experts");
  constexpr std::int64_t kMostThreads = 256;
  const std::int64_t threads = std::min(blocks_for(width, kWarp) * kWarp, kMostThreads);
  launch(device, "combine_chosen", add_choices<T>, tokens, static_cast<int>(threads), 0, out.get(),
         expert_outputs.get(), scores.get(), choices.get(), num_experts, width);
  return out;
}

#define INSTANTIATE(T)                                                                                    \
  template DeviceTensor<T> expert_choice_scores(Device&, const DeviceTensor<T>&, const DeviceTensor<T>*); \
  template DeviceTensor<T> transpose(Device&, const DeviceTensor<T>&);                                    \
  template DeviceTensor<T> gather_scores(Device&, const DeviceTensor<T>&,                                 \
                                         const DeviceTensor<std::int64_t>&);                              \
  template DeviceTensor<T> combine_chosen(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&,        \
                                          const DeviceTensor<std::int64_t>&, std::int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
