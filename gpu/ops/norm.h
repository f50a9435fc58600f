// Normalisation over the last axis. Source: kempnerforge/model/norm.py; Zhang and Sennrich 2019 (RMSNorm),
// Ba, Kiros and Hinton 2016 (LayerNorm).
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// x, out (..., n), weight (n):  out = x / sqrt(mean(x^2) + eps) * weight.
/// Statistics and the product with weight in float, rounded to T once.
template <class T>
DeviceTensor<T> rms_norm(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight, double eps);

/// x, out (..., n), weight, bias (n):  out = (x - mean) / sqrt(var + eps) * weight + bias, with the biased
/// variance mean((x - mean)^2). In float, rounded to T once.
template <class T>
DeviceTensor<T> layer_norm(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight,
                           const DeviceTensor<T>& bias, double eps);

}  // namespace forgecheck::gpu
