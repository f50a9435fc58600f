// The connector between vision features and the model's width. Source: kempnerforge/model/adapter.py, and
// VLMWrapper in kempnerforge/model/vlm.py for frames and routes.
#pragma once

#include "gpu/models/run.h"
#include "reference/inputs.h"

namespace forgecheck::gpu {

/// The inputs as the model sees them after the adapter: vision_features (B, [frames,] patches, feature_dim)
/// become prefix_embeds, or image_features with cross_attention, filled with zeros; frame_mask becomes
/// key_padding_mask, or image_mask. Inputs without vision_features are returned unchanged. Throws ShapeError
/// if the inputs break a rule.
Inputs after_adapter(const Architecture& architecture, const Inputs& inputs);

/// The embeddings that replace those zeros, (B, frames * tokens, D), tapped as "adapter". Frames are folded
/// into the batch, and their tokens are joined in frame order.
template <class T>
DeviceTensor<T> adapt(Run<T>& run, const Array& vision_features);

}  // namespace forgecheck::gpu
