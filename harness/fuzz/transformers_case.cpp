#include "harness/fuzz/transformers_case.h"

namespace forgecheck {

namespace {

/// What no model of transformers here has.
void remove_other_options(ModelConfig& model) {
  const ModelConfig usual;
  model.norm_type = usual.norm_type;
  model.activation = usual.activation;
  model.moe_router = usual.moe_router;
  model.moe_frequency = usual.moe_frequency;
  model.moe_shared_experts = usual.moe_shared_experts;
  model.moe_capacity_factor = usual.moe_capacity_factor;
  model.moe_packed_experts = usual.moe_packed_experts;
}

/// Each class has one thing of its own: Mixtral experts, Qwen3 norms of queries and keys, Qwen2 biases.
void keep_to_one_class(ModelConfig& model) {
  if (model.num_experts > 0) {
    model.qk_norm = model.qkv_bias = false;
  } else if (model.qk_norm) {
    model.qkv_bias = false;
    model.sliding_window = 0;
    model.qk_norm_eps = model.norm_eps;
  } else if (model.qkv_bias) {
    model.head_dim.reset();
  }
}

/// The configurations of transformers have no default widths that follow from dim.
void give_widths(ModelConfig& model) {
  model.ffn_hidden_dim = model.computed_ffn_hidden_dim();
  if (model.num_experts > 0 && !model.moe_ffn_hidden_dim) model.moe_ffn_hidden_dim = model.ffn_hidden_dim;
}

void keep_tokens_only(Case& value) {
  value.train = false;
  value.moe_step.reset();
  value.output_slice.reset();
  value.stages = value.greedy_from = value.greedy_new_tokens = 0;
  value.generate = {};
  value.loss = {};
  if (value.run != RunKind::decode) value.run = RunKind::forward;
  SeededInputs tokens;
  tokens.batch = value.inputs.batch;
  tokens.text_len = value.inputs.text_len;
  value.inputs = tokens;
}

}  // namespace

Case without_images(const Case& value) {
  Case text = value;
  text.architecture.vlm.reset();
  text.architecture.adapter.reset();
  text.architecture.feature_dim = text.architecture.num_image_tokens = 0;
  text.inputs.image_tokens = text.inputs.patches = text.inputs.frames = 0;
  text.inputs.padding = text.inputs.image_mask = text.inputs.interleaved = text.mot_moe_totals = false;
  return text;
}

Case for_transformers(const Case& value) {
  Case nearest = without_images(value);
  ModelConfig& model = nearest.architecture.model;
  remove_other_options(model);
  keep_to_one_class(model);
  give_widths(model);
  keep_tokens_only(nearest);
  return nearest;
}

}  // namespace forgecheck
