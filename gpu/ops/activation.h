// Activations of the feed-forward. Source: kempnerforge/model/mlp.py; Shazeer 2020 (SwiGLU), Hendrycks and
// Gimpel 2016 (GELU).
#pragma once

#include "gpu/runtime/device.h"
#include "reference/config.h"

namespace forgecheck::gpu {

/// Elementwise: silu x / (1 + e^-x), gelu x/2 (1 + erf(x / sqrt 2)) (the exact form), relu max(x, 0), which
/// keeps NaN. Rounded once.
template <class T>
DeviceTensor<T> activate(Device& device, const DeviceTensor<T>& x, Activation activation);

/// hidden = silu(gate) * up, elementwise, in one kernel. silu(gate) rounds, then the product rounds.
template <class T>
DeviceTensor<T> swiglu(Device& device, const DeviceTensor<T>& gate, const DeviceTensor<T>& up);

}  // namespace forgecheck::gpu
