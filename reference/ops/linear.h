// Linear projections. Source: torch.nn.Linear as kempnerforge/model/*.py use it.
#pragma once

#include "reference/arithmetic.h"
#include "reference/tensor.h"
#include "reference/weight_view.h"

namespace forgecheck {

/// out (..., out) = x (..., in) times the transpose of weight (out, in). Sums in the computing type and
/// rounds once.
template <class T>
Tensor<T> linear(const Tensor<T>& x, const std::type_identity_t<WeightView<T>>& weight,
                 const Arithmetic& arithmetic);

/// As linear(), with bias (out) added before the rounding.
template <class T>
Tensor<T> linear(const Tensor<T>& x, const std::type_identity_t<WeightView<T>>& weight, const Tensor<T>& bias,
                 const Arithmetic& arithmetic);

/// out (N, out) = x (N, in) times weight[e] (in, out), one expert of a packed (E, in, out) tensor.
template <class T>
Tensor<T> packed_linear(const Tensor<T>& x, const std::type_identity_t<WeightView<T>>& weight,
                        std::int64_t expert, const Arithmetic& arithmetic);

/// out = x + y, elementwise, rounded once: the residual connection.
template <class T>
Tensor<T> add(const Tensor<T>& x, const Tensor<T>& y);

}  // namespace forgecheck
