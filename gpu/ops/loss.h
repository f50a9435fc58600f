// Training losses, as float tensors of shape {}. Source: kempnerforge/training/loss.py; Chowdhery et al. 2022
// (z-loss). No matrix of log-probabilities is stored; rows are added in a fixed tree.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// mean over the labels != -100 of logsumexp(logits) - logits[label]; 0 if there are none. In float.
/// logits (..., V), labels with one entry a row, each -100 or in 0 .. V - 1: the host has checked.
template <class T>
DeviceTensor<float> cross_entropy(Device& device, const DeviceTensor<T>& logits,
                                  const DeviceTensor<std::int64_t>& labels);

/// The same number, summed in chunks of `chunk_size` rows (upstream's memory-saving form).
/// Divergence D4: with every label ignored upstream returns NaN if one chunk holds all; here 0.
/// Throws ShapeError unless chunk_size is positive.
template <class T>
DeviceTensor<float> chunked_cross_entropy(Device& device, const DeviceTensor<T>& logits,
                                          const DeviceTensor<std::int64_t>& labels, std::int64_t chunk_size);

/// weight * mean over all rows of logsumexp(logits)^2, in float; 0 at weight 0, whatever the logits.
template <class T>
DeviceTensor<float> logit_z_loss(Device& device, const DeviceTensor<T>& logits, double weight);

}  // namespace forgecheck::gpu
