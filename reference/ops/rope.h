// Rotary position embedding, half-split. Source: kempnerforge/model/position.py; Su et al. 2021 (RoFormer).
#pragma once

#include "reference/tensor.h"

namespace forgecheck {

/// cos and sin of position * freq_j, each (positions, d/2), freq_j = 1 / theta^(2j/d).
template <class T>
struct RopeTable {
  Tensor<T> cos;
  Tensor<T> sin;
};

/// Tables for positions 0 .. positions - 1. In double they are the ideal ones; in float every step is a
/// float32 operation, as upstream; bfloat16 tables are the float32 ones rounded.
template <class T>
RopeTable<T> rope_table(std::int64_t head_dim, std::int64_t positions, double theta);

/// x, out (B, S, H, d); sequence position s is rotated as position first_position + s:
///   out[j]       = x[j] cos_j       - x[j + d/2] sin_j
///   out[j + d/2] = x[j + d/2] cos_j + x[j] sin_j            for j in 0 .. d/2 - 1
/// Each product and each sum rounds, as upstream's separate operations do.
template <class T>
Tensor<T> apply_rope(const Tensor<T>& x, const RopeTable<T>& table, std::int64_t first_position);

}  // namespace forgecheck
