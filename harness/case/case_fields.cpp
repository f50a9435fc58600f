#include "harness/case/case_fields.h"

#include <tuple>

#include "harness/case/field_row.h"

namespace forgecheck {

namespace {

template <class Part>
Part& engaged(std::optional<Part>& part) {
  return part ? *part : part.emplace();
}
template <class Part>
const Part* pointer(const std::optional<Part>& part) {
  return part ? &*part : nullptr;
}

const Section<ModelConfig> kModel = {"model", Place::brackets,
                                     [](const Case& c) { return &c.architecture.model; },
                                     [](Case& c) -> ModelConfig& { return c.architecture.model; }};
const Section<VlmConfig> kVlm = {"vlm", Place::brackets,
                                 [](const Case& c) { return pointer(c.architecture.vlm); },
                                 [](Case& c) -> VlmConfig& { return engaged(c.architecture.vlm); }};
const Section<VisionEncoderConfig> kVision = {
    "vision_encoder", Place::file, [](const Case& c) { return pointer(c.architecture.vision_encoder); },
    [](Case& c) -> VisionEncoderConfig& { return engaged(c.architecture.vision_encoder); }};
const Section<AdapterConfig> kAdapter = {
    "adapter", Place::brackets, [](const Case& c) { return pointer(c.architecture.adapter); },
    [](Case& c) -> AdapterConfig& { return engaged(c.architecture.adapter); }};
const Section<Architecture> kArchitecture = {"", Place::brackets,
                                             [](const Case& c) { return &c.architecture; },
                                             [](Case& c) -> Architecture& { return c.architecture; }};
const Section<SeededInputs> kInputs = {"inputs", Place::sizes, [](const Case& c) { return &c.inputs; },
                                       [](Case& c) -> SeededInputs& { return c.inputs; }};
const Section<GenerateOptions> kGenerate = {"generate", Place::run, [](const Case& c) { return &c.generate; },
                                            [](Case& c) -> GenerateOptions& { return c.generate; }};
const Section<SamplingOptions> kSampling = {"generate", Place::run,
                                            [](const Case& c) { return &c.generate.sampling; },
                                            [](Case& c) -> SamplingOptions& { return c.generate.sampling; }};
const Section<LossOptions> kLoss = {"loss", Place::run, [](const Case& c) { return &c.loss; },
                                    [](Case& c) -> LossOptions& { return c.loss; }};
const Section<Case> kCase = {"", Place::segment, [](const Case& c) { return &c; },
                             [](Case& c) -> Case& { return c; }};

std::vector<CaseField> model_fields() {
  using C = ModelConfig;
  return {
      field(kModel, "dim", &C::dim),
      field(kModel, "n_layers", &C::n_layers),
      field(kModel, "n_heads", &C::n_heads),
      field(kModel, "n_kv_heads", &C::n_kv_heads),
      field(kModel, "vocab_size", &C::vocab_size),
      field(kModel, "ffn_dim_multiplier", &C::ffn_dim_multiplier),
      field(kModel, "ffn_hidden_dim", &C::ffn_hidden_dim),
      choice(kModel, "norm_type", &C::norm_type, named(kNormTypes)),
      field(kModel, "norm_eps", &C::norm_eps),
      choice(kModel, "activation", &C::activation, named(kActivations)),
      field(kModel, "max_seq_len", &C::max_seq_len),
      field(kModel, "rope_theta", &C::rope_theta),
      field(kModel, "tie_embeddings", &C::tie_embeddings),
      field(kModel, "qk_norm", &C::qk_norm),
      field(kModel, "init_std", &C::init_std),
      field(kModel, "model_type", &C::model_type),
      field(kModel, "sdpa_backend", &C::sdpa_backend),
      field(kModel, "num_experts", &C::num_experts),
      field(kModel, "moe_top_k", &C::moe_top_k),
      field(kModel, "moe_frequency", &C::moe_frequency),
      choice(kModel, "moe_router", &C::moe_router, named(kRouterTypes)),
      field(kModel, "moe_shared_experts", &C::moe_shared_experts),
      field(kModel, "moe_aux_loss_weight", &C::moe_aux_loss_weight),
      field(kModel, "moe_capacity_factor", &C::moe_capacity_factor),
      field(kModel, "moe_sequence_aux_loss_weight", &C::moe_sequence_aux_loss_weight),
      field(kModel, "moe_gradient_scale", &C::moe_gradient_scale),
      choice(kModel, "moe_bias_schedule", &C::moe_bias_schedule, named(kBiasSchedules)),
      field(kModel, "moe_packed_experts", &C::moe_packed_experts),
      field(kModel, "moe_expert_ffn_multiplier", &C::moe_expert_ffn_multiplier),
      field(kModel, "moe_router_z_loss_weight", &C::moe_router_z_loss_weight),
      // Not keys of upstream's files, but a case of a Hugging Face checkpoint must not lose them.
      field(kModel, "qk_norm_eps", &C::qk_norm_eps),
      field(kModel, "head_dim", &C::head_dim),
      field(kModel, "qkv_bias", &C::qkv_bias),
      field(kModel, "sliding_window", &C::sliding_window),
      choice(kModel, "rope_scaling", &C::rope_scaling, named(kRopeScalings)),
      field(kModel, "rope_factor", &C::rope_factor),
      field(kModel, "rope_low_freq_factor", &C::rope_low_freq_factor),
      field(kModel, "rope_high_freq_factor", &C::rope_high_freq_factor),
      field(kModel, "rope_original_max_seq_len", &C::rope_original_max_seq_len),
      field(kModel, "moe_ffn_hidden_dim", &C::moe_ffn_hidden_dim),
  };
}

std::vector<CaseField> vlm_fields() {
  using C = VlmConfig;
  return {
      choice(kVlm, "arch", &C::arch, named(kVlmArchs)).is(Written::always).at(Place::name),
      field(kVlm, "max_text_len", &C::max_text_len),
      field(kVlm, "cross_attention_every_n_layers", &C::cross_attention_every_n_layers),
      field(kVlm, "cross_attention_n_heads", &C::cross_attention_n_heads),
      field(kVlm, "cross_attention_n_kv_heads", &C::cross_attention_n_kv_heads),
      field(kVlm, "mot_modalities", &C::mot_modalities),
      field(kVlm, "mot_image_n_heads", &C::mot_image_n_heads),
      field(kVlm, "mot_image_n_kv_heads", &C::mot_image_n_kv_heads),
      field(kVlm, "mot_warm_start_from_text", &C::mot_warm_start_from_text),
      field(kVlm, "mot_warm_start_path", &C::mot_warm_start_path),
      field(kVlm, "moma_modalities", &C::moma_modalities),
      field(kVlm, "moma_experts_per_modality", &C::moma_experts_per_modality),
      field(kVlm, "moma_capacity_factor", &C::moma_capacity_factor),
      field(kVlm, "moma_gumbel_noise", &C::moma_gumbel_noise),
      field(kArchitecture, "num_image_tokens", &Architecture::num_image_tokens),
  };
}

std::vector<CaseField> vision_fields() {
  using C = AdapterConfig;
  Row feature_dim = field(kArchitecture, "feature_dim", &Architecture::feature_dim).in(kAdapter.name);
  feature_dim.written = Written::always;
  feature_dim.get = [](const Case& value) -> std::optional<FieldValue> {
    if (!value.architecture.adapter) return std::nullopt;
    return value.architecture.feature_dim;
  };
  return {
      choice(kAdapter, "type", &C::type, named(kAdapterTypes)).is(Written::always),
      field(kAdapter, "hidden_dim", &C::hidden_dim),
      choice(kAdapter, "activation", &C::activation, named(kActivations)),
      field(kAdapter, "pool_window", &C::pool_window),
      field(kAdapter, "pool_heads", &C::pool_heads),
      feature_dim,
      field(kVision, "type", &VisionEncoderConfig::type),
      field(kVision, "path", &VisionEncoderConfig::path),
      field(kVision, "feature_dim", &VisionEncoderConfig::feature_dim),
      field(kVision, "num_tokens", &VisionEncoderConfig::num_tokens),
  };
}

std::vector<CaseField> input_fields() {
  using C = SeededInputs;
  return {
      field(kInputs, "batch", &C::batch).is(Written::always_in_text).at_least(0),
      field(kInputs, "text_len", &C::text_len).is(Written::always_in_text).at_least(0),
      field(kInputs, "image_tokens", &C::image_tokens).at_least(0),
      field(kInputs, "patches", &C::patches).at_least(0),
      field(kInputs, "frames", &C::frames).at_least(0),
      field(kInputs, "documents", &C::documents).at_least(0),
      field(kInputs, "embeds", &C::embeds),
      field(kInputs, "padding", &C::padding),
      field(kInputs, "image_mask", &C::image_mask),
      field(kInputs, "interleaved", &C::interleaved),
      field(kInputs, "ignore_labels", &C::ignore_labels),
      field(kInputs, "documents_recur", &C::documents_recur),
      field(kInputs, "scale", &C::scale).at_least(0),
  };
}

std::vector<CaseField> run_fields() {
  using C = Case;
  return {
      field(kCase, "seed", &C::seed).is(Written::always),
      choice<Case, bool>(kCase, "mode", &C::train, {{"eval", false}, {"train", true}})
          .is(Written::always_in_json)
          .at(Place::word),
      choice<Case, Dtype>(kCase, "dtype", &C::dtype, {{"float32", Dtype::f32}, {"bfloat16", Dtype::bf16}})
          .is(Written::always_in_json)
          .at(Place::word),
      choice(kCase, "run", &C::run, named(kRunKinds)).is(Written::always_in_json).at(Place::name),
      field(kCase, "chunks", &C::chunks).at(Place::run).split_by('+').at_least(1),
      field(kGenerate, "max_new_tokens", &GenerateOptions::max_new_tokens).is(Written::always).at_least(0),
      field(kGenerate, "eos_token_id", &GenerateOptions::eos_token_id).at_least(0),
      field(kSampling, "temperature", &SamplingOptions::temperature),
      field(kSampling, "top_k", &SamplingOptions::top_k),
      field(kSampling, "top_p", &SamplingOptions::top_p),
      choice(kLoss, "kind", &LossOptions::kind, named(kLossKinds)).is(Written::always),
      field(kLoss, "chunk_size", &LossOptions::chunk_size).is(Written::where_chunked).at_least(1),
      field(kLoss, "z_loss_weight", &LossOptions::z_loss_weight).at_least(0),
      field(kCase, "output_slice", &C::output_slice).split_by(':'),
      field(kCase, "moe_step", &C::moe_step).split_by(':').at_least(0),
      field(kCase, "stages", &C::stages).at_least(0),
      field(kCase, "mot_moe_totals", &C::mot_moe_totals),
      row(
          kCase, "greedy_from", "a pair of integers",
          [](const Case& value) -> std::optional<FieldValue> {
            return Integers{value.greedy_from, value.greedy_new_tokens};
          },
          [](Case& value, const FieldValue& given) {
            const auto pair = read_pair(given);
            if (pair) std::tie(value.greedy_from, value.greedy_new_tokens) = *pair;
            return pair.has_value();
          })
          .split_by(':')
          .at_least(0),
  };
}

std::vector<CaseField> all_fields() {
  std::vector<CaseField> all;
  for (const auto& part : {model_fields(), vlm_fields(), vision_fields(), input_fields(), run_fields()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

}  // namespace

const std::vector<CaseField>& case_fields() {
  static const std::vector<CaseField> fields = all_fields();
  return fields;
}

}  // namespace forgecheck
