#include "reference/models/init.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>
#include <utility>

#include "reference/error.h"
#include "reference/parameters.h"

namespace forgecheck {

namespace {

/// A generator that depends only on the seed and the parameter's name (FNV-1a of the name).
std::mt19937_64 generator_for(const std::string& name, std::uint64_t seed) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  std::seed_seq sequence{static_cast<std::uint32_t>(hash), static_cast<std::uint32_t>(hash >> 32),
                         static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)};
  return std::mt19937_64(sequence);
}

/// Whether `name` is module `module`, in a dense block ("...o_proj.weight") or in MoT
/// ("...o_proj.image.weight").
bool is_module(const std::string& name, const std::string& module, bool with_modality) {
  const std::size_t at = name.find("." + module + ".");
  if (at == std::string::npos) return false;
  const std::string rest = name.substr(at + module.size() + 2);
  return (rest == "weight") != with_modality && rest.ends_with("weight");
}

/// Standard deviation of a linear weight; 0 where a fresh block must be the identity.
double deviation(const Architecture& architecture, const std::string& name) {
  const ModelConfig& model = architecture.model;
  const bool residual = name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight");
  if (residual && name.starts_with("cross_attention_layers.")) return 0.0;
  if (architecture.is(VlmArch::mot)) {
    if (is_module(name, "o_proj", true)) return 0.0;
    const bool of_moe =
        name.find(".experts.") != std::string::npos || name.find(".shared_expert.") != std::string::npos;
    if (name.ends_with(".down_proj.weight") && !of_moe) return 0.0;
  }
  return residual ? model.init_std / std::sqrt(2.0 * static_cast<double>(model.n_layers)) : model.init_std;
}

std::function<float()> sampler(const Architecture& architecture, const ParameterInfo& info,
                               std::mt19937_64& generator) {
  const auto constant = [](double value) { return [value] { return static_cast<float>(value); }; };
  switch (info.kind) {
    case ParameterKind::norm_weight:
      return constant(1.0);
    case ParameterKind::norm_bias:
    case ParameterKind::expert_bias:
    case ParameterKind::linear_bias:
      return constant(0.0);
    case ParameterKind::expert_ema:
      return constant(1.0 / static_cast<double>(info.shape[0]));
    case ParameterKind::adapter_weight:
    case ParameterKind::adapter_bias: {
      const std::string weight = info.name.substr(0, info.name.rfind('.')) + ".weight";
      const auto parameters = adapter_parameters(architecture);
      const auto found = std::ranges::find(parameters, weight, &ParameterInfo::name);
      const double bound = 1.0 / std::sqrt(static_cast<double>(found->shape.back()));
      return [&generator, uniform = std::uniform_real_distribution<double>(-bound, bound)]() mutable {
        return static_cast<float>(uniform(generator));
      };
    }
    case ParameterKind::linear:
    case ParameterKind::packed_linear:
    case ParameterKind::router_gate:
    case ParameterKind::embedding: {
      const double std = deviation(architecture, info.name);
      if (std == 0.0) return constant(0.0);
      return [&generator, normal = std::normal_distribution<double>(0.0, std)]() mutable {
        return static_cast<float>(normal(generator));
      };
    }
  }
  throw_not_an_enumerator("kind of parameter", info.kind);
}

/// source name -> target name with the modality inserted, for one layer.
std::vector<std::pair<std::string, std::string>> translations(const Architecture& architecture,
                                                              std::int64_t layer,
                                                              const std::string& modality) {
  const std::string from = "layers." + std::to_string(layer) + ".";
  std::vector<std::pair<std::string, std::string>> names = {
      {from + "attention_norm.weight", from + "attn_norm." + modality + ".weight"},
      {from + "mlp_norm.weight", from + "mlp_norm." + modality + ".weight"},
  };
  for (const char* module : {"q_proj", "k_proj", "v_proj", "o_proj", "q_norm", "k_norm"}) {
    names.emplace_back(from + "attention." + module + ".weight",
                       from + "attn." + module + "." + modality + ".weight");
  }
  if (architecture.model.is_moe_layer(layer)) return names;
  for (const char* module : {"gate_proj", "up_proj", "down_proj"}) {
    names.emplace_back(from + "mlp." + module + ".weight",
                       from + "mlp." + modality + "." + module + ".weight");
  }
  return names;
}

}  // namespace

ParameterTable initialize(const Architecture& architecture, std::uint64_t seed) {
  ParameterTable table;
  for (const ParameterInfo& info : all_parameters(architecture)) {
    std::mt19937_64 generator = generator_for(info.name, seed);
    const std::function<float()> next = sampler(architecture, info, generator);
    Tensor<float> tensor(info.shape);
    std::ranges::generate(tensor.data, next);
    table.emplace(info.name, Array::from(tensor));
  }
  return table;
}

void mot_warm_start(const Architecture& architecture, ParameterTable& target, const ParameterTable& source) {
  if (!architecture.is(VlmArch::mot)) return;
  const auto find_source = [&](const std::string& name) -> const Array* {
    for (const std::string& candidate : {name, "transformer." + name}) {
      if (const auto found = source.find(candidate); found != source.end()) return &found->second;
    }
    return nullptr;
  };
  ParameterTable copies;
  const auto copy = [&](const std::string& from, const std::string& to) {
    const Array* value = find_source(from);
    const auto existing = target.find(to);
    if (value == nullptr || existing == target.end()) return;
    require_shape("[mot_warm_start] " + from + " for " + to, value->shape(), existing->second.shape());
    copies.insert_or_assign(to, value->cast(existing->second.dtype()));
  };
  for (const std::string& modality : architecture.vlm->mot_modalities) {
    for (std::int64_t layer = 0; layer < architecture.model.n_layers; ++layer) {
      for (const auto& [from, to] : translations(architecture, layer, modality)) copy(from, to);
    }
    copy("norm.weight", "mot_norms." + modality + ".weight");
  }
  for (auto& [name, value] : copies) target.insert_or_assign(name, std::move(value));
}

}  // namespace forgecheck
