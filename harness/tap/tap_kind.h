// What a tap is: which kind of module made it, where that module is, and which parameters it reads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "harness/tap/tap_name.h"
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
  attention,       // after o_proj
  expansion,       // gate_proj, up_proj
  hidden,          // after the activation
  mlp,             // after down_proj
  router_gate,     // logits of the experts
  indices,         // chosen experts, or under expert choice tokens
  router_weights,  // of the chosen experts
  router_scores,   // of the chosen tokens
  expert_counts,   // assignments of each expert
  moe,             // the experts' output, each token's choice
  expert_choice,   // the experts' output under expert choice
  block,           // the residual stream after a block
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
  TapName name;  // of an unknown kind: empty

  bool cross() const { return name.block == BlockKind::cross_attention_layers; }
};

/// Of a name that is no tap: kind unknown.
TapPlace place_of(std::string_view tap, const Architecture& architecture);
TapKind kind_of(const TapName& name, const Architecture& architecture);

/// Whether the tap's values are exact in every type: choices, tokens, and how often an expert was chosen.
bool is_counted(TapKind kind);

/// What taps of all layers and modalities have in common: "attention.q_proj", "mlp.router.gate", "block",
/// "tokens". A Mixture-of-Transformers' attn counts as attention. A name that is no tap is its own family.
std::string tap_family(std::string_view name, const Architecture& architecture);

/// The parameters that the tap's own module reads, of those in the table: of "layers.0.attention" the output
/// projection's, of a mixture all of its experts'.
std::vector<std::string> parameters_of(const std::string& tap, const Architecture& architecture,
                                       const ParameterTable& table);

}  // namespace forgecheck
