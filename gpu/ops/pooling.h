// Pooling of a square grid of image patches, for the adapters that reduce the token count.
// Source: kempnerforge/model/adapter.py.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// x (B, g*g, C) -> (B, ceil(g/w)^2, C): mean over each w x w window of the grid; a window that hangs over
/// the edge averages the cells that it has. The sum rounds, then the quotient. Throws ShapeError where the
/// patches are no square grid.
template <class T>
DeviceTensor<T> average_pool(Device& device, const DeviceTensor<T>& x, std::int64_t window);

/// x (B, g*g, C) -> (B * (g/w)^2, w*w, C): the patches of each window together. Throws ShapeError where g
/// does not divide by w.
template <class T>
DeviceTensor<T> pool_windows(Device& device, const DeviceTensor<T>& x, std::int64_t window);

/// x (M, n, C) -> (M, 1, C): mean over axis 1, rounded once.
template <class T>
DeviceTensor<T> window_mean(Device& device, const DeviceTensor<T>& x);

}  // namespace forgecheck::gpu
