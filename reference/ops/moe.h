// What happens to tokens between the router and the experts, and after the experts. Source:
// kempnerforge/model/moe.py. N tokens, E experts, k slots per token.
#pragma once

#include "reference/tensor.h"

namespace forgecheck {

/// max(1, ceil(N * k / E * capacity_factor)), in double from left to right.
std::int64_t expert_capacity(std::int64_t tokens, std::int64_t top_k, std::int64_t num_experts,
                             double capacity_factor);

/// Sets weights (N, k) to 0 past the capacity: in each slot separately, the first `capacity` tokens of an
/// expert keep their weight, later ones lose it. Nothing is renormalised.
template <class T>
void apply_capacity(Tensor<T>& weights, const Tensor<std::int64_t>& indices, std::int64_t num_experts,
                    std::int64_t capacity);

/// Factor on expert e's output under moe_gradient_scale in training: (N k / E) / max(count_e, 1).
double gradient_scale(std::int64_t assignments, std::int64_t num_experts, std::int64_t count);

/// One assignment of a token to an expert: which token, in which slot.
struct Assignment {
  std::int64_t token;
  std::int64_t slot;
};

/// The assignments of expert e in token order, dropped ones included.
std::vector<Assignment> assignments_of(const Tensor<std::int64_t>& indices, std::int64_t expert);

/// out[token] += weight * expert_output for each assignment of one expert. out (N, D), expert_output
/// (assignments, D). The product rounds, then the sum.
template <class T>
void combine(Tensor<T>& out, const Tensor<T>& expert_output, const Tensor<T>& weights,
             const std::vector<Assignment>& assignments);

/// x * factor, elementwise, rounded once.
template <class T>
Tensor<T> scale(const Tensor<T>& x, double factor);

}  // namespace forgecheck
