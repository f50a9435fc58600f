// Field names and defaults: transformers, models/{llama,mistral,mixtral,qwen2,qwen3,qwen3_moe}/configuration_*.py.
#include "harness/io/hugging_face.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <utility>

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

bool is_qwen(const HfConfig& config) {
  return config.type().starts_with("qwen");
}

/// What no field of [model] can say.
void reject_foreign_parts(const HfConfig& config) {
  for (const char* bias : {"attention_bias", "mlp_bias", "use_bias", "use_qkv_bias"}) {
    if (config.flag(bias)) config.reject(bias, "only Qwen2's biases of q_proj, k_proj and v_proj exist here");
  }
  if (config.text("hidden_act", "silu") != "silu") {
    config.reject("hidden_act", "must be silu: the other activations have no gate here");
  }
  if (config.has("quantization_config"))
    config.reject("quantization_config", "weights must not be quantized");
}

/// Positions that a query sees; 0: all before it. The families differ in the default and in what switches a
/// window on.
std::int64_t sliding_window(const HfConfig& config) {
  const bool given = config.has("sliding_window");
  if (config.type() == "llama") {
    if (given) config.reject("sliding_window", "must be null: Llama has no window");
    return 0;
  }
  if (config.type() == "mistral" && !config.mentions("sliding_window")) return 4096;
  if (!given || (is_qwen(config) && !config.flag("use_sliding_window"))) return 0;
  const bool some_layers_only = is_qwen(config) && !config.has("layer_types");
  if (some_layers_only &&
      (!config.has("max_window_layers") || config.at("max_window_layers").integer() != 0)) {
    config.reject("max_window_layers", "must be 0: all layers have the window here, or none");
  }
  return config.size("sliding_window");
}

void read_window(const HfConfig& config, ModelConfig& model) {
  model.sliding_window = sliding_window(config);
  if (!config.has("layer_types")) return;
  const std::string type = model.sliding_window > 0 ? "sliding_attention" : "full_attention";
  for (const JsonValue& layer : config.at("layer_types").items()) {
    if (layer.text() != type) config.reject("layer_types", fmt::format("must all be {}", type));
  }
}

/// The scaling of rotary positions in one of the two fields that may have it.
class RopeFields {
 public:
  RopeFields(const HfConfig& config, const char* field, ModelConfig& model)
      : config_(config), field_(field), model_(model) {}

  void read() {
    if (!config_.has(field_)) return;
    const std::string type = text("rope_type", text("type", "default"));
    if (type == "linear") {
      model_.rope_scaling = RopeScaling::linear;
      take("factor", model_.rope_factor);
    } else if (type == "llama3") {
      model_.rope_scaling = RopeScaling::llama3;
      take("factor", model_.rope_factor);
      take("low_freq_factor", model_.rope_low_freq_factor);
      take("high_freq_factor", model_.rope_high_freq_factor);
      double length = 0;
      take("original_max_position_embeddings", length);
      model_.rope_original_max_seq_len = static_cast<std::int64_t>(length);
    } else if (type != "default") {
      config_.reject(field_,
                     fmt::format("rope_type {} does not exist here, only default, linear and llama3", type));
    }
    for (const auto& [key, value] : config_.at(field_).members()) {
      const bool fits = (key == "partial_rotary_factor" && value.number() == 1.0) ||
                        (key == "rope_theta" && value.number() > 0) || known_.contains(key);
      if (!fits) config_.reject(field_, fmt::format("{} = {} does not exist here", key, shown(value.json())));
    }
  }

 private:
  std::optional<JsonValue> find(const char* key) const { return config_.at(field_).find(key); }
  std::string text(const char* key, const std::string& otherwise) const {
    return find(key) ? find(key)->text() : otherwise;
  }
  void take(const char* key, double& value) {
    if (!find(key)) config_.reject(field_, fmt::format("needs {}", key));
    value = find(key)->number();
    known_.insert(key);
  }

  const HfConfig& config_;
  std::string field_;
  ModelConfig& model_;
  std::set<std::string> known_ = {"rope_type", "type"};
};

