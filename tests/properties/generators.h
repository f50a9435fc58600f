// Helpers for the properties: a fixed seed (RC_PARAMS in the environment overrides it), and random tensors of
// values that are neither huge nor tiny.
#pragma once

#include <gtest/gtest.h>
// After gtest.
#include <rapidcheck/gtest.h>

#include <cstdlib>

#include "tests/reference/ops/values.h"

namespace forgecheck {

inline const int kSeedIsFixed = setenv("RC_PARAMS", "seed=20240607", 0);

inline std::int64_t size_between(std::int64_t low, std::int64_t high) {
  return *rc::gen::inRange<std::int64_t>(low, high + 1);
}

/// A multiple of 1/256 in [-limit, limit]: exact in float32, and ties are common.
inline rc::Gen<double> value_within(int limit) {
  return rc::gen::map(rc::gen::inRange(-256 * limit, 256 * limit + 1),
                      [](int numerator) { return static_cast<double>(numerator) / 256.0; });
}

template <class T = double>
Tensor<T> random_tensor(const Shape& shape, int limit = 4) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  return tensor<T>(shape, *rc::gen::container<std::vector<double>>(count, value_within(limit)));
}

inline Ids random_ids(const Shape& shape, std::int64_t low, std::int64_t high) {
  const auto count = static_cast<std::size_t>(element_count(shape));
  return Ids(shape, *rc::gen::container<std::vector<std::int64_t>>(count, rc::gen::inRange(low, high + 1)));
}

inline bool within(double a, double b, double tolerance) {
  return std::fabs(a - b) <= tolerance;
}

inline bool all_within(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!within(a[i], b[i], tolerance)) return false;
  }
  return true;
}

inline double sum_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum;
}

}  // namespace forgecheck
