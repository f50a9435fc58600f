// The rules that reject a configuration, in upstream's order: the __post_init__ checks of
// kempnerforge/config/{model,vlm,vision,adapter,job}.py, and our own checks for values that upstream accepts
// and then crashes on or computes NaN from.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <initializer_list>
#include <limits>
#include <set>

#include "reference/config.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

/// The size in bytes of every tensor as float64 must fit in int64, and so must that of the whole model.
constexpr std::int64_t kMaxElements = std::numeric_limits<std::int64_t>::max() / 8;

/// The shortest text that parses to the same value.
std::string text(double value) {
  std::array<char, 32> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr};
}
std::string text(std::int64_t value) {
  return std::to_string(value);
}
std::string text(const std::string& value) {
  return value.empty() ? "\"\"" : value;
}
std::string text(const std::vector<std::string>& values) {
  std::string joined;
  for (const std::string& value : values) joined += (joined.empty() ? "" : ",") + value;
  return "[" + joined + "]";
}

template <class T>
void require(bool holds, const std::string& field, const T& value, const std::string& rule) {
  if (!holds) throw ConfigError(field + " = " + text(value) + ": " + rule);
}
void require_positive(const std::string& field, std::int64_t value) {
  require(value > 0, field, value, "must be positive");
}
void require_non_negative(const std::string& field, std::int64_t value) {
  require(value >= 0, field, value, "must not be negative");
}
void require_positive(const std::string& field, double value) {
  require(std::isfinite(value) && value > 0, field, value, "must be positive and finite");
}
void require_non_negative(const std::string& field, double value) {
  require(std::isfinite(value) && value >= 0, field, value, "must be finite and not negative");
}
void require_finite(const std::string& field, double value) {
  require(std::isfinite(value), field, value, "must be finite");
}
void require_option(const std::string& field, const std::string& value,
                    std::initializer_list<const char*> options) {
  std::string listed;
  for (const char* option : options) listed += (listed.empty() ? "" : ", ") + std::string(option);
  require(std::find(options.begin(), options.end(), value) != options.end(), field, value,
          "must be one of " + listed);
}

/// Product of nonnegative sizes; the largest int64 if it does not fit.
std::int64_t saturating_product(std::initializer_list<std::int64_t> sizes) {
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  std::int64_t product = 1;
  for (const std::int64_t size : sizes) {
    if (size == 0) return 0;
    product = product > largest / size ? largest : product * size;
  }
  return product;
}
void require_fits(const std::string& field, std::int64_t value, std::initializer_list<std::int64_t> sizes,
                  const std::string& product) {
  require(saturating_product(sizes) <= kMaxElements, field, value, product + " is past the largest size");
}

void validate_moe(const ModelConfig& config) {
  require_positive("model.moe_top_k", config.moe_top_k);
  require(config.moe_top_k <= config.num_experts, "model.moe_top_k", config.moe_top_k,
          "must be at most num_experts = " + text(config.num_experts));
  require_positive("model.moe_frequency", config.moe_frequency);
  require_non_negative("model.moe_sequence_aux_loss_weight", config.moe_sequence_aux_loss_weight);
  require_positive("model.moe_expert_ffn_multiplier", config.moe_expert_ffn_multiplier);
  require_non_negative("model.moe_router_z_loss_weight", config.moe_router_z_loss_weight);
  require_non_negative("model.moe_capacity_factor", config.moe_capacity_factor);
  require_non_negative("model.moe_shared_experts", config.moe_shared_experts);
  if (config.moe_ffn_hidden_dim) require_positive("model.moe_ffn_hidden_dim", *config.moe_ffn_hidden_dim);
}

