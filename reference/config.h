// A model's configuration: the sections of an upstream configuration file as values, their derived sizes, and
// the rules that reject an invalid one. Field names and defaults are upstream's (kempnerforge/config/*.py).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "reference/enum_table.h"

namespace forgecheck {

enum class NormType { rmsnorm, layernorm };
enum class Activation { silu, gelu, relu };
enum class RouterType { softmax_topk, sigmoid_topk };
enum class BiasSchedule { constant, cosine_decay, linear_warmup };
enum class VlmArch { joint_decoder, cross_attention, mot, moma };
enum class RopeScaling { none, linear, llama3 };
enum class AdapterType { mlp_2layer, linear, avgpool, attentional_pool };

inline constexpr Named<NormType> kNormTypes[] = {
    {NormType::rmsnorm, "rmsnorm"},
    {NormType::layernorm, "layernorm"},
};
inline constexpr Named<Activation> kActivations[] = {
    {Activation::silu, "silu"},
    {Activation::gelu, "gelu"},
    {Activation::relu, "relu"},
};
inline constexpr Named<RouterType> kRouterTypes[] = {
    {RouterType::softmax_topk, "softmax_topk"},
    {RouterType::sigmoid_topk, "sigmoid_topk"},
};
inline constexpr Named<BiasSchedule> kBiasSchedules[] = {
    {BiasSchedule::constant, "constant"},
    {BiasSchedule::cosine_decay, "cosine_decay"},
    {BiasSchedule::linear_warmup, "linear_warmup"},
};
inline constexpr Named<VlmArch> kVlmArchs[] = {
    {VlmArch::joint_decoder, "joint_decoder"},
    {VlmArch::cross_attention, "cross_attention"},
    {VlmArch::mot, "mot"},
    {VlmArch::moma, "moma"},
};
inline constexpr Named<RopeScaling> kRopeScalings[] = {
    {RopeScaling::none, "none"},
    {RopeScaling::linear, "linear"},
    {RopeScaling::llama3, "llama3"},
};
inline constexpr Named<AdapterType> kAdapterTypes[] = {
    {AdapterType::mlp_2layer, "mlp_2layer"},
    {AdapterType::linear, "linear"},
    {AdapterType::avgpool, "avgpool"},
    {AdapterType::attentional_pool, "attentional_pool"},
};

/// Whether a norm of this type has a bias besides its weight.
bool has_bias(NormType type);
/// Whether the feed-forward is SwiGLU, down(silu(gate x) * up x); otherwise it is down(act(up x)).
bool is_swiglu(Activation activation);
/// Whether the router has a bias and a moving average that training changes.
bool keeps_state(RouterType router);
/// Whether an adapter returns fewer tokens than there are patches.
bool pools(AdapterType type);
/// Whether image tokens are part of the residual stream; otherwise separate blocks read them.
bool images_in_residual(VlmArch arch);
/// Whether layers process each modality separately, so that they must know the modality of every token.
bool needs_modality_ids(VlmArch arch);

/// What the frequencies of rotary positions follow from.
struct RopeOptions {
  double theta = 10000.0;
  RopeScaling scaling = RopeScaling::none;
  double factor = 1.0;  // by which positions shrink
  /// llama3: wavelengths below original_max_seq_len / high_freq_factor stay as they are, those above
  /// original_max_seq_len / low_freq_factor grow by the factor, and those between by something between.
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  std::int64_t original_max_seq_len = 8192;
};

/// Section [model]; source: kempnerforge/config/model.py.
struct ModelConfig {
  std::int64_t dim = 4096;
  std::int64_t n_layers = 32;
  std::int64_t n_heads = 32;
  std::optional<std::int64_t> n_kv_heads;  // none: n_heads
  std::int64_t vocab_size = 32000;
  double ffn_dim_multiplier = 1.0;
  std::optional<std::int64_t> ffn_hidden_dim;  // none: derived from dim
  NormType norm_type = NormType::rmsnorm;
  double norm_eps = 1e-5;
  Activation activation = Activation::silu;
  std::int64_t max_seq_len = 2048;
  double rope_theta = 10000.0;
  bool tie_embeddings = false;
  bool qk_norm = false;
  double init_std = 0.02;
  std::string model_type = "transformer";
  std::string sdpa_backend = "auto";  // a hint upstream; never changes the result
  std::int64_t num_experts = 0;       // 0: dense
  std::int64_t moe_top_k = 2;
  std::int64_t moe_frequency = 1;
  RouterType moe_router = RouterType::softmax_topk;
  std::int64_t moe_shared_experts = 0;
  double moe_aux_loss_weight = 0.01;
  double moe_capacity_factor = 0.0;
  double moe_sequence_aux_loss_weight = 0.0;
  bool moe_gradient_scale = false;
  BiasSchedule moe_bias_schedule = BiasSchedule::constant;
  bool moe_packed_experts = false;
  double moe_expert_ffn_multiplier = 1.0;
  double moe_router_z_loss_weight = 0.0;

