// The first wrong tap of a trace, with everything that hints are derived from.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/tap/tap_kind.h"
#include "harness/verdict/run_forced.h"

namespace forgecheck {

/// A wrong tap's numbers, all of one shape.
struct TapNumbers {
  Tensor<double> values;    // the candidate's
  Tensor<double> oracle;    // on the candidate's own inputs
  Tensor<double> baseline;  // the same in the candidate's type
};

struct WrongTap {
  const Problem& problem;
  const Trace& candidate;
  const ReferenceRun& forced;  // the oracle forced to the candidate's trace
  Dtype type;
  std::string name;
  TapPlace place;
  std::optional<TapNumbers> numbers;  // none for integers or a wrong shape
};

/// This few numbers prove nothing: they follow from any others by some rule.
inline constexpr std::int64_t kFew = 8;

/// A floating point tap as the wrong one's module found it: the candidate's, else the oracle's. None where
/// the case has no such tap.
std::optional<Tensor<double>> found_value(const WrongTap& wrong, const std::string& name);

/// A parameter as the case stores it.
Tensor<double> stored_weight(const WrongTap& wrong, const std::string& name);

/// Whether the wrong values are within their tolerance of `predicted`, whose rounding in the candidate's type
/// is that of `baseline`.
bool is_explained(const WrongTap& wrong, const Tensor<double>& predicted, const Tensor<double>& baseline);

/// The same with a few times the rounding errors of the oracle's own value, for the predicted value's size.
bool is_explained(const WrongTap& wrong, const Tensor<double>& predicted);

/// Whether `predicted` is `times` nearer to the wrong values than the oracle's (more where there are so few
/// that they come near by chance): else it is not worth a closer look.
bool is_nearer(const WrongTap& wrong, const Array& predicted, double times = 2.0);
/// The same for `value` and the oracle's.
bool is_nearer(const Array& value, const Array& predicted, const Array& oracle, double times = 2.0);

}  // namespace forgecheck
