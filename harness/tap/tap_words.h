// How modules and parts are written: the words of tap_name.cpp, which is the only one to include this.
#pragma once

#include <span>
#include <string_view>

#include "harness/tap/tap_name.h"

namespace forgecheck {

inline constexpr std::string_view kGreedyFrom = "greedy_from_";
inline constexpr std::string_view kExperts = "experts";
inline constexpr std::string_view kSharedExpert = "shared_expert";
inline constexpr std::string_view kRouter = "router";

struct ModuleWord {
  TapModule module;
  std::string_view word;
};

inline constexpr ModuleWord kOutside[] = {
    {TapModule::token_embedding, "token_embedding"},
    {TapModule::adapter, "adapter"},
    {TapModule::norm, "norm"},
    {TapModule::mot_norms, "mot_norms"},
    {TapModule::output_head, "output_head"},
    {TapModule::logits, "logits"},
    {TapModule::aux_loss, "aux_loss"},
    {TapModule::z_loss, "z_loss"},
    {TapModule::loss, "loss"},
    {TapModule::tokens, "tokens"},
};

inline constexpr ModuleWord kInside[] = {
    {TapModule::attention_norm, "attention_norm"},
    {TapModule::attn_norm, "attn_norm"},
    {TapModule::mlp_norm, "mlp_norm"},
    {TapModule::attention, "attention"},
    {TapModule::attn, "attn"},
    {TapModule::mlp, "mlp"},
    {TapModule::kv_cache, "kv_cache"},
};

struct PartWord {
  TapPart part;
  std::string_view word;
};

inline constexpr PartWord kOfAttention[] = {
    {TapPart::q_proj, "q_proj"}, {TapPart::k_proj, "k_proj"}, {TapPart::v_proj, "v_proj"},
    {TapPart::q_norm, "q_norm"}, {TapPart::k_norm, "k_norm"}, {TapPart::context, "context"},
    {TapPart::o_proj, "o_proj"},
};
inline constexpr PartWord kOfFeedForward[] = {
    {TapPart::gate_proj, "gate_proj"},
    {TapPart::up_proj, "up_proj"},
    {TapPart::hidden, "hidden"},
    {TapPart::down_proj, "down_proj"},
};
inline constexpr PartWord kOfRouter[] = {
    {TapPart::router_gate, "gate"},        {TapPart::indices, "indices"},
    {TapPart::weights, "weights"},         {TapPart::scores, "scores"},
    {TapPart::expert_bias, "expert_bias"}, {TapPart::expert_ema, "expert_ema"},
};
inline constexpr PartWord kOfMixture[] = {
    {TapPart::router, kRouter},
    {TapPart::expert_counts, "expert_counts"},
};
inline constexpr PartWord kOfCache[] = {{TapPart::k, "k"}, {TapPart::v, "v"}};
inline constexpr PartWord kOfLogits[] = {{TapPart::staged, "staged"}};
inline constexpr PartWord kOfLoss[] = {
    {TapPart::cross_entropy, "cross_entropy"},
    {TapPart::logit_z, "logit_z"},
    {TapPart::total, "total"},
};
inline constexpr PartWord kOfEmbedding[] = {{TapPart::embedding, "embedding"}};
inline constexpr PartWord kOfHead[] = {{TapPart::proj, "proj"}};
inline constexpr PartWord kOfAdapter[] = {
    {TapPart::proj, "proj"},     {TapPart::proj1, "proj1"},       {TapPart::proj2, "proj2"},
    {TapPart::q_proj, "q_proj"}, {TapPart::k_proj, "k_proj"},     {TapPart::v_proj, "v_proj"},
    {TapPart::o_proj, "o_proj"}, {TapPart::out_proj, "out_proj"},
};

using ModuleTable = std::span<const ModuleWord>;
using PartTable = std::span<const PartWord>;

}  // namespace forgecheck