/// Heads, rotary positions and the window.
void validate_positions(const ModelConfig& config) {
  const std::int64_t head_dim = config.computed_head_dim();
  if (config.head_dim) {
    require_positive("model.head_dim", head_dim);
    require(head_dim % 2 == 0, "model.head_dim", head_dim, "must be even for rotary positions");
    require_fits("model.head_dim", head_dim, {config.n_heads, head_dim, config.dim},
                 "n_heads * head_dim * dim");
  }
  require(head_dim % 2 == 0, "model.dim", config.dim,
          "dim / n_heads = " + text(head_dim) + " must be even for rotary positions");
  require_non_negative("model.sliding_window", config.sliding_window);
  require_positive("model.rope_factor", config.rope_factor);
  require_positive("model.rope_low_freq_factor", config.rope_low_freq_factor);
  require_positive("model.rope_high_freq_factor", config.rope_high_freq_factor);
  require(config.rope_high_freq_factor > config.rope_low_freq_factor, "model.rope_high_freq_factor",
          config.rope_high_freq_factor,
          "must be larger than rope_low_freq_factor = " + text(config.rope_low_freq_factor));
  require_positive("model.rope_original_max_seq_len", config.rope_original_max_seq_len);
}

/// What upstream's image models do not have.
void require_no_text_options(const ModelConfig& config) {
  const std::string rule = "is for text models only";
  require(!config.head_dim, "model.head_dim", config.computed_head_dim(), rule);
  require(!config.qkv_bias, "model.qkv_bias", std::string("true"), rule);
  require(config.sliding_window == 0, "model.sliding_window", config.sliding_window, rule);
  require(config.rope_scaling == RopeScaling::none, "model.rope_scaling", to_string(config.rope_scaling),
          rule);
  require(!config.moe_ffn_hidden_dim, "model.moe_ffn_hidden_dim", config.moe_ffn_hidden_dim.value_or(0),
          rule);
}

/// All layers, each with `copies` of its parts. A layer and its cross-attention block have at most
/// 8 D A elements in attention, A the width of all heads, 6 D F in dense and shared MLPs, and (3 F + 1) D E in experts and router.
void require_layers_fit(const ModelConfig& config, std::int64_t copies) {
  const std::int64_t widest =
      std::max({config.dim, saturating_product({config.n_heads, config.computed_head_dim()}),
                config.computed_ffn_hidden_dim(), config.computed_expert_ffn_hidden_dim() + 1});
  require_fits(
      "model.n_layers", config.n_layers,
      {config.n_layers, copies, 20, std::max<std::int64_t>(1, config.num_experts), config.dim, widest},
      "n_layers * the parameters of a layer");
}

/// No tensor of the text model has more elements than an int64 can address, nor do all of them together.
void validate_sizes(const ModelConfig& config) {
  const std::int64_t d = config.dim;
  require_fits("model.dim", d, {d, d}, "dim * dim");
  require_fits("model.vocab_size", config.vocab_size, {config.vocab_size, d}, "vocab_size * dim");
  require_fits("model.max_seq_len", config.max_seq_len, {config.max_seq_len, d}, "max_seq_len * dim");
  const std::int64_t width = config.computed_ffn_hidden_dim();
  require(width > 0, "model.ffn_dim_multiplier", config.ffn_dim_multiplier,
          "makes a feed-forward width of " + text(width) + " from dim = " + text(d));
  const std::string width_field = config.ffn_hidden_dim ? "model.ffn_hidden_dim" : "model.ffn_dim_multiplier";
  require(saturating_product({d, width}) <= kMaxElements, width_field,
          config.ffn_hidden_dim ? static_cast<double>(width) : config.ffn_dim_multiplier,
          "dim * feed-forward width is past the largest size");
  const std::int64_t expert_width = config.computed_expert_ffn_hidden_dim();
  const std::int64_t experts = std::max<std::int64_t>(1, config.num_experts);
  require_fits("model.num_experts", config.num_experts, {experts, d, expert_width},
               "num_experts * dim * expert width");
  require_layers_fit(config, 1);
}

void validate_modalities(const std::string& field, const std::vector<std::string>& modalities) {
  require(modalities.size() >= 2, field, modalities, "must have at least 2 entries");
  for (const char* needed : {"text", "image"}) {
    require(std::count(modalities.begin(), modalities.end(), needed) > 0, field, modalities,
            std::string("must include ") + needed);
  }
  require(std::set<std::string>(modalities.begin(), modalities.end()).size() == modalities.size(), field,
          modalities, "must not name a modality twice");
  for (const std::string& modality : modalities) {
    // A modality becomes part of parameter names, whose parts are joined by dots.
    require(!modality.empty() && modality.find('.') == std::string::npos, field, modalities,
            "a modality must not be empty or have a dot in it");
  }
}

