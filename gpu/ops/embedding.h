// Token embedding, and copies of rows and sequences. Source: kempnerforge/model/embedding.py.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// out (B, T, D): row tokens[b, t] of weight (V, D). Tokens must be in 0 .. V - 1: the host has checked.
template <class T>
DeviceTensor<T> embedding(Device& device, const DeviceTensor<std::int64_t>& tokens,
                          const DeviceTensor<T>& weight);

/// Joins (B, S1, D) and (B, S2, D) along the sequence: the first before the second.
template <class T>
DeviceTensor<T> concat_sequence(Device& device, const DeviceTensor<T>& first, const DeviceTensor<T>& second);

/// Positions begin .. end - 1 of x (B, S, D).
template <class T>
DeviceTensor<T> slice_sequence(Device& device, const DeviceTensor<T>& x, std::int64_t begin,
                               std::int64_t end);

/// The rows of x (N, D) that `rows` (n) names, in that order: (n, D).
template <class T>
DeviceTensor<T> gather_rows(Device& device, const DeviceTensor<T>& x, const DeviceTensor<std::int64_t>& rows);

/// A tensor of zeros.
template <class T>
DeviceTensor<T> zeros(Device& device, const Shape& shape);

/// Writes row i of x (n, D) to row rows[i] of out (N, D), in place; no row is named twice.
template <class T>
void scatter_rows(Device& device, const DeviceTensor<T>& out, const DeviceTensor<T>& x,
                  const DeviceTensor<std::int64_t>& rows);

}  // namespace forgecheck::gpu
