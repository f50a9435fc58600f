// Expert-choice routing: each expert chooses its tokens. Source: kempnerforge/model/moma.py; Zhou et al. 2022
// (expert choice), Lin et al. 2024 (MoMa). n tokens of one modality, E experts, k_e tokens for each.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// k_e = min(max(1, ceil(capacity_factor * n)), n), the product in double. 0 for no tokens.
std::int64_t tokens_per_expert(std::int64_t tokens, double capacity_factor);

/// scores (n, E) = sigmoid(logits + noise); noise (n, E) is null outside training. The sum is rounded, then
/// the sigmoid.
template <class T>
DeviceTensor<T> expert_choice_scores(Device& device, const DeviceTensor<T>& logits,
                                     const DeviceTensor<T>* noise);

/// out (columns, rows) of x (rows, columns).
template <class T>
DeviceTensor<T> transpose(Device& device, const DeviceTensor<T>& x);

/// out (E, k_e): scores[e, indices[e, i]] of scores (E, n) and indices (E, k_e).
template <class T>
DeviceTensor<T> gather_scores(Device& device, const DeviceTensor<T>& scores,
                              const DeviceTensor<std::int64_t>& indices);

/// out (n, D): each token's sum of score * expert output over the experts that chose it, in order of expert
/// index; 0 for a token that none chose. expert_outputs (E * k_e, D), scores and indices (E, k_e); an expert
/// chooses a token at most once. The product is rounded, then the sum.
template <class T>
DeviceTensor<T> combine_chosen(Device& device, const DeviceTensor<T>& expert_outputs,
                               const DeviceTensor<T>& scores, const DeviceTensor<std::int64_t>& indices,
                               std::int64_t tokens);

}  // namespace forgecheck::gpu
