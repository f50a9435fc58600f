// One tap for the tests of the comparator: the oracle's values, and a baseline with an error of float32's
// size.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string>

#include "harness/case/seeded.h"
#include "harness/verdict/tolerance.h"
#include "reference/numbers.h"

namespace forgecheck {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// Independent draws in [-scale, scale).
inline Tensor<double> draws(const std::string& name, const Shape& shape, double scale) {
  const Tensor<float> values = seeded_tensor(name, shape, 7, 1.0F, 0.0F);
  Tensor<double> out(shape);
  for (std::int64_t i = 0; i < out.size(); ++i) out[i] = static_cast<double>(values[i]) * scale;
  return out;
}

/// Every element of x off by up to `relative` of itself.
inline Tensor<double> with_error(const Tensor<double>& x, const std::string& name, double relative) {
  Tensor<double> out = draws(name, x.shape, relative);
  for (std::int64_t i = 0; i < out.size(); ++i) out[i] = x[i] * (1.0 + out[i]);
  return out;
}

/// For the messages of GoogleTest.
inline void PrintTo(Verdict verdict, std::ostream* out) {
  *out << to_string(verdict);
}

struct TapValues {
  Tensor<double> oracle;
  Tensor<double> baseline;
  Dtype type = Dtype::f32;

  /// The verdict on a candidate stored in float64, so that nothing is lost on the way.
  TapResult compare(const Tensor<double>& candidate) const { return compare(Array::from(candidate)); }
  TapResult compare(const Array& candidate) const {
    return compare_floating("tap", candidate, oracle, baseline, type);
  }
  Verdict verdict(const Tensor<double>& candidate) const { return compare(candidate).verdict; }
};

/// Values of about 1; the baseline is off by up to 8 epsilons of its type, as the sum of a few products is.
inline TapValues tap_values(const Shape& shape, Dtype type = Dtype::f32) {
  const Tensor<double> oracle = draws("oracle", shape, 1.7);
  return {oracle, with_error(oracle, "baseline", 8 * machine_epsilon(type)), type};
}

/// Another right implementation of the same tap.
inline Tensor<double> right_candidate(const TapValues& tap) {
  return with_error(tap.oracle, "candidate", 8 * machine_epsilon(tap.type));
}

}  // namespace forgecheck
