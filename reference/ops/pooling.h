// Pooling of a square grid of image patches, for the adapters that reduce the token count.
// Source: kempnerforge/model/adapter.py.
#pragma once

#include "reference/tensor.h"

namespace forgecheck {

/// x (B, g*g, C) -> (B, ceil(g/w)^2, C): mean over each w x w window of the grid; a window that extends past
/// the edge averages the cells inside the grid. The sum rounds, then the quotient.
template <class T>
Tensor<T> average_pool(const Tensor<T>& x, std::int64_t window);

/// x (B, g*g, C) -> (B * (g/w)^2, w*w, C): the patches of each window together. w must divide g.
template <class T>
Tensor<T> pool_windows(const Tensor<T>& x, std::int64_t window);

/// x (M, n, C) -> (M, 1, C): mean over axis 1, rounded once.
template <class T>
Tensor<T> window_mean(const Tensor<T>& x);

}  // namespace forgecheck
