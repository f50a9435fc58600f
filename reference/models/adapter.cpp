#include "reference/models/adapter.h"

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/ops/activation.h"
#include "reference/ops/attention.h"
#include "reference/ops/linear.h"
#include "reference/ops/pooling.h"

namespace forgecheck {

namespace {

template <class T>
Tensor<T> project(const Weights<T>& weights, const std::string& name, const Tensor<T>& x,
                  const Arithmetic& arithmetic) {
  return linear(x, weights.view("adapter." + name + ".weight"), weights.at("adapter." + name + ".bias"),
                arithmetic);
}

template <class T>
Tensor<T> attentional_pool(const AdapterConfig& config, const Weights<T>& weights, const Tensor<T>& features,
                           const Arithmetic& arithmetic) {
  // 1. the patches of each window; their mean is the query
  const Tensor<T> windows = pool_windows(features, config.pool_window);  // (M, w*w, C)
  const std::int64_t count = windows.dim(0), patches = windows.dim(1), width = windows.dim(2);
  const auto split = [&](Tensor<T> x) {
    const Shape shape{count, x.dim(1), config.pool_heads, width / config.pool_heads};
    return std::move(x).reshaped(shape);
  };
  const Tensor<T> q = split(project(weights, "q_proj", window_mean(windows), arithmetic));
  const Tensor<T> k = split(project(weights, "k_proj", windows, arithmetic));
  const Tensor<T> v = split(project(weights, "v_proj", windows, arithmetic));
  // 2. attention inside each window, without a mask
  const Tensor<T> context =
      attention(q, k, v, cross_mask(count, 1, patches, nullptr), arithmetic);  // (M, 1, C)
  // 3. two projections
  Tensor<T> pooled = project(weights, "o_proj", context, arithmetic);
  const std::int64_t batch = features.dim(0);
  return project(weights, "out_proj", std::move(pooled).reshaped({batch, count / batch, width}), arithmetic);
}

struct VisionShape {
  std::int64_t batch, frames, patches, tokens;  // tokens: per frame, after the adapter
};

[[noreturn]] void refuse_type(const std::string& name, const Array& array, const std::string& expected) {
  throw ShapeError("[adapter] " + name + " has type " + std::string(torch_name(array.dtype())) +
                   ", expected " + expected);
}

VisionShape vision_shape(const Architecture& architecture, const Inputs& inputs) {
  const Shape& shape = inputs.vision_features->shape();
  const bool video = shape.size() == 4;
  if (!architecture.adapter || architecture.feature_dim <= 0) {
    throw ShapeError("[adapter] vision_features needs an adapter with a feature_dim");
  }
  if ((shape.size() != 3 && !video) || shape.back() != architecture.feature_dim) {
    throw ShapeError("[adapter] vision_features has shape " + to_string(shape) +
                     ", expected (batch, [frames,] " +
                     "patches, feature_dim = " + std::to_string(architecture.feature_dim) + ")");
  }
  if (!is_floating_point(inputs.vision_features->dtype())) {
    refuse_type("vision_features", *inputs.vision_features, "a floating point type");
  }
  if (inputs.prefix_embeds || inputs.image_features || inputs.inputs_embeds) {
    throw ShapeError(
        "[adapter] vision_features excludes prefix_embeds, image_features and inputs_embeds: it makes them");
  }
  const std::int64_t patches = shape[shape.size() - 2];
  const VisionShape vision{shape[0], video ? shape[1] : 1, patches,
                           architecture.adapter->output_num_tokens(patches)};
  if (inputs.frame_mask) {
    if (!video) throw ShapeError("[adapter] frame_mask needs vision_features with frames");
    if (inputs.frame_mask->dtype() != Dtype::boolean) refuse_type("frame_mask", *inputs.frame_mask, "bool");
    require_shape("[adapter] frame_mask", inputs.frame_mask->shape(), {vision.batch, vision.frames});
  }
  return vision;
}

}  // namespace

Array spread_frame_mask(const Array& frame_mask, std::int64_t tokens, std::int64_t tail) {
  const std::int64_t batch = frame_mask.shape()[0], frames = frame_mask.shape()[1];
  Tensor<std::uint8_t> mask({batch, frames * tokens + tail});
  for (std::int64_t i = 0; i < mask.size(); ++i) {
    const std::int64_t b = i / mask.width(), position = i % mask.width();
    const bool image = position < frames * tokens;
    mask[i] = !image || frame_mask.int_at(b * frames + position / tokens) != 0 ? 1 : 0;
  }
  return Array::from(mask);
}

template <class T>
Tensor<T> adapt(const AdapterConfig& config, const Weights<T>& weights, const Tensor<T>& features,
                const Arithmetic& arithmetic) {
  switch (config.type) {
    case AdapterType::mlp_2layer:
      return project(weights, "proj2",
                     activate(project(weights, "proj1", features, arithmetic), config.activation, arithmetic),
                     arithmetic);
    case AdapterType::linear:
      return project(weights, "proj", features, arithmetic);
    case AdapterType::avgpool:
      return project(weights, "proj", average_pool(features, config.pool_window), arithmetic);
    case AdapterType::attentional_pool:
      return attentional_pool(config, weights, features, arithmetic);
  }
  throw_not_an_enumerator("adapter.type", config.type);
}

template <class T>
Inputs resolve_vision(const Architecture& architecture, const Weights<T>& weights, const Inputs& inputs,
                      const ForwardOptions& options, Tracer& tracer, bool with_kv_cache) {
  if (!inputs.vision_features) {
    if (inputs.frame_mask) throw ShapeError("[adapter] frame_mask needs vision_features with frames");
    return inputs;
  }
  const VisionShape vision = vision_shape(architecture, inputs);
  const Shape joined{vision.batch, vision.frames * vision.tokens, architecture.model.dim};
  const bool side_channel = architecture.has_side_channel();

  // 1. the final inputs with zeros as embeddings, so that every rule is checked first
  Inputs resolved = inputs;
  resolved.vision_features.reset();
  resolved.frame_mask.reset();
  std::optional<Array>& embeds = side_channel ? resolved.image_features : resolved.prefix_embeds;
  embeds = Array::from(Tensor<T>(joined));
  if (inputs.frame_mask && inputs.tokens) {
    const std::int64_t text = side_channel ? 0 : inputs.tokens->shape().at(1);
    (side_channel ? resolved.image_mask : resolved.key_padding_mask) =
        spread_frame_mask(*inputs.frame_mask, vision.tokens, text);
  }
  validate_inputs(architecture, resolved, with_kv_cache);

  // 2. the adapter, frames folded into the batch
  const Tensor<T> features = inputs.vision_features->to<T>().reshaped(
      {vision.batch * vision.frames, vision.patches, architecture.feature_dim});
  Tensor<T> out = adapt(*architecture.adapter, weights, features, options.arithmetic).reshaped(joined);
  tracer.tap("adapter", out);
  embeds = Array::from(out);
  return resolved;
}

FORGECHECK_INSTANTIATE(adapt);
FORGECHECK_INSTANTIATE(resolve_vision);

}  // namespace forgecheck
