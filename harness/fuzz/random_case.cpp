#include "harness/fuzz/random_case.h"

#include <algorithm>

#include "harness/fuzz/random_draws.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

// What is drawn of each enumeration, the usual values more often.
constexpr NormType kNormTypeDraws[] = {NormType::rmsnorm, NormType::rmsnorm, NormType::layernorm};
constexpr Activation kActivationDraws[] = {Activation::silu, Activation::silu, Activation::gelu,
                                           Activation::relu};
constexpr RouterType kRouterTypeDraws[] = {RouterType::softmax_topk, RouterType::sigmoid_topk};
constexpr BiasSchedule kBiasScheduleDraws[] = {BiasSchedule::constant, BiasSchedule::cosine_decay,
                                               BiasSchedule::linear_warmup};
constexpr AdapterType kAdapterTypeDraws[] = {AdapterType::mlp_2layer, AdapterType::linear,
                                             AdapterType::avgpool, AdapterType::attentional_pool};
constexpr Activation kAdapterActivationDraws[] = {Activation::gelu, Activation::silu, Activation::relu};
constexpr RopeScaling kRopeScalingDraws[] = {RopeScaling::none, RopeScaling::linear, RopeScaling::llama3};
constexpr LossKind kLossKindDraws[] = {LossKind::cross_entropy, LossKind::chunked_cross_entropy};
static_assert(holds_all_of(kNormTypeDraws, kNormTypes) && holds_all_of(kActivationDraws, kActivations) &&
              holds_all_of(kRouterTypeDraws, kRouterTypes) &&
              holds_all_of(kBiasScheduleDraws, kBiasSchedules) &&
              holds_all_of(kAdapterTypeDraws, kAdapterTypes) &&
              holds_all_of(kAdapterActivationDraws, kActivations) &&
              holds_all_of(kRopeScalingDraws, kRopeScalings) && holds_all_of(kLossKindDraws, kLossKinds));

void draw_model(RandomDraws& draws, const CaseSizes& sizes, ModelConfig& model) {
  const std::int64_t head_dim = draws.one_of(sizes.head_dims);
  const std::int64_t kv_heads = draws.between(1, sizes.kv_heads);
  const std::int64_t groups = draws.between(1, sizes.groups);
  model.n_heads = std::min(kv_heads * groups, std::max<std::int64_t>(1, sizes.dim / head_dim));
  model.dim = model.n_heads * head_dim;
  if (model.n_heads % kv_heads == 0 && kv_heads != model.n_heads) model.n_kv_heads = kv_heads;
  model.n_layers = draws.between(1, sizes.layers);
  model.vocab_size = draws.between(2, sizes.vocab);
  model.ffn_hidden_dim = draws.between(1, sizes.ffn);
  model.max_seq_len = 64;
  model.norm_type = draws.one_of(kNormTypeDraws);
  model.norm_eps = draws.one_of({1e-5, 1e-6, 1e-2});
  model.activation = draws.one_of(kActivationDraws);
  model.rope_theta = draws.one_of({10000.0, 500000.0, 100.0});
  model.tie_embeddings = draws.one_in(4);
  model.qk_norm = draws.one_in(3);
}

void draw_experts(RandomDraws& draws, ModelConfig& model) {
  model.num_experts = draws.between(2, 8);
  model.moe_top_k = draws.between(1, std::min<std::int64_t>(4, model.num_experts));
  model.moe_frequency = draws.one_of<std::int64_t>({1, 1, 2});
  model.moe_router = draws.one_of(kRouterTypeDraws);
  model.moe_shared_experts = draws.one_of<std::int64_t>({0, 0, 1, 2});
  model.moe_capacity_factor = draws.one_of({0.0, 0.0, 0.5, 1.0, 1.5});
  model.moe_gradient_scale = draws.one_in(3);
  model.moe_packed_experts = draws.one_in(2);
  model.moe_expert_ffn_multiplier = draws.one_of({1.0, 0.5});
  model.moe_sequence_aux_loss_weight = draws.one_of({0.0, 0.05});
  model.moe_router_z_loss_weight = draws.one_of({0.0, 0.001});
  model.moe_bias_schedule = draws.one_of(kBiasScheduleDraws);
}

