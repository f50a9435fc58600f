// One residual block of each architecture. All of them: x += mixer(norm(x)); x += feed_forward(norm(x)).
#pragma once

#include "reference/models/run.h"

namespace forgecheck {

/// Block "layers.{layer}" of a dense or MoE model on x (B, S, D). Source: TransformerBlock in
/// kempnerforge/model/transformer.py.
template <class T>
Tensor<T> dense_block(Run<T>& run, std::int64_t layer, const Tensor<T>& x,
                      const Tensor<std::int64_t>* doc_ids, const Tensor<std::int64_t>* key_padding_mask,
                      KvCache<T>* cache);

/// Block "cross_attention_layers.{index}" on the text x (B, S, D), which reads image_features (B, N, D).
/// No RoPE, no causal mask, norms with eps 1e-5. Source: kempnerforge/model/cross_attention.py.
template <class T>
Tensor<T> cross_attention_block(Run<T>& run, std::int64_t index, const Tensor<T>& x,
                                const Tensor<T>& image_features, const Tensor<std::int64_t>* image_mask);

/// One stream of a Mixture-of-Transformers: a modality and its part of the residual (B, T_m, D).
template <class T>
struct Stream {
  std::string modality;
  Tensor<T> x;
};

/// Block "layers.{layer}" on all streams, in the order in which attention joins them. Positions start at 0 in
/// each; key_padding_mask (B, sum of T_m) is read in the joined order (divergence D3).
/// Source: kempnerforge/model/mot.py; Liang et al. 2024.
template <class T>
void mot_block(Run<T>& run, std::int64_t layer, std::vector<Stream<T>>& streams,
               const Tensor<std::int64_t>* key_padding_mask);

/// Block "layers.{layer}" with expert choice within each modality; x (B, S, D), modality_ids (B, S). Experts
/// do not choose tokens whose key_padding_mask is false. Source: kempnerforge/model/moma.py.
template <class T>
Tensor<T> moma_block(Run<T>& run, std::int64_t layer, const Tensor<T>& x,
                     const Tensor<std::int64_t>& modality_ids, const Tensor<std::int64_t>* doc_ids,
                     const Tensor<std::int64_t>* key_padding_mask);

}  // namespace forgecheck
