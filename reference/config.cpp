// Derived sizes of a configuration, in upstream's own arithmetic: kempnerforge/config/{model,vlm,adapter}.py.
#include "reference/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "reference/error.h"

namespace forgecheck {
namespace {

// Widths at or past 2^53 are no longer exact in the doubles that they are computed in.
constexpr double kWidthLimit = 9007199254740992.0;

/// trunc(width), or ConfigError where a width is not a number below 2^53.
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

std::int64_t ModelConfig::computed_expert_ffn_hidden_dim() const {
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
  if (arch == VlmArch::cross_attention && cross_attention_n_heads != 0) return cross_attention_n_heads;
  if (arch == VlmArch::mot && mot_image_n_heads != 0) return mot_image_n_heads;
  return model.n_heads;
}

std::int64_t VlmConfig::resolved_kv_heads(const ModelConfig& model) const {
  // A cross-attention block falls back to its own heads, never to the model's key and value heads.
  if (arch == VlmArch::cross_attention) {
    return cross_attention_n_kv_heads != 0 ? cross_attention_n_kv_heads : resolved_heads(model);
  }
  if (arch == VlmArch::mot && mot_image_n_kv_heads != 0) return mot_image_n_kv_heads;
  return model.kv_heads();
}

double VlmConfig::effective_capacity_factor(const std::string& modality) const {
  if (moma_capacity_factor > 0) return moma_capacity_factor;
  const auto experts = moma_experts_per_modality.find(modality);
  if (experts == moma_experts_per_modality.end()) {
    throw ConfigError("vlm.moma_experts_per_modality: has no entry for modality " + modality);
  }
  return 1.0 / static_cast<double>(experts->second);
}

std::int64_t AdapterConfig::output_num_tokens(std::int64_t num_tokens) const {
  const bool pools = type == AdapterType::avgpool || type == AdapterType::attentional_pool;
  if (num_tokens <= 0 || !pools) return num_tokens;
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
  return value == NormType::rmsnorm ? "rmsnorm" : "layernorm";
}

std::string to_string(Activation value) {
  switch (value) {
    case Activation::silu:
      return "silu";
    case Activation::gelu:
      return "gelu";
    case Activation::relu:
      return "relu";
  }
  throw ConfigError("activation: not a value of its enumeration");
}

std::string to_string(RouterType value) {
  return value == RouterType::softmax_topk ? "softmax_topk" : "sigmoid_topk";
}

std::string to_string(BiasSchedule value) {
  switch (value) {
    case BiasSchedule::constant:
      return "constant";
    case BiasSchedule::cosine_decay:
      return "cosine_decay";
    case BiasSchedule::linear_warmup:
      return "linear_warmup";
  }
  throw ConfigError("moe_bias_schedule: not a value of its enumeration");
}

std::string to_string(VlmArch value) {
  switch (value) {
    case VlmArch::joint_decoder:
      return "joint_decoder";
    case VlmArch::cross_attention:
      return "cross_attention";
    case VlmArch::mot:
      return "mot";
    case VlmArch::moma:
      return "moma";
  }
  throw ConfigError("vlm.arch: not a value of its enumeration");
}

std::string to_string(AdapterType value) {
  switch (value) {
    case AdapterType::mlp_2layer:
      return "mlp_2layer";
    case AdapterType::linear:
      return "linear";
    case AdapterType::avgpool:
      return "avgpool";
    case AdapterType::attentional_pool:
      return "attentional_pool";
  }
  throw ConfigError("adapter.type: not a value of its enumeration");
}

}  // namespace forgecheck
