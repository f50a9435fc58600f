// Token-choice routing: each token chooses k experts. Source: kempnerforge/model/router.py; Fedus et al. 2021
// (Switch), Jiang et al. 2024 (Mixtral), DeepSeek-AI 2024 (sigmoid scores, bias balancing), Zoph et al. 2022
// (z-loss). N tokens, E experts, k choices per token.
#pragma once

#include "reference/config.h"
#include "reference/options.h"
#include "reference/tensor.h"

namespace forgecheck {

/// scores (N, E) = softmax(logits) over the experts. Rounded once.
template <class T>
Tensor<T> softmax_scores(const Tensor<T>& logits);

/// scores (N, E) = sigmoid(logits + expert_bias), expert_bias (E). The sum rounds, then the sigmoid.
template <class T>
Tensor<T> sigmoid_scores(const Tensor<T>& logits, const Tensor<T>& expert_bias);

/// indices (N, k) of the k largest scores of each row, largest first; equal scores: lower index first (any
/// order in a sampled run).
template <class T>
Tensor<std::int64_t> top_k(const Tensor<T>& scores, std::int64_t k);

/// weights (N, k): the scores at `indices`, divided by their sum over the k slots. The sum rounds, then each
/// quotient.
template <class T>
Tensor<T> routing_weights(const Tensor<T>& scores, const Tensor<std::int64_t>& indices);

/// counts (E): how often each expert occurs in `indices` (N, k).
std::vector<std::int64_t> assignments_per_expert(const Tensor<std::int64_t>& indices,
                                                 std::int64_t num_experts);

/// E * sum_e f_e p_e with p_e = mean over tokens of scores (rounded), f_e = counts_e / (assignments +
/// epsilon). The softmax router takes epsilon 0, the sequence loss of the sigmoid router 1e-8.
template <class T>
compute_t<T> balance_loss(const Tensor<T>& scores, const std::vector<std::int64_t>& counts, double epsilon);

/// mean over tokens of logsumexp(logits)^2, logits (N, E) before any bias. Every step rounds, including those
/// of logsumexp (x - max, exp, sum, log, + max), as in torch.logsumexp.
template <class T>
compute_t<T> router_z_loss(const Tensor<T>& logits);

/// 0.001, times 0.5 (1 + cos(pi step / max)) or min(1, 10 step / max), depending on the schedule.
double effective_bias_rate(BiasSchedule schedule, MoeStep step);

/// One training step of the sigmoid router's state, in place; expert_ema and expert_bias are (E):
///   u_e = counts_e / (assignments + 1e-8),  ema += (u - ema) (1 - 0.99),  bias += rate (1/E - ema)
template <class T>
void update_router_state(Tensor<T>& expert_ema, Tensor<T>& expert_bias,
                         const std::vector<std::int64_t>& counts, double rate);

}  // namespace forgecheck
