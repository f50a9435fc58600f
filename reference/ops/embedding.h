// Token embedding. Source: kempnerforge/model/embedding.py.
#pragma once

#include "reference/tensor.h"
#include "reference/weight_view.h"

namespace forgecheck {

/// out (B, T, D): row tokens[b, t] of weight (V, D). Throws ShapeError for a token outside 0 .. V - 1.
template <class T>
Tensor<T> embedding(const Tensor<std::int64_t>& tokens, const WeightView<T>& weight);

/// Joins two tensors (B, S1, D) and (B, S2, D) along the sequence: the first before the second.
template <class T>
Tensor<T> concat_sequence(const Tensor<T>& first, const Tensor<T>& second);

/// Positions begin .. end - 1 of x (B, S, D).
template <class T>
Tensor<T> slice_sequence(const Tensor<T>& x, std::int64_t begin, std::int64_t end);

/// The rows of x (N, D) named by `rows`, in their order: (rows, D).
template <class T>
Tensor<T> gather_rows(const Tensor<T>& x, const std::vector<std::int64_t>& rows);

}  // namespace forgecheck
