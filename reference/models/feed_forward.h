// Feed-forward modules: one dense MLP, and a mixture of them with token choice.
// Source: kempnerforge/model/mlp.py and MoEMLP in kempnerforge/model/moe.py.
#pragma once

#include "reference/models/run.h"

namespace forgecheck {

/// silu: down(silu(gate x) * up x); gelu, relu: down(act(up x)). x, out (..., D). Modules and taps are below
/// `name`; an expert (tapped = false) records nothing.
template <class T>
Tensor<T> mlp(Run<T>& run, const std::string& name, const Tensor<T>& x, bool tapped = true);

/// Mixture of experts over x (B, S, D), modules and taps below `name`. Adds to run.aux_loss and run.z_loss if
/// `counted`. In training it updates the sigmoid router's state for the step `moe_step`.
template <class T>
Tensor<T> moe(Run<T>& run, const std::string& name, const Tensor<T>& x, bool counted, MoeStep moe_step);

/// The feed-forward of layer i of a dense or MoE model, as configured.
template <class T>
Tensor<T> feed_forward(Run<T>& run, std::int64_t layer, const std::string& name, const Tensor<T>& x);

}  // namespace forgecheck
