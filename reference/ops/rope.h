// Rotary position embedding, half-split. Source: kempnerforge/model/position.py; Su et al. 2021 (RoFormer).
#pragma once

#include "reference/config.h"
#include "reference/tensor.h"

namespace forgecheck {

/// cos and sin of position * freq_j, each (positions, d/2).
template <class T>
struct RopeTable {
  Tensor<T> cos;
  Tensor<T> sin;
};

/// Tables for positions 0 .. positions - 1, freq_j = 1 / theta^(2j/d), scaled as `rope` says:
///   linear  freq_j / factor
///   llama3  as linear for wavelengths 2 pi / freq_j above L / low_freq_factor, L = original_max_seq_len; freq_j
///           for those below L / high_freq_factor; (1 - s) freq_j / factor + s freq_j for those between, with
///           s = (L / wavelength - low_freq_factor) / (high_freq_factor - low_freq_factor). Source:
///           _compute_llama3_parameters in transformers, modeling_rope_utils.py.
/// In double they are the ideal ones; in float every step is a
/// float32 operation, as upstream; bfloat16 tables are the float32 ones rounded.
template <class T>
RopeTable<T> rope_table(std::int64_t head_dim, std::int64_t positions, const RopeOptions& rope);

/// x, out (B, S, H, d); sequence position s is rotated as position first_position + s:
///   out[j]       = x[j] cos_j       - x[j + d/2] sin_j
///   out[j + d/2] = x[j + d/2] cos_j + x[j] sin_j            for j in 0 .. d/2 - 1
/// Each product and each sum rounds, as upstream's separate operations do.
template <class T>
Tensor<T> apply_rope(const Tensor<T>& x, const RopeTable<T>& table, std::int64_t first_position);

}  // namespace forgecheck
