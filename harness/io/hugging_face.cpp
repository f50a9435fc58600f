// Field names and defaults: transformers, models/{llama,mistral,mixtral,qwen3,qwen3_moe}/configuration_*.py.
#include "harness/io/hugging_face.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>

#include "harness/io/strict_json.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

/// The fields of a config.json. It has many that are of no matter here, so unknown ones are not refused.
class HfConfig {
 public:
  explicit HfConfig(const std::filesystem::path& path) : path_(path.string()), document_(read_json(path)) {
    type_ = text("model_type", "");
  }

  const std::string& type() const { return type_; }
  /// Whether the file has the field, though it may be null.
  bool mentions(const std::string& field) const { return root().find(field).has_value(); }
  /// Whether the field is there and not null.
  bool has(const std::string& field) const { return mentions(field) && !root().at(field).is_null(); }
  JsonValue at(const std::string& field) const { return root().at(field); }

  /// A value that is of the right type, but that no model here can have.
  [[noreturn]] void reject(const std::string& field, const std::string& rule) const {
    const std::string value = mentions(field) ? shown(at(field).json()) : "(missing)";
    throw ConfigError(fmt::format("{}: {} = {}: {}", path_, field, value, rule));
  }

  /// A size: an integer that is positive and far from every overflow.
  std::int64_t size(const std::string& field) const { return at(field).integer(1, INT32_MAX); }
  double number(const std::string& field) const { return at(field).number(); }
  bool flag(const std::string& field) const { return has(field) && at(field).flag(); }
  std::string text(const std::string& field, const std::string& otherwise) const {
    return has(field) ? at(field).text() : otherwise;
  }

 private:
  JsonValue root() const { return document_.root(); }

  std::string path_;
  JsonDocument document_;
  std::string type_;
};

/// What no field of [model] can say.
void reject_foreign_parts(const HfConfig& config) {
  for (const char* bias : {"attention_bias", "mlp_bias", "use_bias", "use_qkv_bias"}) {
    if (config.flag(bias)) config.reject(bias, "linear layers have no bias here");
  }
  if (config.text("hidden_act", "silu") != "silu") {
    config.reject("hidden_act", "must be silu: the other activations have no gate here");
  }
  if (config.has("quantization_config"))
    config.reject("quantization_config", "weights must not be quantized");
  const bool window_off = config.has("use_sliding_window") && !config.flag("use_sliding_window");
  // Mistral's default is a window of 4096, so a file that leaves it out has one.
  const bool window =
      config.has("sliding_window") || (config.type() == "mistral" && !config.mentions("sliding_window"));
  if (window && !window_off) config.reject("sliding_window", "must be null: attention has no window here");
  if (!config.has("layer_types")) return;
  for (const JsonValue& layer : config.at("layer_types").items()) {
    if (layer.text() != "full_attention") config.reject("layer_types", "must all be full_attention");
  }
}

/// rope_theta is at the top level or, since transformers 5, in rope_parameters.
double rope_theta(const HfConfig& config) {
  for (const char* field : {"rope_scaling", "rope_parameters"}) {
    if (!config.has(field)) continue;
    for (const auto& [key, value] : config.at(field).members()) {
      const bool type = key == "rope_type" || key == "type";
      const bool plain = (type && value.text() == "default") ||
                         (key == "partial_rotary_factor" && value.number() == 1.0) ||
                         (key == "rope_theta" && value.number() > 0);
      if (!plain) config.reject(field, "only the default rotary positions, unscaled, exist here");
    }
  }
  if (config.has("partial_rotary_factor") && config.number("partial_rotary_factor") != 1.0) {
    config.reject("partial_rotary_factor", "must be 1: all of a head is rotated here");
  }
  if (config.has("rope_parameters") && config.at("rope_parameters").find("rope_theta")) {
    const double theta = config.at("rope_parameters").at("rope_theta").number();
    if (config.has("rope_theta") && config.number("rope_theta") != theta) {
      config.reject("rope_theta", "differs from rope_parameters.rope_theta");
    }
    return theta;
  }
  if (config.has("rope_theta")) return config.number("rope_theta");
  return config.type() == "mixtral" ? 1e6 : 1e4;
}

