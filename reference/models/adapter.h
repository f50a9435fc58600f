// The connector between vision features and the model's width. Source: kempnerforge/model/adapter.py, and
// VLMWrapper in kempnerforge/model/vlm.py for frames and routes.
#pragma once

#include "reference/inputs.h"
#include "reference/models/run.h"

namespace forgecheck {

/// features (B, patches, feature_dim) -> (B, tokens, D). Parameters below "adapter.".
///   mlp_2layer        W2 act(W1 x + b1) + b2
///   linear            W x + b
///   avgpool           linear of the window means of the square grid
///   attentional_pool  each window's mean attends to the window's patches; o_proj, then out_proj
template <class T>
Tensor<T> adapt(const AdapterConfig& config, const Weights<T>& weights, const Tensor<T>& features,
                const Arithmetic& arithmetic);

/// frame_mask (B, frames) repeated for each of the frame's tokens, then `tail` true values:
/// (B, frames * tokens + tail).
Array spread_frame_mask(const Array& frame_mask, std::int64_t tokens, std::int64_t tail);

/// The inputs with vision_features turned into prefix_embeds (image_features with cross_attention), and
/// frame_mask into key_padding_mask (image_mask): frames are folded into the batch and their tokens are
/// joined in frame order. Taps "adapter". Everything is validated before any arithmetic. Inputs without
/// vision_features are returned unchanged. Widths and masks as in Inputs; a KV cache is rejected first.
template <class T>
Inputs resolve_vision(const Architecture& architecture, const Weights<T>& weights, const Inputs& inputs,
                      const ForwardOptions& options, Tracer& tracer, bool with_kv_cache = false);

}  // namespace forgecheck
