// Token-choice routing: each token chooses k experts. Source: kempnerforge/model/router.py; Fedus et al. 2021
// (Switch), Jiang et al. 2024 (Mixtral), DeepSeek-AI 2024 (sigmoid scores, bias balancing), Zoph et al. 2022
// (z-loss). N tokens, E experts, k choices per token. Scalars are float tensors of shape {}.
#pragma once

#include "gpu/runtime/device.h"
#include "reference/config.h"
#include "reference/options.h"

namespace forgecheck::gpu {

/// scores (N, E) = softmax(logits) over the experts. Rounded once.
template <class T>
DeviceTensor<T> softmax_scores(Device& device, const DeviceTensor<T>& logits);

/// scores (N, E) = sigmoid(logits + expert_bias), expert_bias (E). The sum is rounded, then the sigmoid.
template <class T>
DeviceTensor<T> sigmoid_scores(Device& device, const DeviceTensor<T>& logits,
                               const DeviceTensor<T>& expert_bias);

/// indices (N, k) of the k largest scores of each row, largest first; equal scores: lower index first. NaN
/// comes after every number. Throws ShapeError if a row has fewer than k scores.
template <class T>
DeviceTensor<std::int64_t> top_k(Device& device, const DeviceTensor<T>& scores, std::int64_t k);

/// weights (N, k): the scores at `indices`, divided by their sum over the k slots. The sum is rounded, then
/// each quotient.
template <class T>
DeviceTensor<T> routing_weights(Device& device, const DeviceTensor<T>& scores,
                                const DeviceTensor<std::int64_t>& indices);

/// counts (E): how often each expert occurs in `indices` (N, k).
DeviceTensor<std::int64_t> assignments_per_expert(Device& device, const DeviceTensor<std::int64_t>& indices,
                                                  std::int64_t num_experts);

/// E * sum_e f_e p_e with p_e = mean over tokens of scores (rounded), f_e = counts_e / (assignments +
/// epsilon). The softmax router takes epsilon 0, the sequence loss of the sigmoid router 1e-8. NaN without
/// tokens.
template <class T>
DeviceTensor<float> balance_loss(Device& device, const DeviceTensor<T>& scores,
                                 const DeviceTensor<std::int64_t>& counts, double epsilon);

/// mean over tokens of logsumexp(logits)^2, logits (N, E) before any bias. logsumexp, the square and the mean
/// are each rounded. NaN without tokens.
template <class T>
DeviceTensor<float> router_z_loss(Device& device, const DeviceTensor<T>& logits);

/// 0.001, times 0.5 (1 + cos(pi step / max_steps)) or min(1, 10 step / max_steps), by the schedule; max_steps
/// below 1 counts as 1.
double effective_bias_rate(BiasSchedule schedule, MoeStep at);

/// One training step of the sigmoid router's state, in place; expert_ema and expert_bias are (E):
///   u_e = counts_e / (assignments + 1e-8),  ema += (u - ema) (1 - 0.99),  bias += rate (1/E - ema)
/// u, ema and bias are each rounded.
template <class T>
void update_router_state(Device& device, const DeviceTensor<T>& expert_ema,
                         const DeviceTensor<T>& expert_bias, const DeviceTensor<std::int64_t>& counts,
                         double rate);

}  // namespace forgecheck::gpu
