// What each tap holds, in one line, and its shape as text.
#include "harness/tap/tap_table.h"

namespace forgecheck {

namespace {

std::string norm_meaning(const TapName& name) {
  if (name.block == BlockKind::none) return "final norm of the residual stream";
  return name.module == TapModule::mlp_norm ? "norm of stream plus attention, which the feed-forward reads"
                                            : "norm of the residual stream, which the attention reads";
}

/// `part`: one of q_proj, k_proj, v_proj.
std::string projection_meaning(const TapName& name) {
  const bool cross = name.block == BlockKind::cross_attention_layers;
  if (name.part == TapPart::q_proj) return cross ? "queries of the text" : "queries before QK-norm and RoPE";
  if (name.part == TapPart::k_proj) return cross ? "keys of the images" : "keys before QK-norm and RoPE";
  return cross ? "values of the images" : "values";
}

std::string block_meaning(const TapName& name) {
  return name.block == BlockKind::cross_attention_layers ? "residual stream after the cross-attention block"
                                                         : "residual stream after the layer";
}

}  // namespace

std::string to_string(TapType type) {
  switch (type) {
    case TapType::floating:
      return "floating";
    case TapType::counts:
      return "counts";
    case TapType::integers:
      return "integers";
  }
  return "";
}

std::string letters_of(const TapInfo& tap) {
  std::string text;
  for (const Dimension& dimension : tap.shape) text += (text.empty() ? "" : ", ") + dimension.letter;
  return "(" + text + ")";
}

Shape shape_of(const TapInfo& tap) {
  Shape shape;
  for (const Dimension& dimension : tap.shape) shape.push_back(dimension.size);
  return shape;
}

std::string meaning_of(const TapName& name, const Architecture& architecture) {
  const bool expert_choice = architecture.is(VlmArch::moma);
  switch (kind_of(name, architecture)) {
    case TapKind::unknown:
      return "";
    case TapKind::embedding:
      return "embedded tokens";
    case TapKind::adapter:
      return "vision features as the model reads them, after the adapter";
    case TapKind::norm:
      return norm_meaning(name);
    case TapKind::head_norm:
      return name.part == TapPart::q_norm ? "queries, normed over each head, before RoPE"
                                          : "keys, normed over each head, before RoPE";
    case TapKind::projection:
      return projection_meaning(name);
    case TapKind::context:
      return "softmax-weighted values of all heads side by side, before o_proj";
    case TapKind::attention:
      return "output of the attention, after o_proj";
    case TapKind::expansion:
      return name.part == TapPart::gate_proj ? "gate, before its activation" : "up projection";
    case TapKind::hidden:
      return "hidden values, after the activation";
    case TapKind::mlp:
      return name.shared_expert ? "output of the shared expert, after down_proj"
                                : "output of the feed-forward, after down_proj";
    case TapKind::router_gate:
      return "every token's logits for the experts";
    case TapKind::indices:
      return expert_choice ? "every expert's chosen tokens" : "every token's chosen experts";
    case TapKind::router_weights:
      return "weights of the chosen experts; they sum to 1";
    case TapKind::router_scores:
      return "scores of the chosen tokens, by which the experts' outputs are multiplied";
    case TapKind::expert_counts:
      return "tokens that each expert was given";
    case TapKind::moe:
      return "output of the mixture of experts, the shared expert's included";
    case TapKind::expert_choice:
      return "output of the experts of all modalities; 0 for padded tokens";
    case TapKind::block:
      return block_meaning(name);
    case TapKind::logits:
      return "logits of the vocabulary";
    case TapKind::staged_logits:
      return "the same logits from pipeline stages that run one after another";
    case TapKind::aux_loss:
      return "balance loss of the routers, summed over the layers; 0 without experts";
    case TapKind::z_loss:
      return "z-loss of the routers, summed over the layers; 0 without experts";
    case TapKind::expert_bias:
      return "the router's bias after the run";
    case TapKind::expert_ema:
      return "the router's moving average of each expert's share after the run";
    case TapKind::cross_entropy:
      return "mean cross-entropy over the labels that count";
    case TapKind::logit_z:
      return "z-loss of the logits, times its weight";
    case TapKind::total_loss:
      return "the training objective: all losses, each times its weight";
    case TapKind::cached_keys:
      return "cached keys, after RoPE";
    case TapKind::cached_values:
      return "cached values";
    case TapKind::tokens:
      return name.module == TapModule::greedy_from
                 ? "the first tokens of each row, continued greedily with a KV cache"
                 : "prompt and generated tokens";
  }
  return "";
}

}  // namespace forgecheck
