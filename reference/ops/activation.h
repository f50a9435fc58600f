// Activations of the feed-forward. Source: kempnerforge/model/mlp.py; Shazeer 2020 (SwiGLU), Hendrycks and
// Gimpel 2016 (GELU).
#pragma once

#include "reference/arithmetic.h"
#include "reference/config.h"
#include "reference/tensor.h"

namespace forgecheck {

/// Elementwise: silu x / (1 + e^-x), gelu x/2 (1 + erf(x / sqrt 2)) (the exact form), relu max(x, 0), which
/// keeps NaN. Rounded once. With Library::onednn silu in float32 and bfloat16 is oneDNN's, which may throw
/// BackendError.
template <class T>
Tensor<T> activate(const Tensor<T>& x, Activation activation, const Arithmetic& arithmetic);

/// hidden = silu(gate) * up, elementwise. silu(gate) rounds, then the product rounds.
template <class T>
Tensor<T> swiglu(const Tensor<T>& gate, const Tensor<T>& up, const Arithmetic& arithmetic);

}  // namespace forgecheck