/// What checkpoints of other families have.
void draw_foreign_options(RandomDraws& draws, ModelConfig& model) {
  if (draws.one_in(2)) model.head_dim = draws.one_of<std::int64_t>({2, 6, 10, 16});
  model.qkv_bias = draws.one_in(2);
  if (draws.one_in(2)) model.sliding_window = draws.between(1, 8);
  model.rope_scaling = draws.one_of(kRopeScalingDraws);
  model.rope_factor = draws.one_of({1.0, 2.0, 8.0});
  model.rope_low_freq_factor = draws.one_of({1.0, 0.5});
  model.rope_high_freq_factor = draws.one_of({2.0, 4.0});
  model.rope_original_max_seq_len = draws.one_of<std::int64_t>({8, 16, 64});
  model.qk_norm_eps = draws.one_of({1e-5, 1e-6});
  if (model.num_experts > 0 && draws.one_in(2)) model.moe_ffn_hidden_dim = draws.between(1, 40);
}

/// The adapter, and the patches that it reads: a square grid that pooling adapters can divide.
void draw_adapter(RandomDraws& draws, Case& value) {
  AdapterConfig& adapter = value.architecture.adapter.emplace();
  adapter.type = draws.one_of(kAdapterTypeDraws);
  adapter.activation = draws.one_of(kAdapterActivationDraws);
  adapter.hidden_dim = draws.one_of<std::int64_t>({0, 12});
  adapter.pool_heads = draws.between(1, 2);
  value.architecture.feature_dim = 2 * draws.between(1, 8);
  const std::int64_t window = draws.between(1, 2);
  const std::int64_t side = window * draws.between(1, 2);
  adapter.pool_window = window;
  value.inputs.patches = side * side;
}

/// At most `frames`, and no more than max_seq_len has room for next to the text.
std::int64_t frames_that_fit(const Case& value, std::int64_t frames) {
  const std::int64_t tokens = value.architecture.adapter->output_num_tokens(value.inputs.patches);
  const std::int64_t room = value.architecture.model.max_seq_len - value.inputs.text_len;
  return std::min(frames, room / tokens);
}

/// What only one architecture has.
void draw_own_fields(RandomDraws& draws, Case& value) {
  VlmConfig& vlm = *value.architecture.vlm;
  switch (vlm.arch) {
    case VlmArch::joint_decoder:
      return;
    case VlmArch::cross_attention:
      vlm.cross_attention_every_n_layers = draws.between(1, value.architecture.model.n_layers);
      value.inputs.image_mask = value.inputs.image_tokens > 1 && draws.one_in(2);
      return;
    case VlmArch::mot:
      value.architecture.num_image_tokens =
          value.architecture.adapter ? value.architecture.adapter->output_num_tokens(value.inputs.patches)
                                     : value.inputs.image_tokens;
      if (draws.one_in(3)) vlm.mot_modalities = {"text", "image"};
      value.mot_moe_totals = value.architecture.model.num_experts > 0 && draws.one_in(2);
      return;
    case VlmArch::moma:
      vlm.moma_experts_per_modality = {{"image", draws.between(1, 4)}, {"text", draws.between(1, 4)}};
      vlm.moma_capacity_factor = draws.one_of({0.0, 0.0, 0.5});
      vlm.moma_gumbel_noise = draws.one_in(2);
      value.inputs.interleaved = draws.one_in(3);
      return;
  }
  throw_not_an_enumerator("vlm.arch", vlm.arch);
}