void validate_cross_attention(const VlmConfig& config, const ModelConfig& model) {
  require_positive("vlm.cross_attention_every_n_layers", config.cross_attention_every_n_layers);
  require_non_negative("vlm.cross_attention_n_heads", config.cross_attention_n_heads);
  require_non_negative("vlm.cross_attention_n_kv_heads", config.cross_attention_n_kv_heads);
  const std::int64_t heads = config.resolved_heads(model);
  require(heads <= model.dim, "vlm.cross_attention_n_heads", heads,
          "must be at most model.dim = " + text(model.dim));
  require(heads % config.resolved_kv_heads(model) == 0, "vlm.cross_attention_n_kv_heads",
          config.resolved_kv_heads(model), "must divide the block's heads, " + text(heads));
}

void validate_mot(const VlmConfig& config, const ModelConfig& model) {
  validate_modalities("vlm.mot_modalities", config.mot_modalities);
  require_non_negative("vlm.mot_image_n_heads", config.mot_image_n_heads);
  require_non_negative("vlm.mot_image_n_kv_heads", config.mot_image_n_kv_heads);
  require(!config.mot_warm_start_from_text || !config.mot_warm_start_path.empty(), "vlm.mot_warm_start_path",
          config.mot_warm_start_path, "must name a file where mot_warm_start_from_text is true");
  require_layers_fit(model, static_cast<std::int64_t>(config.mot_modalities.size()));
  // One attention runs over the tokens of all modalities, so they share its heads.
  require(config.resolved_heads(model) == model.n_heads, "vlm.mot_image_n_heads", config.mot_image_n_heads,
          "must equal model.n_heads = " + text(model.n_heads) + " (or be 0)");
  require(config.resolved_kv_heads(model) == model.kv_heads(), "vlm.mot_image_n_kv_heads",
          config.mot_image_n_kv_heads,
          "must equal model.n_kv_heads = " + text(model.kv_heads()) + " (or be 0)");
}

void validate_moma(const VlmConfig& config, const ModelConfig& model) {
  validate_modalities("vlm.moma_modalities", config.moma_modalities);
  const std::string field = "vlm.moma_experts_per_modality";
  for (const std::string& modality : config.moma_modalities) {
    const auto experts = config.moma_experts_per_modality.find(modality);
    require(experts != config.moma_experts_per_modality.end(), field + "." + modality, std::string("none"),
            "every modality needs an entry");
    require_positive(field + "." + modality, experts->second);
    require_fits(field + "." + modality, experts->second,
                 {model.n_layers, 16, experts->second, model.dim, model.computed_expert_ffn_hidden_dim() + 1},
                 "n_layers * experts * dim * expert width");
  }
  for (const auto& [modality, experts] : config.moma_experts_per_modality) {
    require(std::count(config.moma_modalities.begin(), config.moma_modalities.end(), modality) > 0,
            field + "." + modality, experts,
            "is not one of vlm.moma_modalities = " + text(config.moma_modalities));
  }
  require_non_negative("vlm.moma_capacity_factor", config.moma_capacity_factor);
  require(model.num_experts == 0, "model.num_experts", model.num_experts,
          "must be 0 with vlm.arch = moma, whose experts are vlm.moma_experts_per_modality");
}

}  // namespace

