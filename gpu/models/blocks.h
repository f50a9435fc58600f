// One residual block of each architecture. All of them: x += mixer(norm(x)); x += feed_forward(norm(x)).
#pragma once

#include "gpu/models/run.h"

namespace forgecheck::gpu {

/// Block "layers.{layer}" of a dense or MoE model on x (B, S, D); cache may be null. Source: TransformerBlock
/// in kempnerforge/model/transformer.py.
template <class T>
DeviceTensor<T> dense_block(Run<T>& run, std::int64_t layer, const DeviceTensor<T>& x, KvCache<T>* cache);

/// Block "cross_attention_layers.{index}" on the text x (B, S, D), which reads run.inputs.image_features. No
/// RoPE, no causal mask, norms with eps 1e-5. Source: kempnerforge/model/cross_attention.py.
template <class T>
DeviceTensor<T> cross_attention_block(Run<T>& run, std::int64_t index, const DeviceTensor<T>& x);

/// One stream of a Mixture-of-Transformers: a modality and its part of the residual (B, T_m, D).
template <class T>
struct Stream {
  std::string modality;
  DeviceTensor<T> x;
};

/// Block "layers.{layer}" on all streams, in the order in which attention joins them. Positions start at 0 in
/// each; key_padding_mask (B, sum of T_m) is read in the joined order (divergence D3).
/// Source: kempnerforge/model/mot.py; Liang et al. 2024.
template <class T>
void mot_block(Run<T>& run, std::int64_t layer, std::vector<Stream<T>>& streams);

/// Block "layers.{layer}" with expert choice within each modality, on x (B, S, D). The experts add nothing to
/// rows that are not in run.inputs.positions. Source: kempnerforge/model/moma.py.
template <class T>
DeviceTensor<T> moma_block(Run<T>& run, std::int64_t layer, const DeviceTensor<T>& x);

}  // namespace forgecheck::gpu
