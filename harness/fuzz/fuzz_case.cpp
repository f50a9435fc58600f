#include "harness/fuzz/fuzz_case.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/case/case_fields.h"
#include "harness/case/make_inputs.h"
#include "harness/fuzz/transformers_case.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

// Around the sizes of warps, tiles and blocks, where kernels have their edges.
constexpr std::int64_t kEdges[] = {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129};

CaseSizes sizes_of(CaseScale scale) {
  switch (scale) {
    case CaseScale::small:
      return {.head_dims = {2, 4, 6},
              .dim = 16,
              .kv_heads = 2,
              .groups = 2,
              .layers = 2,
              .vocab = 17,
              .ffn = 16,
              .batch = 2,
              .long_text = 9};
    case CaseScale::medium:
      return {};
    case CaseScale::wide:
      return {.head_dims = {32, 64, 128},
              .dim = 256,
              .kv_heads = 2,
              .groups = 2,
              .layers = 2,
              .vocab = 300,
              .ffn = 300,
              .batch = 2,
              .long_text = 24};
  }
  throw_not_an_enumerator("scale", scale);
}

/// The sizes that nothing else depends on.
void draw_edges(RandomDraws& draws, CaseScale scale, Case& value) {
  ModelConfig& model = value.architecture.model;
  const auto edge = [&] { return scale == CaseScale::small ? draws.between(1, 5) : draws.one_of(kEdges); };
  if (draws.one_in(4)) model.vocab_size = std::max<std::int64_t>(2, edge());
  if (draws.one_in(4)) model.ffn_hidden_dim = edge();
  // A longer text, where no part of the run counts its positions.
  const bool text_only = !value.architecture.vlm && value.run == RunKind::forward && value.stages == 0;
  if (scale == CaseScale::small || !text_only || !draws.one_in(4)) return;
  value.inputs.text_len = std::max(value.inputs.text_len, edge());
  model.max_seq_len = std::max(model.max_seq_len, value.inputs.text_len);
}

void draw_decoding(RandomDraws& draws, Case& value) {
  if (value.run == RunKind::decode && draws.one_in(2)) {
    value.chunks.clear();
    for (std::int64_t left = value.inputs.text_len; left > 0; left -= value.chunks.back()) {
      value.chunks.push_back(draws.between(1, left));
    }
  }
  if (value.run != RunKind::generate) return;
  GenerateOptions& generate = value.generate;
  if (draws.one_in(3)) generate.eos_token_id = draws.between(0, value.architecture.model.vocab_size - 1);
  if (draws.one_in(2)) {
    generate.sampling.temperature = draws.one_of({0.5, 1.0, 2.0});
    if (draws.one_in(2)) generate.sampling.top_k = draws.between(1, 5);
    if (draws.one_in(2)) generate.sampling.top_p = draws.one_of({0.5, 0.9});
  }
}

/// Fields that random_case leaves at their defaults.
void draw_other_fields(RandomDraws& draws, Family family, Case& value) {
  Architecture& architecture = value.architecture;
  ModelConfig& model = architecture.model;
  if (model.num_experts > 0) model.moe_aux_loss_weight = draws.one_of({0.01, 0.0, 0.5});
  if (family != Family::kempnerforge && draws.one_in(3)) model.qk_norm_eps = draws.one_of({1e-6, 1e-2});
  if (value.run == RunKind::forward && value.inputs.text_len > 1 && value.stages == 0 && draws.one_in(6)) {
    value.output_slice.emplace().start = draws.between(-2, 1);
    if (draws.one_in(2)) value.output_slice->stop = value.inputs.text_len;
  }
  const bool plain_text = !architecture.vlm && (value.run == RunKind::forward || value.run == RunKind::loss);
  if (plain_text && value.stages == 0 && draws.one_in(4)) {
    value.inputs.embeds = true;
    value.inputs.padding = draws.one_in(2);
  }
  if (!architecture.vlm) return;
  VlmConfig& vlm = *architecture.vlm;
  switch (vlm.arch) {
    case VlmArch::joint_decoder:
    case VlmArch::mot:
      return;
    case VlmArch::cross_attention:
      if (model.dim % 4 == 0 && draws.one_in(2)) {
        vlm.cross_attention_n_heads = draws.one_of<std::int64_t>({1, 2});
        vlm.cross_attention_n_kv_heads = draws.one_of<std::int64_t>({0, 1});
      }
      return;
    case VlmArch::moma:
      if (draws.one_in(3)) vlm.moma_modalities = {"text", "image"};
      return;
  }
  throw_not_an_enumerator("vlm.arch", vlm.arch);
}

