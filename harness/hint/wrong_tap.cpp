#include "harness/hint/wrong_tap.h"

#include <algorithm>
#include <cmath>

#include "harness/verdict/tap_error.h"
#include "harness/verdict/tolerance.h"

namespace forgecheck {

std::optional<Tensor<double>> found_value(const WrongTap& wrong, const std::string& name) {
  const Array* computed = wrong.forced.trace.find(name);
  if (computed == nullptr || !is_floating_point(computed->dtype())) return std::nullopt;
  const Array* given = wrong.candidate.find(name);
  const bool usable =
      given != nullptr && is_floating_point(given->dtype()) && given->shape() == computed->shape();
  return (usable ? given : computed)->to<double>();
}

Tensor<double> stored_weight(const WrongTap& wrong, const std::string& name) {
  return wrong.problem.parameters.at(name).cast(wrong.problem.definition.dtype).to<double>();
}

bool is_explained(const WrongTap& wrong, const Tensor<double>& predicted, const Tensor<double>& baseline) {
  return compare_floating(wrong.name, Array::from(wrong.numbers->values), predicted, baseline, wrong.type)
             .verdict == Verdict::match;
}

bool is_explained(const WrongTap& wrong, const Tensor<double>& predicted) {
  constexpr double kAllowance = 4.0;
  const TapNumbers& numbers = *wrong.numbers;
  if (predicted.shape != numbers.oracle.shape) return false;
  const double size = root_mean_square(numbers.oracle.data);
  const double allowance =
      kAllowance * (size > 0 ? std::max(1.0, root_mean_square(predicted.data) / size) : 1.0);
  Tensor<double> baseline = predicted;
  for (std::int64_t i = 0; i < baseline.size(); ++i) {
    baseline[i] += allowance * (numbers.baseline[i] - numbers.oracle[i]);
  }
  return is_explained(wrong, predicted, baseline);
}

bool is_nearer(const WrongTap& wrong, const Array& predicted, double times) {
  return is_nearer(wrong.candidate.at(wrong.name), predicted, wrong.forced.trace.at(wrong.name), times);
}

bool is_nearer(const Array& value, const Array& predicted, const Array& oracle, double times) {
  const double much = predicted.size() < kFew ? 30.0 : times;
  return much * relative_error(value, predicted) <= relative_error(value, oracle);
}

}  // namespace forgecheck
