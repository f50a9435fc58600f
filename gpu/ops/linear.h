// Linear projections by cuBLAS. Source: torch.nn.Linear as kempnerforge/model/*.py use it.
#pragma once

#include <vector>

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// out (..., out) = x (..., in) times the transpose of weight (out, in). Sums in float, rounds once.
template <class T>
DeviceTensor<T> linear(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight);

/// As linear(), with bias (out) added before the rounding.
template <class T>
DeviceTensor<T> linear(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight,
                       const DeviceTensor<T>& bias);

/// Rows offsets[e] .. offsets[e + 1] - 1 of x (N, in) through weights[e] (out, in), for every e: (N, out).
template <class T>
DeviceTensor<T> grouped_linear(Device& device, const DeviceTensor<T>& x,
                               const std::vector<DeviceTensor<T>>& weights,
                               const std::vector<std::int64_t>& offsets);

/// out = x + y, elementwise, rounded once: the residual connection.
template <class T>
DeviceTensor<T> add(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& y);

}  // namespace forgecheck::gpu
