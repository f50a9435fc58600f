// Training losses. Source: kempnerforge/training/loss.py; Chowdhery et al. 2022 (z-loss).
#pragma once

#include "reference/tensor.h"

namespace forgecheck {

/// A label that the loss ignores.
inline constexpr std::int64_t kIgnoreIndex = -100;

/// mean over the labels != -100 of logsumexp(logits) - logits[label]; 0 if there are none.
/// logits (..., V), one label per row. Throws ShapeError for a label outside 0 .. V - 1.
template <class T>
compute_t<T> cross_entropy(const Tensor<T>& logits, const Tensor<std::int64_t>& labels);

/// The same number, summed in chunks of `chunk_size` rows (upstream's memory-saving form).
/// Divergence D4: with every label ignored upstream returns NaN if one chunk holds all rows; here 0.
template <class T>
compute_t<T> chunked_cross_entropy(const Tensor<T>& logits, const Tensor<std::int64_t>& labels,
                                   std::int64_t chunk_size);

/// weight * mean over all rows of logsumexp(logits)^2, in the computing type; 0 at weight 0 for any logits.
template <class T>
compute_t<T> logit_z_loss(const Tensor<T>& logits, double weight);

}  // namespace forgecheck