/// In one case of ten the feed-forward has the width that follows from dim: a multiple of 256.
void draw_default_width(std::uint64_t seed, Case& value) {
  RandomDraws draws("default width", seed);
  if (!draws.one_in(10)) return;
  value.architecture.model.ffn_hidden_dim.reset();
  value.architecture.model.ffn_dim_multiplier = draws.one_of({1.0, 7.0, 13.0});
}

/// Average pooling takes windows that reach past the edge of the grid: three by three patches in windows of two.
void draw_ragged_windows(std::uint64_t seed, Case& value) {
  RandomDraws draws("ragged windows", seed);
  const bool pools = value.architecture.adapter && value.architecture.adapter->type == AdapterType::avgpool;
  if (!pools || value.inputs.frames > 0 || !draws.one_in(2)) return;
  value.architecture.adapter->pool_window = 2;
  value.inputs.patches = 9;
  if (value.architecture.is(VlmArch::mot)) {
    value.architecture.num_image_tokens = value.architecture.adapter->output_num_tokens(value.inputs.patches);
  }
}

/// Capacities at which a whole number of tokens is a matter of rounding: a seventh of 21 is three, or hardly more.
void draw_even_capacity(std::uint64_t seed, Case& value) {
  RandomDraws draws("even capacity", seed);
  double& capacity = value.architecture.is(VlmArch::moma) ? value.architecture.vlm->moma_capacity_factor
                                                          : value.architecture.model.moe_capacity_factor;
  if (capacity <= 0 || !draws.one_in(3)) return;
  const std::int64_t parts = draws.between(2, 12);
  capacity = static_cast<double>(draws.between(1, parts)) / static_cast<double>(parts);
}

/// Embeddings of unusual sizes, and documents whose ids come again.
void draw_unusual_inputs(std::uint64_t seed, Case& value) {
  RandomDraws draws("unusual inputs", seed);
  SeededInputs& inputs = value.inputs;
  if (inputs.documents > 0) inputs.documents_recur = draws.one_in(3);
  if (!inputs.embeds && inputs.image_tokens == 0 && inputs.patches == 0) return;
  if (draws.one_in(6)) inputs.scale = tiny_scale(value, draws);
  if (draws.one_in(12)) inputs.scale = draws.one_of(kLargeScales);
}

/// One row that is longer than what bfloat16 counts without rounding: 256.
void draw_long_row(std::uint64_t seed, CaseScale scale, Case& value) {
  RandomDraws draws("long row", seed);
  const bool counts_positions = value.run != RunKind::forward || value.stages > 0 || value.architecture.vlm;
  if (scale == CaseScale::small || counts_positions || !draws.one_in(16)) return;
  value.inputs.batch = 1;
  value.architecture.model.n_layers = 1;
  value.inputs.text_len = draws.between(257, 400);
  value.architecture.model.max_seq_len =
      std::max(value.architecture.model.max_seq_len, value.inputs.text_len);
}

