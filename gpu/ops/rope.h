// Rotary position embedding, half-split. Source: kempnerforge/model/position.py; Su et al. 2021 (RoFormer).
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// cos and sin of position * freq_j, each (positions, d/2), freq_j = 1 / theta^(2j/d).
template <class T>
struct RopeTable {
  DeviceTensor<T> cos;
  DeviceTensor<T> sin;
};

/// Tables for positions 0 .. positions - 1: every step a float32 operation, rounded to T at the end. Made by
/// the host, once a model: its pow, cos and sin are those of the reference to the bit, a device's are not,
/// and an angle of thousands of radians turns the last bit of a frequency into a visible error.
template <class T>
RopeTable<T> rope_table(Device& device, std::int64_t head_dim, std::int64_t positions, double theta);

/// x, out (B, S, H, d); sequence position s is rotated as position first_position + s:
///   out[j]       = x[j] cos_j       - x[j + d/2] sin_j
///   out[j + d/2] = x[j + d/2] cos_j + x[j] sin_j            for j in 0 .. d/2 - 1
/// Each product and each sum rounds to T, as upstream's separate operations do. Throws ShapeError where a
/// position is past the table's last.
template <class T>
DeviceTensor<T> apply_rope(Device& device, const DeviceTensor<T>& x, const RopeTable<T>& table,
                           std::int64_t first_position);

}  // namespace forgecheck::gpu
