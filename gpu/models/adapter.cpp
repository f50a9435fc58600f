#include "gpu/models/adapter.h"

#include "gpu/models/instantiate.h"
#include "gpu/models/layer_inputs.h"
#include "gpu/ops/activation.h"
#include "gpu/ops/attention.h"
#include "gpu/ops/linear.h"
#include "gpu/ops/pooling.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

struct VisionShape {
  std::int64_t batch, frames, patches, tokens;  // tokens: per frame, after the adapter
};

VisionShape vision_shape(const Architecture& architecture, const Shape& shape) {
  if (!architecture.adapter || architecture.feature_dim <= 0) {
    throw ShapeError("[adapter] vision_features needs an adapter with a feature_dim");
  }
  const std::size_t axes = shape.size();
  if (axes < 3 || axes > 4 || shape.back() != architecture.feature_dim) {
    throw ShapeError("[adapter] vision_features has shape " + to_string(shape) +
                     ", expected (batch, [frames,] patches, feature_dim = " +
                     std::to_string(architecture.feature_dim) + ")");
  }
  const std::int64_t patches = shape[axes - 2];
  return {shape[0], axes == 4 ? shape[1] : 1, patches, architecture.adapter->output_num_tokens(patches)};
}

/// frame_mask (B, frames) for each of the frame's tokens, then `text` true values.
Array token_mask(const Array& frame_mask, const VisionShape& vision, std::int64_t text) {
  const std::int64_t image = vision.frames * vision.tokens;
  Tensor<std::uint8_t> mask({vision.batch, image + text});
  for (std::int64_t b = 0; b < vision.batch; ++b) {
    for (std::int64_t s = 0; s < image + text; ++s) {
      const bool valid = s >= image || frame_mask.int_at(b * vision.frames + s / vision.tokens) != 0;
      mask[b * (image + text) + s] = valid ? 1 : 0;
    }
  }
  return Array::from(mask);
}

template <class T>
DeviceTensor<T> project(Run<T>& run, const std::string& name, const DeviceTensor<T>& x) {
  const std::string module = "adapter." + name;
  return linear(run.device, x, run.weights.at(module + ".weight"), run.weights.at(module + ".bias"));
}

/// One query for each window of the grid, the mean of its patches, attends to those patches. features
/// (B, patches, C).
template <class T>
DeviceTensor<T> attentional_pool(Run<T>& run, const AdapterConfig& config, const DeviceTensor<T>& features) {
  const DeviceTensor<T> windows = pool_windows(run.device, features, config.pool_window);  // (M, w*w, C)
  const std::int64_t batch = features.dim(0), count = windows.dim(0), width = windows.dim(2);
  const auto heads = [&](const std::string& name, const DeviceTensor<T>& x) {
    return project(run, name, x).reshaped({count, x.dim(1), config.pool_heads, width / config.pool_heads});
  };
  const DeviceTensor<T> q = heads("q_proj", window_mean(run.device, windows));
  const DeviceTensor<T> k = heads("k_proj", windows), v = heads("v_proj", windows);
  const DeviceTensor<T> context =
      attention(run.device, q, key_values(k, v), Visibility{false, 0, nullptr, nullptr});  // (M, 1, C)
  const DeviceTensor<T> pooled = project(run, "o_proj", context);
  return project(run, "out_proj", pooled.reshaped({batch, count / batch, width}));
}

/// features (B, patches, C) -> (B, tokens, D).
template <class T>
DeviceTensor<T> connect(Run<T>& run, const AdapterConfig& config, const DeviceTensor<T>& features) {
  switch (config.type) {
    case AdapterType::linear:
      return project(run, "proj", features);
    case AdapterType::mlp_2layer:
      return project(run, "proj2", activate(run.device, project(run, "proj1", features), config.activation));
    case AdapterType::avgpool:
      return project(run, "proj", average_pool(run.device, features, config.pool_window));
    case AdapterType::attentional_pool:
      return attentional_pool(run, config, features);
  }
  throw_not_an_enumerator("adapter.type", config.type);
}

}  // namespace

Inputs after_adapter(const Architecture& architecture, const Inputs& inputs) {
  if (!inputs.vision_features) {
    if (inputs.frame_mask) throw ShapeError("[adapter] frame_mask needs vision_features with frames");
    return inputs;
  }
  const Shape& shape = inputs.vision_features->shape();
  const VisionShape vision = vision_shape(architecture, shape);
  if (!is_floating_point(inputs.vision_features->dtype())) {
    throw ShapeError("[adapter] vision_features has type " +
                     std::string(torch_name(inputs.vision_features->dtype())) +
                     ", expected a floating point type");
  }
  if (inputs.prefix_embeds || inputs.image_features || inputs.inputs_embeds) {
    throw ShapeError(
        "[adapter] vision_features excludes prefix_embeds, image_features and inputs_embeds: it makes them");
  }
  if (inputs.frame_mask && shape.size() != 4) {
    throw ShapeError("[adapter] frame_mask needs vision_features with frames");
  }
  const bool side_channel = architecture.has_side_channel();
  Inputs after = inputs;
  after.vision_features.reset();
  after.frame_mask.reset();
  (side_channel ? after.image_features : after.prefix_embeds) =
      Array::from(Tensor<float>({vision.batch, vision.frames * vision.tokens, architecture.model.dim}));
  if (inputs.frame_mask) {
    if (inputs.frame_mask->dtype() != Dtype::boolean) {
      throw ShapeError("[adapter] frame_mask has type " +
                       std::string(torch_name(inputs.frame_mask->dtype())) + ", expected bool");
    }
    require_shape("[adapter] frame_mask", inputs.frame_mask->shape(), {vision.batch, vision.frames});
    const std::int64_t text =
        inputs.tokens && inputs.tokens->shape().size() == 2 ? inputs.tokens->shape()[1] : 0;
    (side_channel ? after.image_mask : after.key_padding_mask) =
        token_mask(*inputs.frame_mask, vision, side_channel ? 0 : text);
  }
  return after;
}

template <class T>
DeviceTensor<T> adapt(Run<T>& run, const Array& vision_features) {
  const VisionShape vision = vision_shape(run.architecture, vision_features.shape());
  const DeviceTensor<T> features =
      upload_values<T>(run.device, vision_features, "vision_features")
          .reshaped({vision.batch * vision.frames, vision.patches, run.architecture.feature_dim});
  const DeviceTensor<T> out = connect(run, *run.architecture.adapter, features)
                                  .reshaped({vision.batch, vision.frames * vision.tokens, run.model().dim});
  run.recorder.tap("adapter", out);
  return out;
}

FORGECHECK_INSTANTIATE_GPU(adapt);

}  // namespace forgecheck::gpu