/// A value that no rule for this field allows; none where every value of its type is allowed.
std::optional<FieldValue> forbidden_value(RandomDraws& draws, const FieldValue& now) {
  if (std::holds_alternative<double>(now)) {
    const double nan = std::numeric_limits<double>::quiet_NaN(),
                 infinite = std::numeric_limits<double>::infinity();
    return draws.one_of({nan, infinite, -infinite});
  }
  if (std::holds_alternative<std::int64_t>(now)) {
    return draws.one_of<std::int64_t>({-1, std::numeric_limits<std::int64_t>::min()});
  }
  return std::nullopt;
}

/// The inputs as the model gets them: vision features replaced by as many image tokens as the adapter makes of them.
Inputs after_adapter(const Case& value, Inputs inputs) {
  if (!inputs.vision_features) return inputs;
  const Architecture& architecture = value.architecture;
  const std::int64_t tokens = std::max<std::int64_t>(1, value.inputs.frames) *
                              architecture.adapter->output_num_tokens(value.inputs.patches);
  const Array images = Array::from(Tensor<float>({value.inputs.batch, tokens, architecture.model.dim}));
  inputs.vision_features.reset();
  inputs.frame_mask.reset();
  (architecture.has_side_channel() ? inputs.image_features : inputs.prefix_embeds) = images;
  return inputs;
}

}  // namespace

std::optional<std::string> refusal_of(const Case& value) {
  try {
    validate(value);
    const bool with_kv_cache = value.run == RunKind::decode || value.run == RunKind::generate;
    validate_inputs(value.architecture, after_adapter(value, make_inputs(value)), with_kv_cache);
  } catch (const Error& error) {
    return error.what();
  }
  return std::nullopt;
}

bool is_of(Family family, const Case& value) {
  const ModelConfig& model = value.architecture.model;
  switch (family) {
    case Family::any:
      return true;
    case Family::transformers:
      return case_text(for_transformers(value)) == case_text(value);
    case Family::kempnerforge:
      break;
  }
  return !model.head_dim && !model.qkv_bias && model.sliding_window == 0 &&
         model.rope_scaling == RopeScaling::none && !model.moe_ffn_hidden_dim &&
         model.qk_norm_eps == ModelConfig().qk_norm_eps;
}

double tiny_scale(const Case& value, RandomDraws& draws) {
  // Of nothing at all, all logits are the same number; those of the images alone too.
  const bool shows_text = !value.inputs.embeds && !value.output_slice;
  const double scale = draws.one_of({0.0, 1e-40, 1e-20, 1e-6, 1e-3});
  return scale == 0 && !shows_text ? 1e-30 : scale;
}

Case fuzz_case(std::uint64_t seed, Family family, CaseScale scale) {
  Case value = random_case(seed, family, sizes_of(scale));
  RandomDraws draws("fuzz_case", seed);
  draw_edges(draws, scale, value);
  draw_decoding(draws, value);
  Case wider = value;
  draw_other_fields(draws, family, wider);
  draw_default_width(seed, wider);
  draw_ragged_windows(seed, wider);
  draw_even_capacity(seed, wider);
  draw_unusual_inputs(seed, wider);
  draw_long_row(seed, scale, wider);
  if (family == Family::transformers) {
    value = for_transformers(value);
    wider = for_transformers(wider);
  }
  return refusal_of(wider) ? value : wider;
}

InvalidCase invalid_case(std::uint64_t seed, Family family) {
  RandomDraws draws("invalid_case", seed);
  const Case valid = fuzz_case(seed, family, CaseScale::small);
  while (true) {
    const CaseField& field = draws.one_of(case_fields());
    const std::optional<FieldValue> now = written_value(valid, field, Form::text);
    if (!now || field.section.empty()) continue;
    const std::optional<FieldValue> forbidden = forbidden_value(draws, *now);
    if (!forbidden) continue;
    Case broken = valid;
    if (!is_in_use(valid, field.section) || !field.set(broken, *forbidden)) continue;
    return {case_text(broken), field.name, format_value(*forbidden)};
  }
}

}  // namespace forgecheck