void read_attention(const HfConfig& config, ModelConfig& model) {
  model.n_heads = config.size("num_attention_heads");
  if (config.has("num_key_value_heads")) {
    model.n_kv_heads = config.size("num_key_value_heads");
  } else if (config.type() != "llama") {
    // Null means one for each head; left out, it is a default that is not the same in every version.
    if (!config.mentions("num_key_value_heads")) config.reject("num_key_value_heads", "is needed");
  }
  const bool qwen = config.type().starts_with("qwen3");
  std::int64_t head_dim = model.dim / model.n_heads;
  if (config.has("head_dim")) {
    head_dim = config.size("head_dim");
  } else if (qwen && !config.mentions("head_dim")) {
    head_dim = 128;  // the default of Qwen3, whatever the width
  }
  if (head_dim * model.n_heads != model.dim) {
    config.reject("head_dim",
                  fmt::format("must be hidden_size / num_attention_heads here, not {}", head_dim));
  }
  model.qk_norm = qwen;
  if (qwen) model.qk_norm_eps = model.norm_eps;
}

/// Mixtral: every layer is a mixture, of experts as wide as intermediate_size.
void read_mixtral(const HfConfig& config, ModelConfig& model) {
  model.num_experts = config.size("num_local_experts");
  model.moe_top_k = config.size("num_experts_per_tok");
  if (config.has("router_jitter_noise") && config.number("router_jitter_noise") != 0) {
    config.reject("router_jitter_noise", "must be 0: routers have no noise here");
  }
  if (model.computed_expert_ffn_hidden_dim() != *model.ffn_hidden_dim) {
    config.reject("intermediate_size", "the width of experts must be a multiple of 16 here");
  }
}

/// Qwen3-MoE: layer i is a mixture iff (i + 1) % decoder_sparse_step == 0, as moe_frequency has it.
void read_qwen3_moe(const HfConfig& config, ModelConfig& model) {
  model.num_experts = config.size("num_experts");
  model.moe_top_k = config.size("num_experts_per_tok");
  if (!config.flag("norm_topk_prob")) config.reject("norm_topk_prob", "must be true: weights sum to 1 here");
  if (config.has("mlp_only_layers") && !config.at("mlp_only_layers").items().empty()) {
    config.reject("mlp_only_layers", "must be empty");
  }
  model.moe_frequency = config.has("decoder_sparse_step") ? config.size("decoder_sparse_step") : 1;
  const std::int64_t width = config.size("moe_intermediate_size");
  model.moe_expert_ffn_multiplier = static_cast<double>(width) / static_cast<double>(*model.ffn_hidden_dim);
  if (model.computed_expert_ffn_hidden_dim() != width) {
    config.reject("moe_intermediate_size", "the width of experts must be a multiple of 16 here");
  }
}

}  // namespace

Architecture load_hf_config(const std::filesystem::path& path) {
  const HfConfig config(path);
  constexpr std::array<std::string_view, 5> kTypes = {"llama", "mistral", "mixtral", "qwen3", "qwen3_moe"};
  if (std::ranges::find(kTypes, config.type()) == kTypes.end()) {
    config.reject("model_type", fmt::format("must be one of {}", fmt::join(kTypes, ", ")));
  }
  reject_foreign_parts(config);
  Architecture architecture;
  ModelConfig& model = architecture.model;
  model.dim = config.size("hidden_size");
  model.n_layers = config.size("num_hidden_layers");
  model.vocab_size = config.size("vocab_size");
  model.ffn_hidden_dim = config.size("intermediate_size");
  model.max_seq_len = config.size("max_position_embeddings");
  model.norm_eps = config.number("rms_norm_eps");
  model.rope_theta = rope_theta(config);
  model.tie_embeddings = config.flag("tie_word_embeddings");
  read_attention(config, model);
  if (config.type() == "mixtral") read_mixtral(config, model);
  if (config.type() == "qwen3_moe") read_qwen3_moe(config, model);
  try {
    validate(architecture);
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", path.string(), error.what()));
  }
  return architecture;
}

}  // namespace forgecheck