/// Whether the length of the image prefix is part of the configuration, so that an image may not have frames.
bool has_fixed_prefix(VlmArch arch) {
  switch (arch) {
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
    case VlmArch::moma:
      return false;
    case VlmArch::mot:
      return true;
  }
  throw_not_an_enumerator("vlm.arch", arch);
}

void draw_images(RandomDraws& draws, Case& value) {
  VlmConfig& vlm = *value.architecture.vlm;
  vlm.max_text_len = 24;
  if (draws.one_in(4)) {
    draw_adapter(draws, value);
    if (!has_fixed_prefix(vlm.arch) && draws.one_in(3))
      value.inputs.frames = frames_that_fit(value, draws.between(1, 3));
  } else {
    value.inputs.image_tokens = draws.between(1, 8);
  }
  draw_own_fields(draws, value);
  value.inputs.padding = (images_in_residual(vlm.arch) || value.inputs.frames > 0) && draws.one_in(3);
}

bool may_have_token_choice(VlmArch arch) {
  switch (arch) {
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
    case VlmArch::mot:
      return true;
    case VlmArch::moma:
      return false;
  }
  throw_not_an_enumerator("vlm.arch", arch);
}

void draw_run(RandomDraws& draws, Case& value) {
  const bool text_only = !value.architecture.vlm;
  const std::int64_t run = draws.between(1, 10);
  value.train = draws.one_in(3);
  if (value.train && draws.one_in(2)) value.moe_step = MoeStep{draws.between(0, 20), 20};
  if (run == 1 && text_only) {
    value.train = false;
    value.run = RunKind::decode;
    const std::int64_t first = draws.between(1, value.inputs.text_len);
    value.chunks = {first};
    for (std::int64_t i = first; i < value.inputs.text_len; ++i) value.chunks.push_back(1);
    return;
  }
  if (run == 2 && text_only) {
    value.train = false;
    value.run = RunKind::generate;
    value.generate.max_new_tokens = draws.between(1, 8);
    return;
  }
  if (value.inputs.text_len > 2 && draws.one_in(6)) value.output_slice = OutputSlice{1, std::nullopt};
  if (value.inputs.text_len > 3 && draws.one_in(3)) value.inputs.documents = draws.between(2, 3);
  if (run <= 4) {
    value.run = RunKind::loss;
    value.inputs.ignore_labels = draws.one_in(2);
    value.loss.kind = draws.one_of(kLossKindDraws);
    value.loss.chunk_size = draws.between(1, 16);
    value.loss.z_loss_weight = draws.one_of({0.0, 0.001});
  } else if (text_only && !value.train && draws.one_in(4)) {
    value.stages = draws.between(1, value.architecture.model.n_layers);
  }
}

}  // namespace

Case random_case(std::uint64_t seed, Family family, const CaseSizes& sizes) {
  RandomDraws draws("random_case", seed);
  Case value;
  value.seed = seed;
  // A dense text model, one with experts, or one of the architectures with images.
  const std::int64_t kind = draws.between(0, 1 + std::ssize(kVlmArchs));
  const bool experts = kind == 1;
  const bool images = kind > 1;
  const VlmArch arch = kVlmArchs[images ? kind - 2 : 0].value;
  value.inputs.batch = draws.between(1, sizes.batch);
  value.inputs.text_len = draws.one_in(5) ? draws.between(sizes.long_text - 8, sizes.long_text)
                                          : draws.between(1, sizes.long_text / 2);
  draw_model(draws, sizes, value.architecture.model);
  if (experts || (images && may_have_token_choice(arch) && draws.one_in(3))) {
    draw_experts(draws, value.architecture.model);
  }
  if (images) {
    value.architecture.vlm.emplace().arch = arch;
    draw_images(draws, value);
  }
  draw_run(draws, value);
  // Last, so that the cases of KempnerForge stay what they are.
  if (family != Family::kempnerforge && !images) draw_foreign_options(draws, value.architecture.model);
  validate(value);
  return value;
}

}  // namespace forgecheck
