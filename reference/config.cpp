// Derived sizes of a configuration, in upstream's own arithmetic: kempnerforge/config/{model,vlm,adapter}.py.
#include "reference/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "reference/error.h"

namespace forgecheck {

static_assert(is_complete<kNormTypes>() && is_complete<kActivations>() && is_complete<kRouterTypes>() &&
              is_complete<kBiasSchedules>() && is_complete<kVlmArchs>() && is_complete<kAdapterTypes>() &&
              is_complete<kRopeScalings>());

namespace {

// Widths are computed in double, which is not exact from 2^53 on.
constexpr double kWidthLimit = 9007199254740992.0;

/// trunc(width). Throws ConfigError unless the width is a number below 2^53.
std::int64_t truncated_width(double width, const char* field, double value) {
  if (!(std::abs(width) < kWidthLimit)) {
    std::array<char, 32> digits{};
    char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    throw ConfigError(std::string("model.") + field + " = " + std::string(digits.data(), end) +
                      ": makes a width of 2^53 or more");
  }
  return static_cast<std::int64_t>(width);
}

std::int64_t ceil_div(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

std::int64_t grid_side(std::int64_t patches) {
  const auto side = static_cast<std::uint64_t>(std::llround(std::sqrt(static_cast<double>(patches))));
  return side * side == static_cast<std::uint64_t>(patches) ? static_cast<std::int64_t>(side) : -1;
}

std::int64_t ModelConfig::computed_ffn_hidden_dim() const {
  if (ffn_hidden_dim.has_value()) return *ffn_hidden_dim;
  // The order of the products is upstream's: ((4 dim) * (2/3)) * multiplier, each rounded to double.
  const double width = 4.0 * static_cast<double>(dim) * (2.0 / 3.0) * ffn_dim_multiplier;
  const std::int64_t raw = truncated_width(width, "ffn_dim_multiplier", ffn_dim_multiplier);
  return raw <= 0 ? 0 : 256 * ceil_div(raw, 256);
}

RopeOptions ModelConfig::rope() const {
  return {rope_theta,           rope_scaling,          rope_factor,
          rope_low_freq_factor, rope_high_freq_factor, rope_original_max_seq_len};
}

std::int64_t ModelConfig::computed_expert_ffn_hidden_dim() const {
  if (moe_ffn_hidden_dim.has_value()) return *moe_ffn_hidden_dim;
  const double width = static_cast<double>(computed_ffn_hidden_dim()) * moe_expert_ffn_multiplier;
  const std::int64_t raw = truncated_width(width, "moe_expert_ffn_multiplier", moe_expert_ffn_multiplier);
  if (raw <= 0) return 16;
  std::int64_t sixteens = raw / 16;
  const std::int64_t rest = raw % 16;
  if (rest > 8 || (rest == 8 && sixteens % 2 == 1)) ++sixteens;  // half to even
  return std::max<std::int64_t>(16, 16 * sixteens);
}

bool ModelConfig::is_moe_layer(std::int64_t layer) const {
  return num_experts > 0 && (layer + 1) % moe_frequency == 0;
}

std::int64_t VlmConfig::resolved_heads(const ModelConfig& model) const {
  switch (arch) {
    case VlmArch::cross_attention:
      return cross_attention_n_heads != 0 ? cross_attention_n_heads : model.n_heads;
    case VlmArch::mot:
      return mot_image_n_heads != 0 ? mot_image_n_heads : model.n_heads;
    case VlmArch::joint_decoder:
    case VlmArch::moma:
      return model.n_heads;
  }
  throw_not_an_enumerator("vlm.arch", arch);
}

std::int64_t VlmConfig::resolved_kv_heads(const ModelConfig& model) const {
  switch (arch) {
    case VlmArch::cross_attention:
      // A cross-attention block falls back to its own heads, never to the model's key and value heads.
      return cross_attention_n_kv_heads != 0 ? cross_attention_n_kv_heads : resolved_heads(model);
    case VlmArch::mot:
      return mot_image_n_kv_heads != 0 ? mot_image_n_kv_heads : model.kv_heads();
    case VlmArch::joint_decoder:
    case VlmArch::moma:
      return model.kv_heads();
  }
  throw_not_an_enumerator("vlm.arch", arch);
}

double VlmConfig::effective_capacity_factor(const std::string& modality) const {
  if (moma_capacity_factor > 0) return moma_capacity_factor;
  const auto experts = moma_experts_per_modality.find(modality);
  if (experts == moma_experts_per_modality.end()) {
    throw ConfigError("vlm.moma_experts_per_modality: has no entry for modality " + modality);
  }
  return 1.0 / static_cast<double>(experts->second);
}

bool has_bias(NormType type) {
  switch (type) {
    case NormType::rmsnorm:
      return false;
    case NormType::layernorm:
      return true;
  }
  throw_not_an_enumerator("model.norm_type", type);
}

bool is_swiglu(Activation activation) {
  switch (activation) {
    case Activation::silu:
      return true;
    case Activation::gelu:
    case Activation::relu:
      return false;
  }
  throw_not_an_enumerator("model.activation", activation);
}

bool keeps_state(RouterType router) {
  switch (router) {
    case RouterType::softmax_topk:
      return false;
    case RouterType::sigmoid_topk:
      return true;
  }
  throw_not_an_enumerator("model.moe_router", router);
}

bool images_in_residual(VlmArch arch) {
  switch (arch) {
    case VlmArch::joint_decoder:
    case VlmArch::mot:
    case VlmArch::moma:
      return true;
    case VlmArch::cross_attention:
      return false;
  }
  throw_not_an_enumerator("vlm.arch", arch);
}

bool needs_modality_ids(VlmArch arch) {
  switch (arch) {
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
      return false;
    case VlmArch::mot:
    case VlmArch::moma:
      return true;
  }
  throw_not_an_enumerator("vlm.arch", arch);
}

bool pools(AdapterType type) {
  switch (type) {
    case AdapterType::mlp_2layer:
    case AdapterType::linear:
      return false;
    case AdapterType::avgpool:
    case AdapterType::attentional_pool:
      return true;
  }
  throw_not_an_enumerator("adapter.type", type);
}

std::int64_t AdapterConfig::output_num_tokens(std::int64_t num_tokens) const {
  if (num_tokens <= 0 || !pools(type)) return num_tokens;
  const std::int64_t grid = grid_side(num_tokens);
  if (grid < 0) {
    throw ConfigError("vision_encoder.num_tokens = " + std::to_string(num_tokens) +
                      ": adapter.type = " + to_string(type) + " needs a square grid of patches");
  }
  if (pool_window <= 0) {
    throw ConfigError("adapter.pool_window = " + std::to_string(pool_window) + ": must be positive");
  }
  if (type == AdapterType::attentional_pool && grid % pool_window != 0) {
    throw ConfigError("adapter.pool_window = " + std::to_string(pool_window) +
                      ": attentional_pool needs a window that divides the grid side " + std::to_string(grid));
  }
  const std::int64_t per_side = grid / pool_window + (grid % pool_window != 0 ? 1 : 0);
  return per_side * per_side;
}

std::string arch_name(const Architecture& architecture) {
  if (architecture.vlm.has_value()) return to_string(architecture.vlm->arch);
  return architecture.model.num_experts > 0 ? "moe" : "dense";
}

std::string to_string(NormType value) {
  return std::string(name_of(kNormTypes, "model.norm_type", value));
}

std::string to_string(Activation value) {
  return std::string(name_of(kActivations, "activation", value));
}

std::string to_string(RouterType value) {
  return std::string(name_of(kRouterTypes, "model.moe_router", value));
}

std::string to_string(BiasSchedule value) {
  return std::string(name_of(kBiasSchedules, "model.moe_bias_schedule", value));
}

std::string to_string(VlmArch value) {
  return std::string(name_of(kVlmArchs, "vlm.arch", value));
}

std::string to_string(RopeScaling value) {
  return std::string(name_of(kRopeScalings, "model.rope_scaling", value));
}

std::string to_string(AdapterType value) {
  return std::string(name_of(kAdapterTypes, "adapter.type", value));
}

}  // namespace forgecheck
