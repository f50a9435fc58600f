// Normalisation over the last axis. Source: kempnerforge/model/norm.py; Zhang and Sennrich 2019 (RMSNorm),
// Ba, Kiros and Hinton 2016 (LayerNorm).
#pragma once

#include "reference/arithmetic.h"
#include "reference/tensor.h"

namespace forgecheck {

/// x, out (..., n), weight (n):  out = x / sqrt(mean(x^2) + eps) * weight.
/// Statistics and the product with weight are computed in the computing type and rounded once; if
/// `arithmetic` says so, the quotient is also rounded before the product.
template <class T>
Tensor<T> rms_norm(const Tensor<T>& x, const Tensor<T>& weight, double eps,
                   const Arithmetic& arithmetic = {});

/// x, out (..., n), weight, bias (n):  out = (x - mean) / sqrt(var + eps) * weight + bias, with the biased
/// variance mean((x - mean)^2). Rounded once.
template <class T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias, double eps);

}  // namespace forgecheck
