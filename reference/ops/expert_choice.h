// Expert-choice routing: each expert chooses its tokens. Source: kempnerforge/model/moma.py; Zhou et al. 2022
// (expert choice), Lin et al. 2024 (MoMa). n tokens of one modality, E experts.
#pragma once

#include "reference/tensor.h"

namespace forgecheck {

/// k_e = min(max(1, ceil(capacity_factor * n)), n), the product in double. 0 for no tokens.
std::int64_t tokens_per_expert(std::int64_t tokens, double capacity_factor);

/// scores (n, E) = sigmoid(logits + noise); noise (n, E) is null outside training. The sum rounds, then the
/// sigmoid.
template <class T>
Tensor<T> expert_choice_scores(const Tensor<T>& logits, const Tensor<T>* noise);

/// out (columns, rows) of x (rows, columns).
template <class T>
Tensor<T> transpose(const Tensor<T>& x);

/// out[token] += score * expert_output for the tokens of one expert. out (n, D), tokens and scores (k_e),
/// expert_output (k_e, D). The product rounds, then the sum.
template <class T>
void scatter_add(Tensor<T>& out, const Tensor<T>& expert_output, std::span<const T> scores,
                 const std::vector<std::int64_t>& tokens);

}  // namespace forgecheck
