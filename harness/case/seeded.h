// Seeded tensors: the same bits in every language, so that goldens need not carry weights.
//
//   splitmix64(z): z += 0x9E3779B97F4A7C15; z = (z ^ z>>30) * 0xBF58476D1CE4E5B9;
//                  z = (z ^ z>>27) * 0x94D049BB133111EB; return z ^ z>>31        (arithmetic mod 2^64)
//   key = fnv1a64(utf-8 name) XOR splitmix64(seed)
//   v_i = splitmix64(key + i) >> 40                                              (24 bits, i row-major)
//   x_i = round32(round32((2 v_i - 2^24) / 2^24 * scale) + offset)               (two roundings to float32)
#pragma once

#include <cstdint>
#include <string_view>

#include "reference/array.h"
#include "reference/parameters.h"
#include "reference/tensor.h"

namespace forgecheck {

std::uint64_t splitmix64(std::uint64_t z);

/// Fowler-Noll-Vo 1a, 64 bits, over the bytes of `text`.
std::uint64_t fnv1a64(std::string_view text);

std::uint64_t seeded_key(std::string_view name, std::uint64_t seed);

/// Uniform in [offset - scale, offset + scale): x_i of the formula above.
Tensor<float> seeded_tensor(std::string_view name, const Shape& shape, std::uint64_t seed, float scale,
                            float offset);

struct SeededRule {
  float scale = 0.0F;
  float offset = 0.0F;
};

/// Scale and offset by the parameter's kind, computed in double and rounded to float32. `in` is the size that
/// is summed over: the last axis, or axis 1 of packed (E, in, out) weights.
///
///   linear, packed_linear, adapter_weight    sqrt(3 / in)     0
///   router_gate                              2 sqrt(3 / in)   0
///   embedding                                sqrt(3)          0
///   norm_weight                              0.25             1
///   norm_bias, expert_bias, adapter_bias,
///   linear_bias                              0.25             0
///   expert_ema                               0.5 / E          1 / E
///
/// Throws ShapeError where the shape has no such axis, or one of size 0.
SeededRule seeded_rule(const ParameterInfo& parameter);

/// seeded_tensor of the parameter's name and shape under its rule.
Tensor<float> seeded_parameter(const ParameterInfo& parameter, std::uint64_t seed);

/// The same numbers, made each time that they are read.
Array made_parameter(const ParameterInfo& parameter, std::uint64_t seed);

}  // namespace forgecheck
