// What a tap's name says: which kind of module made it, where that stands, and which parameters it reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reference/config.h"
#include "reference/weights.h"

namespace forgecheck {

enum class TapKind {
  unknown,
  embedding,
  adapter,
  norm,            // over dim
  head_norm,       // q_norm, k_norm: over each head
  projection,      // q_proj, k_proj, v_proj
  context,         // what the heads attended to, before o_proj
  attention,       // behind o_proj
  expansion,       // gate_proj, up_proj
  hidden,          // behind the activation
  mlp,             // behind down_proj
  router_gate,     // logits of the experts
  indices,         // chosen experts, or under expert choice tokens
  router_weights,  // of the chosen experts
  router_scores,   // of the chosen tokens
  expert_counts,   // assignments of each expert
  moe,             // the experts' output, each token's choice
  expert_choice,   // the experts' output under expert choice
  block,           // the residual stream behind a block
  logits,
  staged_logits,
  aux_loss,
  z_loss,
  expert_bias,
  expert_ema,
  cross_entropy,
  logit_z,
  total_loss,
  cached_keys,
  cached_values,
  tokens,
};

struct TapPlace {
  TapKind kind = TapKind::unknown;
  std::string block;       // "layers.0", "cross_attention_layers.1"; empty outside the blocks
  std::int64_t index = 0;  // of the block
  bool cross = false;      // in a cross-attention block
  std::string modality;    // of a Mixture-of-Transformers stream or an expert-choice group, else empty
};

TapPlace place_of(std::string_view tap, const Architecture& architecture);

/// The parameters that the tap's own module reads, of those in the table: of "layers.0.attention" the output
/// projection's, of a mixture all of its experts'.
std::vector<std::string> parameters_of(const std::string& tap, const Architecture& architecture,
                                       const ParameterTable& table);

}  // namespace forgecheck
