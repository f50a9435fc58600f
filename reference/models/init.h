// Fresh weights, and the warm start of a Mixture-of-Transformers. Source: kempnerforge/model/init.py and
// mot_warm_start_from_text_stack in kempnerforge/model/mot.py.
#pragma once

#include "reference/config.h"
#include "reference/weights.h"

namespace forgecheck {

/// Every parameter in float32, drawn from `seed` and its own name, so that a seed repeats:
///   rank >= 2: normal(0, init_std); o_proj and down_proj: normal(0, init_std / sqrt(2 n_layers))
///   o_proj and down_proj of cross-attention blocks and of dense MoT blocks: 0 (a fresh block is the
///   identity) norm weights 1, biases 0, expert_bias 0, expert_ema 1 / E
/// Adapter weights: uniform(-1/sqrt(in), 1/sqrt(in)), biases too (torch.nn.Linear's default).
ParameterTable initialize(const Architecture& architecture, std::uint64_t seed);

/// Copies the dense blocks of a text model into every modality's copy, in place: attention_norm,
/// q/k/v/o_proj, q/k_norm, mlp_norm and the dense MLPs of each layer, and the final norm into every mot_norm.
/// Weights only, as upstream (LayerNorm biases keep their values). Names in `source` may begin with
/// "transformer."; MoE feed-forwards and absent names are skipped. Throws ShapeError naming both sides where
/// a shape differs; nothing is changed then. Does nothing unless the architecture is mot.
void mot_warm_start(const Architecture& architecture, ParameterTable& target, const ParameterTable& source);

}  // namespace forgecheck
