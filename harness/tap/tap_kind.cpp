#include "harness/tap/tap_kind.h"

#include <algorithm>

#include "harness/tap/parameter_name.h"

namespace forgecheck {

namespace {

TapKind kind_of_part(TapPart part) {
  switch (part) {
    case TapPart::none:
    // Modules that have parameters and no tap.
    case TapPart::o_proj:
    case TapPart::down_proj:
    case TapPart::router:
    case TapPart::embedding:
    case TapPart::proj:
    case TapPart::proj1:
    case TapPart::proj2:
    case TapPart::out_proj:
      return TapKind::unknown;
    case TapPart::staged:
      return TapKind::staged_logits;
    case TapPart::cross_entropy:
      return TapKind::cross_entropy;
    case TapPart::logit_z:
      return TapKind::logit_z;
    case TapPart::total:
      return TapKind::total_loss;
    case TapPart::q_proj:
    case TapPart::k_proj:
    case TapPart::v_proj:
      return TapKind::projection;
    case TapPart::q_norm:
    case TapPart::k_norm:
      return TapKind::head_norm;
    case TapPart::context:
      return TapKind::context;
    case TapPart::gate_proj:
    case TapPart::up_proj:
      return TapKind::expansion;
    case TapPart::hidden:
      return TapKind::hidden;
    case TapPart::router_gate:
      return TapKind::router_gate;
    case TapPart::indices:
      return TapKind::indices;
    case TapPart::weights:
      return TapKind::router_weights;
    case TapPart::scores:
      return TapKind::router_scores;
    case TapPart::expert_bias:
      return TapKind::expert_bias;
    case TapPart::expert_ema:
      return TapKind::expert_ema;
    case TapPart::expert_counts:
      return TapKind::expert_counts;
    case TapPart::k:
      return TapKind::cached_keys;
    case TapPart::v:
      return TapKind::cached_values;
  }
  return TapKind::unknown;
}

TapKind kind_of_feed_forward(const TapName& name, const Architecture& architecture) {
  const bool layer = name.block == BlockKind::layers && !name.shared_expert;
  if (layer && architecture.is(VlmArch::moma)) return TapKind::expert_choice;
  return layer && architecture.model.is_moe_layer(name.index) ? TapKind::moe : TapKind::mlp;
}

/// Of a module's own output.
TapKind kind_of_module(const TapName& name, const Architecture& architecture) {
  switch (name.module) {
    case TapModule::none:
      return name.block == BlockKind::none ? TapKind::unknown : TapKind::block;
    case TapModule::token_embedding:
      return TapKind::embedding;
    case TapModule::adapter:
      return TapKind::adapter;
    case TapModule::norm:
    case TapModule::mot_norms:
    case TapModule::attention_norm:
    case TapModule::attn_norm:
    case TapModule::mlp_norm:
      return TapKind::norm;
    case TapModule::logits:
      return TapKind::logits;
    case TapModule::aux_loss:
      return TapKind::aux_loss;
    case TapModule::z_loss:
      return TapKind::z_loss;
    case TapModule::tokens:
    case TapModule::greedy_from:
      return TapKind::tokens;
    case TapModule::attention:
    case TapModule::attn:
      return TapKind::attention;
    case TapModule::mlp:
      return kind_of_feed_forward(name, architecture);
    case TapModule::loss:
    case TapModule::output_head:
    case TapModule::expert_group:
    case TapModule::kv_cache:
      return TapKind::unknown;
  }
  return TapKind::unknown;
}

/// Whether the parameter is an expert's of the mixture: of its own modality, or under expert choice of any.
bool is_of_experts(const ParameterName& parameter, const TapName& mixture) {
  const TapName& module = parameter.module;
  if (module.block != mixture.block || module.index != mixture.index) return false;
  if (module.module == TapModule::expert_group) return module.expert.has_value();
  const bool packed = module.part == TapPart::none && !module.shared_expert;
  return module.module == TapModule::mlp && module.modality == mixture.modality && (module.expert || packed);
}

template <class Wanted>
std::vector<std::string> parameters_where(const ParameterTable& table, const Architecture& architecture,
                                          const Wanted& wanted) {
  std::vector<std::string> names;
  for (const auto& [name, array] : table) {
    const auto parameter = parse_parameter_name(name, architecture);
    if (parameter && wanted(*parameter)) names.push_back(name);
  }
  return names;
}

}  // namespace

TapKind kind_of(const TapName& name, const Architecture& architecture) {
  if (name.expert) return TapKind::unknown;  // what happens inside a routed expert is not tapped
  return name.part == TapPart::none ? kind_of_module(name, architecture) : kind_of_part(name.part);
}

TapPlace place_of(std::string_view tap, const Architecture& architecture) {
  const std::optional<TapName> name = parse_tap_name(tap, architecture);
  if (!name) return {};
  const TapKind kind = kind_of(*name, architecture);
  return kind == TapKind::unknown ? TapPlace() : TapPlace{kind, *name};
}

bool is_counted(TapKind kind) {
  return kind == TapKind::expert_counts || kind == TapKind::indices || kind == TapKind::tokens;
}

std::string tap_family(std::string_view name, const Architecture& architecture) {
  std::optional<TapName> tap = parse_tap_name(name, architecture);
  if (!tap) return std::string(name);
  tap->block = BlockKind::none;
  tap->index = 0;
  tap->modality.clear();
  tap->expert.reset();
  if (tap->module == TapModule::attn) tap->module = TapModule::attention;
  if (tap->module == TapModule::attn_norm) tap->module = TapModule::attention_norm;
  if (tap->module == TapModule::greedy_from) tap->module = TapModule::tokens;
  const std::string family = to_string(*tap);
  return family.empty() ? "block" : family;
}

std::vector<std::string> parameters_of(const std::string& tap, const Architecture& architecture,
                                       const ParameterTable& table) {
  const TapPlace place = place_of(tap, architecture);
  const auto of_part = [&](TapPart part, const char* leaf) {
    return to_string(ParameterName{with_part(place.name, part), leaf});
  };
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
      names = {of_part(place.name.part, "weight"), of_part(place.name.part, "bias")};
      break;
    case TapKind::attention:
      names = {of_part(TapPart::o_proj, "weight")};
      break;
    case TapKind::mlp:
      names = {of_part(TapPart::down_proj, "weight")};
      break;
    case TapKind::indices:
    case TapKind::router_weights:
      names = {of_part(TapPart::router, "expert_bias")};
      break;
    case TapKind::moe:
    case TapKind::expert_choice:
      names = parameters_where(table, architecture, [&](const ParameterName& parameter) {
        return is_of_experts(parameter, place.name);
      });
      break;
    case TapKind::adapter:
      names = parameters_where(table, architecture, [](const ParameterName& parameter) {
        return parameter.module.module == TapModule::adapter;
      });
      break;
    case TapKind::unknown:
    case TapKind::context:
    case TapKind::hidden:
    case TapKind::router_scores:
    case TapKind::expert_counts:
    case TapKind::block:
    case TapKind::aux_loss:
    case TapKind::z_loss:
    case TapKind::expert_bias:
    case TapKind::expert_ema:
    case TapKind::cross_entropy:
    case TapKind::logit_z:
    case TapKind::total_loss:
    case TapKind::cached_keys:
    case TapKind::cached_values:
    case TapKind::tokens:
      break;  // they read none, or none of their own
  }
  std::erase_if(names, [&](const std::string& name) { return !table.contains(name); });
  return names;
}

}  // namespace forgecheck
