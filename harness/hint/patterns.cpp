#include "harness/hint/patterns.h"

#include <algorithm>
#include <cmath>

#include "harness/verdict/tap_error.h"

namespace forgecheck {

namespace {

struct Precision {
  const char* name;
  double epsilon;
  float (*rounded)(float);
};

/// The first that holds is the coarsest.
constexpr Precision kPrecisions[] = {
    {"bfloat16", 0x1p-7, [](float value) { return static_cast<float>(Bfloat16(value)); }},
    {"float16", 0x1p-10, [](float value) { return half_to_float(float_to_half(value)); }},
};

bool has_only(const Tensor<double>& values, const Precision& precision) {
  return std::ranges::all_of(values.data, [&](double value) {
    return static_cast<double>(precision.rounded(static_cast<float>(value))) == value;
  });
}

Tensor<double> sum_of(const Tensor<double>& x, const Tensor<double>& other, double sign) {
  Tensor<double> sum = x;
  for (std::int64_t i = 0; i < sum.size(); ++i) sum[i] += sign * other[i];
  return sum;
}

/// Whether x was passed on unchanged: nearer than two different computations come.
bool is_copy(const Tensor<double>& x, const Tensor<double>& other, Dtype type) {
  return relative_error(Array::from(x), Array::from(other)) <= machine_epsilon(type) / 16;
}

}  // namespace

std::string precision_hint(const WrongTap& wrong) {
  const TapNumbers& numbers = *wrong.numbers;
  double error = 0, size = 0;
  for (std::int64_t i = 0; i < numbers.values.size(); ++i) {
    error = std::max(error, std::abs(numbers.values[i] - numbers.oracle[i]));
    size = std::max(size, std::abs(numbers.oracle[i]));
  }
  const auto zeros = std::ranges::count(numbers.values.data, 0.0);
  if (numbers.values.size() - zeros < kFew) return "";
  for (const Precision& precision : kPrecisions) {
    if (precision.epsilon <= machine_epsilon(wrong.type)) continue;
    // More than a few roundings: something else is wrong too.
    if (error <= 4 * precision.epsilon * size && has_only(numbers.values, precision)) {
      return std::string("every value has the bits of a ") + precision.name + ": rounded to it on the way";
    }
  }
  return "";
}

std::string other_tap_hint(const WrongTap& wrong) {
  const TapNumbers& numbers = *wrong.numbers;
  if (numbers.oracle.size() < kFew) return "";
  for (const auto& [name, value] : wrong.forced.trace.entries()) {
    if (name == wrong.name) break;
    const std::optional<Tensor<double>> other = found_value(wrong, name);
    if (!other || other->size() != numbers.oracle.size()) continue;
    const Tensor<double> term = other->reshaped(numbers.oracle.shape);
    if (is_copy(numbers.values, term, wrong.type)) return "equal to " + name;
    for (const double sign : {-1.0, 1.0}) {
      const Tensor<double> sum = sum_of(numbers.oracle, term, sign);
      if (!is_nearer(wrong, Array::from(sum))) continue;
      if (!is_explained(wrong, sum, sum_of(numbers.baseline, term, sign))) continue;
      return sign < 0 ? "equal to the oracle minus " + name + ": left out of a sum"
                      : "equal to the oracle plus " + name + ": added once too often";
    }
  }
  return "";
}

}  // namespace forgecheck
