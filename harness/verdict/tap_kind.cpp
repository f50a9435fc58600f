#include "harness/verdict/tap_kind.h"

#include <algorithm>
#include <cstdlib>
#include <map>

namespace forgecheck {

namespace {

const std::map<std::string, TapKind, std::less<>> kOutside = {
    {"token_embedding", TapKind::embedding},
    {"adapter", TapKind::adapter},
    {"norm", TapKind::norm},
    {"logits", TapKind::logits},
    {"logits.staged", TapKind::staged_logits},
    {"aux_loss", TapKind::aux_loss},
    {"z_loss", TapKind::z_loss},
    {"loss.cross_entropy", TapKind::cross_entropy},
    {"loss.logit_z", TapKind::logit_z},
    {"loss.total", TapKind::total_loss},
    {"tokens", TapKind::tokens},
};

/// By the last part of the name, modalities left out.
const std::map<std::string, TapKind, std::less<>> kInside = {
    {"attention_norm", TapKind::norm},
    {"attn_norm", TapKind::norm},
    {"mlp_norm", TapKind::norm},
    {"q_norm", TapKind::head_norm},
    {"k_norm", TapKind::head_norm},
    {"q_proj", TapKind::projection},
    {"k_proj", TapKind::projection},
    {"v_proj", TapKind::projection},
    {"context", TapKind::context},
    {"attention", TapKind::attention},
    {"attn", TapKind::attention},
    {"gate_proj", TapKind::expansion},
    {"up_proj", TapKind::expansion},
    {"hidden", TapKind::hidden},
    {"mlp", TapKind::mlp},
    {"shared_expert", TapKind::mlp},
    {"gate", TapKind::router_gate},
    {"indices", TapKind::indices},
    {"weights", TapKind::router_weights},
    {"scores", TapKind::router_scores},
    {"expert_counts", TapKind::expert_counts},
    {"expert_bias", TapKind::expert_bias},
    {"expert_ema", TapKind::expert_ema},
    {"k", TapKind::cached_keys},
    {"v", TapKind::cached_values},
};

TapKind kind_in(const std::map<std::string, TapKind, std::less<>>& table, std::string_view name) {
  const auto found = table.find(name);
  return found == table.end() ? TapKind::unknown : found->second;
}

std::vector<std::string> parts_of(std::string_view name) {
  std::vector<std::string> parts;
  while (true) {
    const std::size_t dot = name.find('.');
    parts.emplace_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return parts;
    name.remove_prefix(dot + 1);
  }
}

/// Takes the first part that is one of the architecture's modalities out of `parts`.
std::string take_modality(std::vector<std::string>& parts, const Architecture& architecture) {
  const bool moma = architecture.is(VlmArch::moma);
  if (!moma && !architecture.is(VlmArch::mot)) return "";
  const auto& modalities = moma ? architecture.vlm->moma_modalities : architecture.vlm->mot_modalities;
  const auto found = std::ranges::find_first_of(parts, modalities);
  if (found == parts.end()) return "";
  std::string modality = *found;
  parts.erase(found);
  return modality;
}

bool is_of_experts(std::string_view parameter, const std::string& module) {
  return parameter.starts_with(module + ".experts.") || parameter == module + ".up_w" ||
         parameter == module + ".gate_w" || parameter == module + ".down_w";
}

}  // namespace

TapPlace place_of(std::string_view tap, const Architecture& architecture) {
  TapPlace place;
  if (tap.starts_with("greedy_from_")) place.kind = TapKind::tokens;
  if (tap.starts_with("mot_norms.")) {
    place.kind = TapKind::norm;
    place.modality = tap.substr(tap.find('.') + 1);
  }
  if (place.kind == TapKind::unknown) place.kind = kind_in(kOutside, tap);
  std::vector<std::string> parts = parts_of(tap);
  if (parts.size() < 2 || !parts[0].ends_with("layers")) return place;

  place.cross = parts[0] == "cross_attention_layers";
  place.block = parts[0] + "." + parts[1];
  place.index = std::atoll(parts[1].c_str());
  parts.erase(parts.begin(), parts.begin() + 2);
  place.modality = take_modality(parts, architecture);
  place.kind = parts.empty() ? TapKind::block : kind_in(kInside, parts.back());
  if (place.kind == TapKind::mlp && parts.back() == "mlp" && !place.cross) {
    if (architecture.is(VlmArch::moma)) place.kind = TapKind::expert_choice;
    if (!architecture.is(VlmArch::moma) && architecture.model.is_moe_layer(place.index))
      place.kind = TapKind::moe;
  }
  return place;
}

std::vector<std::string> parameters_of(const std::string& tap, const Architecture& architecture,
                                       const ParameterTable& table) {
  const TapPlace place = place_of(tap, architecture);
  std::vector<std::string> names;
  switch (place.kind) {
    case TapKind::embedding:
      names = {"token_embedding.embedding.weight"};
      break;
    case TapKind::logits:
    case TapKind::staged_logits:
      names = {architecture.model.tie_embeddings ? "token_embedding.embedding.weight"
                                                 : "output_head.proj.weight"};
      break;
    case TapKind::norm:
    case TapKind::head_norm:
    case TapKind::projection:
    case TapKind::expansion:
    case TapKind::router_gate:
      names = {tap + ".weight", tap + ".bias"};
      break;
    case TapKind::attention: {
      const std::string module = place.modality.empty() ? tap : tap.substr(0, tap.rfind('.'));
      names = {module + ".o_proj" + (place.modality.empty() ? "" : "." + place.modality) + ".weight"};
      break;
    }
    case TapKind::mlp:
      names = {tap + ".down_proj.weight"};
      break;
    case TapKind::indices:
    case TapKind::router_weights:
      names = {tap.substr(0, tap.rfind('.')) + ".expert_bias"};
      break;
    case TapKind::moe:
    case TapKind::expert_choice:
      for (const auto& [name, array] : table) {
        if (is_of_experts(name, tap) && name.find(".router.") == std::string::npos) names.push_back(name);
      }
      break;
    case TapKind::adapter:
      for (const auto& [name, array] : table) {
        if (name.starts_with("adapter.")) names.push_back(name);
      }
      break;
    default:
      break;
  }
  std::erase_if(names, [&](const std::string& name) { return !table.contains(name); });
  return names;
}

}  // namespace forgecheck