/// rope_theta is at the top level or, since transformers 5, in rope_parameters.
double rope_theta(const HfConfig& config) {
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

void read_rope(const HfConfig& config, ModelConfig& model) {
  model.rope_theta = rope_theta(config);
  for (const char* field : {"rope_scaling", "rope_parameters"}) RopeFields(config, field, model).read();
  if (config.has("partial_rotary_factor") && config.number("partial_rotary_factor") != 1.0) {
    config.reject("partial_rotary_factor", "must be 1: all of a head is rotated here");
  }
}

void read_attention(const HfConfig& config, ModelConfig& model) {
  model.n_heads = config.size("num_attention_heads");
  if (config.has("num_key_value_heads")) {
    model.n_kv_heads = config.size("num_key_value_heads");
  } else if (config.type() != "llama") {
    // Null means one for each head; left out, it is a default that is not the same in every version.
    if (!config.mentions("num_key_value_heads")) config.reject("num_key_value_heads", "is needed");
  }
  const bool qwen3 = config.type().starts_with("qwen3");
  std::int64_t head_dim = model.dim / model.n_heads;
  if (config.has("head_dim")) {
    head_dim = config.size("head_dim");
  } else if (qwen3 && !config.mentions("head_dim")) {
    head_dim = 128;  // the default of Qwen3, whatever the width
  }
  if (head_dim * model.n_heads != model.dim) model.head_dim = head_dim;
  model.qkv_bias = config.type() == "qwen2";
  model.qk_norm = qwen3;
  if (qwen3) model.qk_norm_eps = model.norm_eps;
}

/// The width of an expert, where it is not the one that upstream would derive.
void set_expert_width(ModelConfig& model, std::int64_t width) {
  if (model.computed_expert_ffn_hidden_dim() != width) model.moe_ffn_hidden_dim = width;
}

/// Mixtral: every layer is a mixture, of experts as wide as intermediate_size.
void read_mixtral(const HfConfig& config, ModelConfig& model) {
  model.num_experts = config.size("num_local_experts");
  model.moe_top_k = config.size("num_experts_per_tok");
  if (config.has("router_jitter_noise") && config.number("router_jitter_noise") != 0) {
    config.reject("router_jitter_noise", "must be 0: routers have no noise here");
  }
  set_expert_width(model, *model.ffn_hidden_dim);
}

/// Qwen3-MoE: layer i is a mixture iff (i + 1) % decoder_sparse_step == 0, as moe_frequency has it. Newer
/// versions of transformers call the number of experts as Mixtral does.
void read_qwen3_moe(const HfConfig& config, ModelConfig& model) {
  model.num_experts = config.size(config.has("num_experts") ? "num_experts" : "num_local_experts");
  model.moe_top_k = config.size("num_experts_per_tok");
  if (!config.flag("norm_topk_prob")) config.reject("norm_topk_prob", "must be true: weights sum to 1 here");
  if (config.has("mlp_only_layers") && !config.at("mlp_only_layers").items().empty()) {
    config.reject("mlp_only_layers", "must be empty");
  }
  model.moe_frequency = config.has("decoder_sparse_step") ? config.size("decoder_sparse_step") : 1;
  set_expert_width(model, config.size("moe_intermediate_size"));
}

/// A message about a field of [model], with the name that the file has for it.
std::string in_own_words(const HfConfig& config, std::string message) {
  const std::pair<std::string_view, std::string_view> kNames[] = {
      {"model.dim", "hidden_size"},
      {"model.n_layers", "num_hidden_layers"},
      {"model.n_heads", "num_attention_heads"},
      {"model.n_kv_heads", "num_key_value_heads"},
      {"model.vocab_size", "vocab_size"},
      {"model.ffn_hidden_dim", "intermediate_size"},
      {"model.max_seq_len", "max_position_embeddings"},
      {"model.norm_eps", "rms_norm_eps"},
      {"model.qk_norm_eps", "rms_norm_eps"},
      {"model.rope_theta", "rope_theta"},
      {"model.rope_factor", "factor"},
      {"model.rope_low_freq_factor", "low_freq_factor"},
      {"model.rope_high_freq_factor", "high_freq_factor"},
      {"model.rope_original_max_seq_len", "original_max_position_embeddings"},
      {"model.num_experts", config.type() == "mixtral" ? "num_local_experts" : "num_experts"},
      {"model.moe_top_k", "num_experts_per_tok"},
      {"model.moe_frequency", "decoder_sparse_step"},
      {"model.moe_ffn_hidden_dim", "moe_intermediate_size"},
      {"model.head_dim", "head_dim"},
      {"model.sliding_window", "sliding_window"},
  };
  for (const auto& [ours, theirs] : kNames) {
    const std::string start = fmt::format("{} = ", ours);
    if (message.starts_with(start)) return fmt::format("{} = {}", theirs, message.substr(start.size()));
  }
  return message;
}

}  // namespace

Architecture load_hf_config(const std::filesystem::path& path) {
  const HfConfig config(path);
  constexpr std::array<std::string_view, 6> kTypes = {"llama", "mistral", "mixtral",
                                                      "qwen2", "qwen3",   "qwen3_moe"};
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
  read_rope(config, model);
  read_window(config, model);
  model.tie_embeddings = config.flag("tie_word_embeddings");
  read_attention(config, model);
  if (config.type() == "mixtral") read_mixtral(config, model);
  if (config.type() == "qwen3_moe") read_qwen3_moe(config, model);
  try {
    validate(architecture);
  } catch (const ConfigError& error) {
    throw ConfigError(fmt::format("{}: {}", path.string(), in_own_words(config, error.what())));
  }
  return architecture;
}

}  // namespace forgecheck
