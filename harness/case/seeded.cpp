#include "harness/case/seeded.h"

#include <fmt/format.h>

#include <cmath>

#include "reference/error.h"

namespace forgecheck {

namespace {

/// Size of one axis as a double; refuses what cannot be divided by.
double axis_size(const ParameterInfo& parameter, std::int64_t axis) {
  if (axis < 0 || axis >= static_cast<std::int64_t>(parameter.shape.size()) ||
      parameter.shape[static_cast<std::size_t>(axis)] <= 0) {
    throw ShapeError(
        fmt::format("[seeded_rule] parameter \"{}\" of shape {} has no axis {} of at least one element",
                    parameter.name, to_string(parameter.shape), axis));
  }
  return static_cast<double>(parameter.shape[static_cast<std::size_t>(axis)]);
}

double last_axis_size(const ParameterInfo& parameter) {
  return axis_size(parameter, static_cast<std::int64_t>(parameter.shape.size()) - 1);
}

}  // namespace

std::uint64_t splitmix64(std::uint64_t z) {
  z += 0x9E3779B97F4A7C15U;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

std::uint64_t fnv1a64(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char c : text) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3U;
  }
  return hash;
}

std::uint64_t seeded_key(std::string_view name, std::uint64_t seed) {
  return fnv1a64(name) ^ splitmix64(seed);
}

namespace {

/// Elements `first` to `first + out.size()`, uniform in offset - scale .. offset + scale.
void draw(std::uint64_t key, float scale, float offset, std::int64_t first, std::span<float> out) {
  for (float& element : out) {
    const std::uint64_t v = splitmix64(key + static_cast<std::uint64_t>(first++)) >> 40;
    // 24 bits times the 24 bits of scale are exact in double: the conversion is the first rounding, and as it
    // stands between the product and the sum no compiler can fuse the two.
    const double unit = (2.0 * static_cast<double>(v) - 0x1p24) / 0x1p24;
    const auto scaled = static_cast<float>(unit * static_cast<double>(scale));
    element = scaled + offset;
  }
}

}  // namespace

Tensor<float> seeded_tensor(std::string_view name, const Shape& shape, std::uint64_t seed, float scale,
                            float offset) {
  Tensor<float> x(shape);
  draw(seeded_key(name, seed), scale, offset, 0, std::span(x.data));
  return x;
}

SeededRule seeded_rule(const ParameterInfo& parameter) {
  switch (parameter.kind) {
    case ParameterKind::linear:
    case ParameterKind::adapter_weight:
      return {static_cast<float>(std::sqrt(3.0 / last_axis_size(parameter))), 0.0F};
    case ParameterKind::packed_linear:
      return {static_cast<float>(std::sqrt(3.0 / axis_size(parameter, 1))), 0.0F};
    case ParameterKind::router_gate:
      return {static_cast<float>(2.0 * std::sqrt(3.0 / last_axis_size(parameter))), 0.0F};
    case ParameterKind::embedding:
      return {static_cast<float>(std::sqrt(3.0)), 0.0F};
    case ParameterKind::norm_weight:
      return {0.25F, 1.0F};
    case ParameterKind::norm_bias:
    case ParameterKind::expert_bias:
    case ParameterKind::adapter_bias:
    case ParameterKind::linear_bias:
      return {0.25F, 0.0F};
    case ParameterKind::expert_ema: {
      const double experts = axis_size(parameter, 0);
      return {static_cast<float>(0.5 / experts), static_cast<float>(1.0 / experts)};
    }
  }
  throw_not_an_enumerator("kind of parameter", parameter.kind);
}

Array made_parameter(const ParameterInfo& parameter, std::uint64_t seed) {
  const std::uint64_t key = seeded_key(parameter.name, seed);
  return Array::made(Dtype::f32, parameter.shape,
                     [rule = seeded_rule(parameter), key](std::int64_t first, std::span<float> out) {
                       draw(key, rule.scale, rule.offset, first, out);
                     });
}

Tensor<float> seeded_parameter(const ParameterInfo& parameter, std::uint64_t seed) {
  const SeededRule rule = seeded_rule(parameter);
  return seeded_tensor(parameter.name, parameter.shape, seed, rule.scale, rule.offset);
}

}  // namespace forgecheck
