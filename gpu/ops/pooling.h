// Pooling of a square grid of image patches, for the adapters that reduce the token count.
// Source: kempnerforge/model/adapter.py.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// x (B, g*g, C) -> (B, ceil(g/w)^2, C): mean over each w x w window of the grid; a window that overhangs
/// the edge averages only its cells inside the grid. The sum is rounded, then the quotient. Throws ShapeError
/// if the patches do not form a square grid.
template <class T>
DeviceTensor<T> average_pool(Device& device, const DeviceTensor<T>& x, std::int64_t window);

/// x (B, g*g, C) -> (B * (g/w)^2, w*w, C): the patches of each window together. Throws ShapeError if g
/// is not a multiple of w.
template <class T>
DeviceTensor<T> pool_windows(Device& device, const DeviceTensor<T>& x, std::int64_t window);

/// x (M, n, C) -> (M, 1, C): mean over axis 1, rounded once.
template <class T>
DeviceTensor<T> window_mean(Device& device, const DeviceTensor<T>& x);

}  // namespace forgecheck::gpu
