// Names of taps, and of the modules that parameters belong to: upstream's module paths, as values. Only
// this file knows how they are written.
//
//   outside the blocks   token_embedding, adapter, norm, mot_norms.M, logits, logits.staged, aux_loss, z_loss,
//                        loss.{cross_entropy,logit_z,total}, tokens, greedy_from_N
//   a block B            layers.I or cross_attention_layers.I; in a Mixture-of-Transformers B.M
//   norms                B.{attention_norm,attn_norm,mlp_norm}[.M]
//   attention            B.{attention,attn}[.{q_proj,k_proj,v_proj,q_norm,k_norm,context}][.M]
//   feed-forward         B.mlp[.M] and, of expert choice, B.mlp.experts.M; then
//                        [.{gate_proj,up_proj,hidden}], .shared_expert[.{gate_proj,up_proj,hidden}],
//                        .router.{gate,indices,weights,scores,expert_bias,expert_ema}, .expert_counts
//   after decoding       layers.I.kv_cache.{k,v}
//
// I and N are numbers, M is a modality. A modality is any word of the configuration, perhaps one of those
// above ("layers.0.attn.context.context"), so that only the architecture tells how a name is to be read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "reference/config.h"

namespace forgecheck {

enum class BlockKind { none, layers, cross_attention_layers };

enum class TapModule {
  none,  // the block itself
  token_embedding,
  adapter,
  norm,
  mot_norms,
  output_head,
  logits,
  aux_loss,
  z_loss,
  loss,
  tokens,
  greedy_from,
  attention_norm,
  attn_norm,
  mlp_norm,
  attention,
  attn,
  mlp,
  expert_group,  // "mlp.experts.M": the experts of one modality, which choose their tokens
  kv_cache,
};

/// Of a module; none: the module's own output.
enum class TapPart {
  none,
  // logits and loss
  staged,
  cross_entropy,
  logit_z,
  total,
  // attention
  q_proj,
  k_proj,
  v_proj,
  q_norm,
  k_norm,
  context,
  // feed-forward
  gate_proj,
  up_proj,
  hidden,
  // mixture of experts
  router_gate,
  indices,
  weights,
  scores,
  expert_bias,
  expert_ema,
  expert_counts,
  // KV cache
  k,
  v,
  // modules that have parameters and no tap
  o_proj,
  down_proj,
  router,
  embedding,
  proj,
  proj1,
  proj2,
  out_proj,
};

struct TapName {
  BlockKind block = BlockKind::none;
  std::int64_t index = 0;  // of the block; of greedy_from the length of its prompt
  TapModule module = TapModule::none;
  std::string modality;  // of a Mixture-of-Transformers stream or an expert-choice group, else empty
  std::optional<std::int64_t> expert;  // which expert of a mixture
  bool shared_expert = false;
  TapPart part = TapPart::none;

  bool operator==(const TapName&) const = default;
};

std::string to_string(const TapName& name);

/// The name as a value: to_string() gives it back. None where it is not written as above. The blocks and
/// modalities need not be those of a case: which taps a case has is in tap_table.h.
std::optional<TapName> parse_tap_name(std::string_view name, const Architecture& architecture);

/// A module inside a block, or outside them.
TapName in_block(BlockKind kind, std::int64_t index, TapModule module, const std::string& modality = "");
TapName outside(TapModule module, TapPart part = TapPart::none);

/// Another part of the same module.
TapName with_part(TapName name, TapPart part);

/// The block's words of a name, "layers" and "3", and the rest, "attention.q_proj": no architecture is needed
/// for these.
struct BlockWords {
  BlockKind kind = BlockKind::none;
  std::int64_t index = 0;
  std::string_view inside;  // empty for the block's own output
};

/// None outside the blocks.
std::optional<BlockWords> block_of(std::string_view name);

/// "layers" or "cross_attention_layers"; empty for none.
std::string_view to_string(BlockKind kind);

/// "q_proj", "gate"; empty for none.
std::string_view part_text(TapPart part);

/// "layers.3" of a tap inside that block, empty outside.
std::string block_text(const TapName& name);

}  // namespace forgecheck
