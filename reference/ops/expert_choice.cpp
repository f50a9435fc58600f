#include "reference/ops/expert_choice.h"

#include <algorithm>
#include <cmath>

#include "reference/instantiate.h"

namespace forgecheck {

std::int64_t tokens_per_expert(std::int64_t tokens, double capacity_factor) {
  const double wanted = std::ceil(capacity_factor * static_cast<double>(tokens));
  if (wanted >= static_cast<double>(tokens)) return tokens;
  return std::min(tokens, std::max<std::int64_t>(1, static_cast<std::int64_t>(wanted)));
}

template <class T>
Tensor<T> expert_choice_scores(const Tensor<T>& logits, const Tensor<T>* noise) {
  using C = compute_t<T>;
  if (noise != nullptr) require_shape("[expert_choice] noise", noise->shape, logits.shape);
  Tensor<T> scores(logits.shape);
  for (std::int64_t i = 0; i < logits.size(); ++i) {
    C logit = widen(logits[i]);
    if (noise != nullptr) logit = round_to<T>(logit + widen((*noise)[i]));
    scores[i] = T(C(1) / (C(1) + exp(-logit)));
  }
  return scores;
}

template <class T>
Tensor<T> transpose(const Tensor<T>& x) {
  const std::int64_t rows = x.dim(0), columns = x.dim(1);
  Tensor<T> out({columns, rows});
  for (std::int64_t r = 0; r < rows; ++r) {
    for (std::int64_t c = 0; c < columns; ++c) out[c * rows + r] = x[r * columns + c];
  }
  return out;
}

template <class T>
void scatter_add(Tensor<T>& out, const Tensor<T>& expert_output, std::span<const T> scores,
                 const std::vector<std::int64_t>& tokens) {
  using C = compute_t<T>;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto contribution = expert_output.row(static_cast<std::int64_t>(i));
    const auto target = out.row(tokens[i]);
    for (std::size_t j = 0; j < target.size(); ++j) {
      const C product = round_to<T>(widen(scores[i]) * widen(contribution[j]));
      target[j] = T(partial_sum(target[j]) + product);
    }
  }
}

FORGECHECK_INSTANTIATE(expert_choice_scores);
FORGECHECK_INSTANTIATE(transpose);
FORGECHECK_INSTANTIATE(scatter_add);

}  // namespace forgecheck
