#include "harness/tap/tap_lengths.h"

#include "reference/error.h"
#include "reference/models/adapter.h"

namespace forgecheck {

Inputs shapes_after_adapter(const Architecture& architecture, const Inputs& inputs, bool with_kv_cache) {
  Inputs resolved = inputs;
  if (inputs.vision_features) {
    const Shape& shape = inputs.vision_features->shape();
    const bool video = shape.size() == 4;
    if (!architecture.adapter || (shape.size() != 3 && !video)) {
      throw ShapeError("[taps] vision_features has shape " + to_string(shape) +
                       ": needs an adapter, and (batch, [frames,] patches, feature_dim)");
    }
    const std::int64_t frames = video ? shape[1] : 1;
    const std::int64_t tokens = architecture.adapter->output_num_tokens(shape[shape.size() - 2]);
    const Array zeros = Array::from(Tensor<float>({shape[0], frames * tokens, architecture.model.dim}));
    const bool cross = architecture.is(VlmArch::cross_attention);
    (cross ? resolved.image_features : resolved.prefix_embeds) = zeros;
    resolved.vision_features.reset();
    resolved.frame_mask.reset();
    if (inputs.frame_mask && inputs.tokens) {
      require_shape("[taps] frame_mask", inputs.frame_mask->shape(), {shape[0], frames});
      const std::int64_t text = cross ? 0 : inputs.tokens->shape().back();
      (cross ? resolved.image_mask : resolved.key_padding_mask) =
          spread_frame_mask(*inputs.frame_mask, tokens, text);
    }
  }
  validate_inputs(architecture, resolved, with_kv_cache);
  return resolved;
}

Lengths lengths_of(const Architecture& architecture, const Inputs& inputs) {
  Lengths lengths;
  const auto length = [&](const std::optional<Array>& array) {
    if (!array) return std::int64_t{0};
    lengths.batch = array->shape().at(0);
    return array->shape().at(1);
  };
  lengths.text = length(inputs.tokens);
  lengths.images = length(inputs.prefix_embeds) + length(inputs.image_features);
  const std::int64_t prefix = architecture.is(VlmArch::cross_attention) ? 0 : lengths.images;
  lengths.residual = inputs.inputs_embeds ? length(inputs.inputs_embeds) : prefix + lengths.text;
  return lengths;
}

std::int64_t count_tokens(const Inputs& inputs, std::int64_t id) {
  const Array& ids = inputs.modality_ids.value();  // required by expert choice
  std::int64_t count = 0;
  for (std::int64_t i = 0; i < ids.size(); ++i) {
    const bool valid = !inputs.key_padding_mask || inputs.key_padding_mask->int_at(i) != 0;
    if (ids.int_at(i) == id && valid) ++count;
  }
  return count;
}

}  // namespace forgecheck
