// Attention of many queries and keys at a time, with the bits of the plain loops.
#pragma once

#include <span>

#include "reference/arithmetic.h"
#include "reference/ops/mask.h"
#include "reference/tensor.h"

namespace forgecheck {

/// The visible keys' scores, scaled, become the weights of their values; returns the sum of the exponentials, by which a
/// context of Probabilities::rounded_undivided is divided at the end.
template <class T>
compute_t<T> softmax_in_place(std::span<compute_t<T>> scores, Probabilities probabilities);

/// As attention(), with its shapes and its bits. Not for sampled numbers, nor for values that are not finite: a hidden key's
/// value is multiplied by zero here.
template <class T>
Tensor<T> attention_in_blocks(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                              const AttentionMask& mask, Probabilities probabilities, bool backwards);

}  // namespace forgecheck
