// Rotary position embedding, half-split. Source: kempnerforge/model/position.py; Su et al. 2021 (RoFormer).
#pragma once

#include "gpu/runtime/device.h"
#include "reference/config.h"

namespace forgecheck::gpu {

/// cos and sin of position * freq_j, each (positions, d/2).
template <class T>
struct RopeTable {
  DeviceTensor<T> cos;
  DeviceTensor<T> sin;
};

/// Tables for positions 0 .. positions - 1, freq_j = 1 / theta^(2j/d), scaled as `rope` says
/// (reference/ops/rope.h): every step a float32 operation, rounded to T at the end. Computed
/// on the host, once per model: its pow, cos and sin match the reference bit for bit, a device's do not, and
/// an angle of thousands of radians turns the last bit of a frequency into a visible error.
template <class T>
RopeTable<T> rope_table(Device& device, std::int64_t head_dim, std::int64_t positions,
                        const RopeOptions& rope);

/// x, out (B, S, H, d); sequence position s is rotated as position first_position + s:
///   out[j]       = x[j] cos_j       - x[j + d/2] sin_j
///   out[j + d/2] = x[j + d/2] cos_j + x[j] sin_j            for j in 0 .. d/2 - 1
/// Each product and each sum is rounded to T, as in upstream's separate operations. Throws ShapeError if a
/// position is past the end of the table.
template <class T>
DeviceTensor<T> apply_rope(Device& device, const DeviceTensor<T>& x, const RopeTable<T>& table,
                           std::int64_t first_position);

}  // namespace forgecheck::gpu