void validate(const ModelConfig& config) {
  require_positive("model.dim", config.dim);
  require_positive("model.n_layers", config.n_layers);
  require_positive("model.n_heads", config.n_heads);
  require_positive("model.vocab_size", config.vocab_size);
  require_positive("model.n_kv_heads", config.kv_heads());
  require(config.head_dim || config.dim % config.n_heads == 0, "model.n_heads", config.n_heads,
          "must divide dim = " + text(config.dim) + " where head_dim is not given");
  require(config.n_heads % config.kv_heads() == 0, "model.n_kv_heads", config.kv_heads(),
          "must divide n_heads = " + text(config.n_heads));
  validate_positions(config);
  require_option("model.sdpa_backend", config.sdpa_backend, {"auto", "flash", "efficient", "cudnn", "math"});
  require_option("model.model_type", config.model_type, {"transformer"});
  if (config.ffn_hidden_dim) require_positive("model.ffn_hidden_dim", *config.ffn_hidden_dim);
  require_finite("model.ffn_dim_multiplier", config.ffn_dim_multiplier);
  require_positive("model.norm_eps", config.norm_eps);
  require_positive("model.qk_norm_eps", config.qk_norm_eps);
  require_positive("model.max_seq_len", config.max_seq_len);
  require_positive("model.rope_theta", config.rope_theta);
  require_non_negative("model.init_std", config.init_std);
  require_non_negative("model.num_experts", config.num_experts);
  require_finite("model.moe_aux_loss_weight", config.moe_aux_loss_weight);
  require_finite("model.moe_capacity_factor", config.moe_capacity_factor);
  require_finite("model.moe_sequence_aux_loss_weight", config.moe_sequence_aux_loss_weight);
  require_finite("model.moe_expert_ffn_multiplier", config.moe_expert_ffn_multiplier);
  require_finite("model.moe_router_z_loss_weight", config.moe_router_z_loss_weight);
  if (config.num_experts > 0) validate_moe(config);
  validate_sizes(config);
}

void validate(const VlmConfig& config, const ModelConfig& model) {
  require_positive("vlm.max_text_len", config.max_text_len);
  switch (config.arch) {
    case VlmArch::joint_decoder:
      return;
    case VlmArch::cross_attention:
      return validate_cross_attention(config, model);
    case VlmArch::mot:
      return validate_mot(config, model);
    case VlmArch::moma:
      return validate_moma(config, model);
  }
  throw_not_an_enumerator("vlm.arch", config.arch);
}

void validate(const VisionEncoderConfig& config) {
  require_option("vision_encoder.type", config.type, {"random", "siglip2", "clip"});
  require_non_negative("vision_encoder.feature_dim", config.feature_dim);
  require_non_negative("vision_encoder.num_tokens", config.num_tokens);
}

void validate(const AdapterConfig& config) {
  require_non_negative("adapter.hidden_dim", config.hidden_dim);
  require_positive("adapter.pool_window", config.pool_window);
  require_positive("adapter.pool_heads", config.pool_heads);
}

void validate(const Architecture& architecture) {
  const ModelConfig& model = architecture.model;
  validate(model);
  if (architecture.vlm) {
    require_no_text_options(model);
    validate(*architecture.vlm, model);
  }
  if (architecture.vision_encoder) validate(*architecture.vision_encoder);
  require_non_negative("feature_dim", architecture.feature_dim);
  require_non_negative("num_image_tokens", architecture.num_image_tokens);
  std::int64_t image_tokens = architecture.num_image_tokens;
  if (architecture.adapter) {
    const AdapterConfig& adapter = *architecture.adapter;
    validate(adapter);
    const std::int64_t features = architecture.feature_dim;
    require_fits("feature_dim", features, {features, features}, "feature_dim * feature_dim");
    require_fits("feature_dim", features, {features, model.dim}, "feature_dim * dim");
    require_fits("adapter.hidden_dim", adapter.hidden_dim,
                 {adapter.hidden_dim, std::max(features, model.dim)}, "hidden_dim * input or output width");
    require(adapter.type != AdapterType::attentional_pool || features % adapter.pool_heads == 0,
            "adapter.pool_heads", adapter.pool_heads, "must divide feature_dim = " + text(features));
  }
  if (architecture.vision_encoder && architecture.vision_encoder->num_tokens > 0) {
    image_tokens = architecture.vision_encoder->num_tokens;
    if (architecture.adapter) image_tokens = architecture.adapter->output_num_tokens(image_tokens);
  }
  if (!architecture.vlm) return;
  if (!images_in_residual(architecture.vlm->arch)) image_tokens = 0;
  const std::int64_t text_tokens = architecture.vlm->max_text_len;
  require(text_tokens <= model.max_seq_len && image_tokens <= model.max_seq_len - text_tokens,
          "model.max_seq_len", model.max_seq_len,
          "must hold " + text(image_tokens) + " image tokens and vlm.max_text_len = " + text(text_tokens));
}

}  // namespace forgecheck
