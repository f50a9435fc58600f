// Fresh weights, and the warm start of a Mixture-of-Transformers. Source: kempnerforge/model/init.py and
// mot_warm_start_from_text_stack in kempnerforge/model/mot.py.
#pragma once

#include "reference/config.h"
#include "reference/weights.h"

namespace forgecheck {

/// Every parameter in float32, drawn from `seed` and its name, so that a seed gives the same weights again:
///   rank >= 2                          normal(0, init_std)
///   o_proj, down_proj                  normal(0, init_std / sqrt(2 n_layers)); 0 in cross-attention blocks
///                                      and in dense MoT blocks, so that a fresh block is the identity
///   norm weights                       1
///   norm biases, expert_bias           0
///   expert_ema                         1 / E
///   adapter weights and biases         uniform(-1 / sqrt(in), 1 / sqrt(in)), the default of torch.nn.Linear
ParameterTable initialize(const Architecture& architecture, std::uint64_t seed);

/// Copies the dense blocks of a text model into every modality's copy, in place: attention_norm,
/// q/k/v/o_proj, q/k_norm, mlp_norm and the dense MLPs of each layer, and the final norm into every mot_norm.
/// Weights only, as upstream (LayerNorm biases keep their values). Names in `source` may begin with
/// "transformer."; MoE feed-forwards and absent names are skipped. If a shape differs, throws ShapeError
/// naming both sides and changes nothing. Does nothing unless the architecture is mot.
void mot_warm_start(const Architecture& architecture, ParameterTable& target, const ParameterTable& source);

}  // namespace forgecheck