  // What KempnerForge fixes, as by the defaults here, and checkpoints of other families choose. Source:
  // transformers, models/{llama,qwen2,qwen3,mistral,mixtral}. All but qk_norm_eps: text models only.
  double qk_norm_eps = 1e-5;
  std::optional<std::int64_t> head_dim;  // none: dim / n_heads
  bool qkv_bias = false;                 // q_proj, k_proj and v_proj have a bias
  std::int64_t sliding_window = 0;       // positions that a query sees, its own the last; 0: all before it
  RopeScaling rope_scaling = RopeScaling::none;
  double rope_factor = 1.0;
  double rope_low_freq_factor = 1.0;
  double rope_high_freq_factor = 4.0;
  std::int64_t rope_original_max_seq_len = 8192;
  std::optional<std::int64_t> moe_ffn_hidden_dim;  // width of an expert; none: derived from the dense one

  std::int64_t kv_heads() const { return n_kv_heads.value_or(n_heads); }
  /// Of an attention with that many heads: those of cross-attention have a number of their own.
  std::int64_t head_dim_of(std::int64_t heads) const { return head_dim.value_or(dim / heads); }
  std::int64_t computed_head_dim() const { return head_dim_of(n_heads); }
  RopeOptions rope() const;
  /// ffn_hidden_dim, or else trunc(4 dim * (2/3) * ffn_dim_multiplier) rounded up to a multiple of 256.
  std::int64_t computed_ffn_hidden_dim() const;
  /// moe_ffn_hidden_dim, or else trunc(F * moe_expert_ffn_multiplier) rounded to a multiple of 16 (half to
  /// even), at least 16.
  std::int64_t computed_expert_ffn_hidden_dim() const;
  /// Whether layer i (from 0) has a mixture of experts: num_experts > 0 and (i + 1) % moe_frequency == 0.
  bool is_moe_layer(std::int64_t layer) const;
};

/// Section [vlm], all architectures in one value; source: kempnerforge/config/vlm.py.
/// freeze, freeze_schedule and module_patterns are accepted in a file but do not affect the computation.
struct VlmConfig {
  VlmArch arch = VlmArch::joint_decoder;
  std::int64_t max_text_len = 512;
  std::int64_t cross_attention_every_n_layers = 4;
  std::int64_t cross_attention_n_heads = 0;     // 0: the model's n_heads
  std::int64_t cross_attention_n_kv_heads = 0;  // 0: the resolved n_heads of the block
  std::vector<std::string> mot_modalities = {"image", "text"};
  std::int64_t mot_image_n_heads = 0;
  std::int64_t mot_image_n_kv_heads = 0;
  bool mot_warm_start_from_text = false;
  std::string mot_warm_start_path;
  std::vector<std::string> moma_modalities = {"image", "text"};
  std::map<std::string, std::int64_t> moma_experts_per_modality = {{"image", 4}, {"text", 4}};
  double moma_capacity_factor = 0.0;  // 0: 1 / experts of the modality
  bool moma_gumbel_noise = true;

  std::int64_t resolved_heads(const ModelConfig& model) const;
  std::int64_t resolved_kv_heads(const ModelConfig& model) const;
  /// moma_capacity_factor, or 1 / experts of that modality where it is 0.
  double effective_capacity_factor(const std::string& modality) const;
};

/// Section [vision_encoder]; source: kempnerforge/config/vision.py. 0: taken from the encoder.
struct VisionEncoderConfig {
  std::string type = "random";
  std::string path;
  std::int64_t feature_dim = 0;
  std::int64_t num_tokens = 0;
};

/// Side of a square grid of this many patches (>= 0), or -1 if the number is not a square.
std::int64_t grid_side(std::int64_t patches);

/// Section [adapter]; source: kempnerforge/config/adapter.py.
struct AdapterConfig {
  AdapterType type = AdapterType::mlp_2layer;
  std::int64_t hidden_dim = 0;  // 0: the model's dim
  Activation activation = Activation::gelu;
  std::int64_t pool_window = 2;
  std::int64_t pool_heads = 16;

  /// Number of output tokens for `num_tokens` patches. Throws ConfigError if a pooling adapter's grid is not
  /// square, or (attentional_pool) not divisible by pool_window.
  std::int64_t output_num_tokens(std::int64_t num_tokens) const;
};

/// A whole model: everything that determines its parameters and its computation.
struct Architecture {
  ModelConfig model;
  std::optional<VlmConfig> vlm;
  std::optional<VisionEncoderConfig> vision_encoder;
  std::optional<AdapterConfig> adapter;
  std::int64_t feature_dim = 0;       // input width of the adapter, 0 without one
  std::int64_t num_image_tokens = 0;  // mot: length of the image prefix

  bool is(VlmArch arch) const { return vlm.has_value() && vlm->arch == arch; }
  /// Whether the model has images that are not part of the residual stream.
  bool has_side_channel() const { return vlm.has_value() && !images_in_residual(vlm->arch); }
};

/// The architecture's name as a case writes it: "dense", "moe", "joint_decoder", "cross_attention", "mot",
/// "moma".
std::string arch_name(const Architecture& architecture);

std::string to_string(NormType value);
std::string to_string(Activation value);
std::string to_string(RouterType value);
std::string to_string(BiasSchedule value);
std::string to_string(VlmArch value);
std::string to_string(RopeScaling value);
std::string to_string(AdapterType value);

/// Throws ConfigError "<section>.<field> = <value>: <rule>" for the first rule that is broken.
void validate(const ModelConfig& config);
void validate(const VlmConfig& config, const ModelConfig& model);
void validate(const VisionEncoderConfig& config);
void validate(const AdapterConfig& config);
/// All sections, and the rules between them (the residual fits max_seq_len, pool_heads divides feature_dim).
void validate(const Architecture& architecture);

}  // namespace forgecheck
