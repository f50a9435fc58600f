#include "reference/ops/moe.h"

#include <algorithm>
#include <cmath>

#include "reference/instantiate.h"

namespace forgecheck {

std::int64_t expert_capacity(std::int64_t tokens, std::int64_t top_k, std::int64_t num_experts,
                             double capacity_factor) {
  const double assignments = static_cast<double>(tokens * top_k);
  const double capacity = std::ceil(assignments / static_cast<double>(num_experts) * capacity_factor);
  if (capacity >= assignments) return std::max<std::int64_t>(1, tokens * top_k);
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(capacity));
}

template <class T>
void apply_capacity(Tensor<T>& weights, const Tensor<std::int64_t>& indices, std::int64_t num_experts,
                    std::int64_t capacity) {
  for (std::int64_t slot = 0; slot < indices.width(); ++slot) {
    std::vector<std::int64_t> taken(static_cast<std::size_t>(num_experts));
    for (std::int64_t n = 0; n < indices.rows(); ++n) {
      const std::int64_t expert = indices.row(n)[static_cast<std::size_t>(slot)];
      if (++taken[static_cast<std::size_t>(expert)] > capacity) weights.row(n)[slot] = T(0);
    }
  }
}

double gradient_scale(std::int64_t assignments, std::int64_t num_experts, std::int64_t count) {
  const double average = static_cast<double>(assignments) / static_cast<double>(num_experts);
  return average / static_cast<double>(std::max<std::int64_t>(count, 1));
}

std::vector<Assignment> assignments_of(const Tensor<std::int64_t>& indices, std::int64_t expert) {
  std::vector<Assignment> found;
  for (std::int64_t n = 0; n < indices.rows(); ++n) {
    for (std::int64_t slot = 0; slot < indices.width(); ++slot) {
      if (indices.row(n)[static_cast<std::size_t>(slot)] == expert) found.push_back({n, slot});
    }
  }
  return found;
}

template <class T>
void combine(Tensor<T>& out, const Tensor<T>& expert_output, const Tensor<T>& weights,
             const std::vector<Assignment>& assignments) {
  using C = compute_t<T>;
  for (std::size_t a = 0; a < assignments.size(); ++a) {
    const auto [token, slot] = assignments[a];
    const C weight = widen(weights.row(token)[slot]);
    const auto contribution = expert_output.row(static_cast<std::int64_t>(a));
    for (std::int64_t j = 0; j < out.width(); ++j) {
      const C product = round_to<T>(weight * widen(contribution[j]));
      out.row(token)[j] = T(partial_sum(out.row(token)[j]) + product);
    }
  }
}

template <class T>
Tensor<T> scale(const Tensor<T>& x, double factor) {
  Tensor<T> out(x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    out[i] = T(widen(x[i]) * static_cast<compute_t<T>>(factor));
  }
  return out;
}

FORGECHECK_INSTANTIATE(apply_capacity);
FORGECHECK_INSTANTIATE(combine);
FORGECHECK_INSTANTIATE(scale);

}  // namespace forgecheck
