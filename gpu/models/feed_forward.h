// Feed-forward modules: one dense MLP, and a mixture of them with token choice.
// Source: kempnerforge/model/mlp.py and MoEMLP in kempnerforge/model/moe.py.
#pragma once

#include "gpu/models/run.h"

namespace forgecheck::gpu {

/// silu: down(silu(gate x) * up x); gelu, relu: down(act(up x)). x, out (..., D). Modules and taps are below
/// `name`.
template <class T>
DeviceTensor<T> mlp(Run<T>& run, const std::string& name, const DeviceTensor<T>& x);

/// Passes rows offsets[e] .. offsets[e + 1] - 1 of x (n, D) through expert e: modules
/// "{name}.experts.{e}.*_proj", or slices of "{name}.*_w" (E, in, out) if packed. Taps nothing.
template <class T>
DeviceTensor<T> experts(Run<T>& run, const std::string& name, const DeviceTensor<T>& x,
                        const std::vector<std::int64_t>& offsets, bool packed);

/// Mixture of experts over x (B, S, D), modules and taps below `name`. Only a `counted` one adds to the
/// model's losses, taps its counts, and knows the training step.
template <class T>
DeviceTensor<T> moe(Run<T>& run, const std::string& name, const DeviceTensor<T>& x, bool counted);

}  // namespace forgecheck::gpu
