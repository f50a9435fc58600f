#include "harness/verdict/tolerance.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "harness/verdict/tap_error.h"
#include "reference/error.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

std::string format(double value) {
  return fmt::format("{:.9g}", value);
}

TapResult mismatch(const std::string& name, const std::string& message) {
  return {name, Verdict::mismatch, kInfinity, 0.0, kInfinity, message};
}

/// Whether two values are of one kind: both finite, both NaN, or the same infinity.
bool same_kind(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  if (std::isinf(a) || std::isinf(b)) return a == b;
  return true;
}

/// |a - b| of two values of one kind; 0 where neither is finite.
double finite_distance(double a, double b) {
  return std::isfinite(a) && std::isfinite(b) ? std::abs(a - b) : 0.0;
}

/// The upper decile: a few bad rows of the baseline do not move it. 0 if there are no values.
double upper_decile(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto at = values.begin() + (std::ssize(values) - 1) * 9 / 10;
  std::ranges::nth_element(values, at);
  return *at;
}

/// How a type stores and sums, and the multiple of the baseline's error that candidates in it may have.
struct Precision {
  int digits;               // of the stored significand
  int smallest;             // exponent of the smallest positive value
  double unit_accumulated;  // unit roundoff of its sums
  double kappa;
};

Precision precision_of(Dtype type) {
  switch (type) {
    case Dtype::f64:
      return {53, -1074, 0x1p-53, 4.0};
    case Dtype::f32:
      return {24, -149, 0x1p-24, 4.0};
    case Dtype::bf16:
      return {8, -133, 0x1p-24, 2.0};
    case Dtype::f16:
    case Dtype::i64:
    case Dtype::i32:
    case Dtype::u8:
    case Dtype::boolean:
      throw ConfigError("tolerance: no candidate computes in " + std::string(torch_name(type)));
  }
  throw_not_an_enumerator("dtype", type);
}

/// h: half a unit in the last place at `value`.
double half_unit(double value, const Precision& precision) {
  if (value == 0) return 0;
  int exponent = 0;
  std::frexp(value, &exponent);
  return std::ldexp(0.5, std::max(exponent - precision.digits, precision.smallest));
}

/// Whether a tap is one number, for which a baseline is a single draw: its bound comes from the sampled runs.
/// In float64 there are none.
bool is_judged_by_runs(const Tensor<double>& oracle, Dtype type) {
  return oracle.size() == 1 && type != Dtype::f64;
}

/// What the tolerances of a tap are made of.
struct BaselineErrors {
  std::vector<double> size;    // of each row: rms of the oracle
  std::vector<double> beyond;  // of each row: max |baseline - oracle| - h
  double rho = 0.0;
  double typical = 0.0;
};

BaselineErrors baseline_errors(const Tensor<double>& oracle, const Tensor<double>& baseline,
                               const Tensor<double>& stored, Dtype type) {
  BaselineErrors errors;
  if (is_judged_by_runs(oracle, type)) {
    errors.size = {std::abs(oracle[0])};
    errors.beyond = {0.0};
    return errors;
  }
  std::vector<double> relative;
  for (std::int64_t r = 0; r < oracle.rows(); ++r) {
    double beyond = 0;
    for (std::int64_t i = r * oracle.width(); i < (r + 1) * oracle.width(); ++i) {
      beyond = std::max(beyond, finite_distance(baseline[i], oracle[i]) - stored[i]);
    }
    errors.size.push_back(root_mean_square(oracle.row(r)));
    errors.beyond.push_back(beyond);
    if (errors.size.back() > 0) relative.push_back(beyond / errors.size.back());
  }
  errors.rho = upper_decile(std::move(relative));
  if (oracle.width() < kNarrowRow) errors.typical = upper_decile(errors.beyond);
  return errors;
}

/// e(r) of the header.
double row_error(const BaselineErrors& errors, std::size_t r, double unit_accumulated) {
  if (errors.size[r] == 0 && errors.beyond[r] == 0) return 0;
  return std::max({errors.beyond[r], errors.rho * errors.size[r], errors.typical,
                   kFloor * unit_accumulated * errors.size[r]});
}

/// For each row, the error that its elements may have beyond their h.
std::vector<double> row_tolerances(const Tensor<double>& oracle, const Tensor<double>& baseline,
                                   const Tensor<double>& stored, Dtype type) {
  const BaselineErrors errors = baseline_errors(oracle, baseline, stored, type);
  std::vector<double> tolerances;
  for (std::size_t r = 0; r < errors.size.size(); ++r) {
    tolerances.push_back(kOutlier * kappa(type) * row_error(errors, r, precision_of(type).unit_accumulated));
  }
  return tolerances;
}

/// The bound on rms(C - O); infinite where the tap is too small to have one.
double rms_tolerance(const Tensor<double>& oracle, const Tensor<double>& baseline,
                     const Tensor<double>& stored, Dtype type, const Spread* spread) {
  if (oracle.size() < kManyElements) return kInfinity;
  Tensor<double> errors(oracle.shape);
  for (std::int64_t i = 0; i < oracle.size(); ++i) errors[i] = finite_distance(baseline[i], oracle[i]);
  const double own =
      kappa(type) * std::max(root_mean_square(errors.data), root_mean_square(stored.data) / std::sqrt(3.0));
  return spread == nullptr ? own : std::max(own, kWholeSpread * spread->whole);
}

/// The first element at which the candidate is NaN or infinite and the oracle is not, or the reverse; -1 if
/// none.
std::int64_t first_of_another_kind(const Tensor<double>& candidate, const Tensor<double>& oracle) {
  for (std::int64_t i = 0; i < candidate.size(); ++i) {
    if (!same_kind(candidate[i], oracle[i])) return i;
  }
  return -1;
}

double share(double error, double tolerance) {
  if (error == 0) return 0;
  return tolerance > 0 ? error / tolerance : kInfinity;
}

}  // namespace

double second_opinion(Dtype type) {
  return std::max(0.45, 1.1 / kappa(type));
}

Tensor<double> half_units(const Tensor<double>& values, Dtype type) {
  const Precision precision = precision_of(type);
  Tensor<double> units(values.shape);
  for (std::int64_t i = 0; i < values.size(); ++i) {
    if (std::isfinite(values[i])) units[i] = half_unit(values[i], precision);
  }
  return units;
}

double kappa(Dtype type) {
  return precision_of(type).kappa;
}

double moved_step(Dtype type) {
  return (type == Dtype::bf16 ? 1.0 : 4.0) * machine_epsilon(type);
}

Tensor<double> tolerances_beyond(const Tensor<double>& oracle, const Tensor<double>& baseline,
                                 const Tensor<double>& stored, Dtype type, const Spread* spread) {
  const std::vector<double> rows = row_tolerances(oracle, baseline, stored, type);
  Tensor<double> tolerances(oracle.shape);
  for (std::int64_t i = 0; i < oracle.size(); ++i) {
    if (!std::isfinite(oracle[i])) continue;
    const double reach = spread == nullptr ? 0.0 : spread->reach[i];
    tolerances[i] = std::max(rows[static_cast<std::size_t>(i / oracle.width())], reach);
  }
  return tolerances;
}

double share_used(double error, double stored, double beyond) {
  return share(std::max(0.0, error - stored), beyond);
}

Tensor<double> element_tolerances(const Tensor<double>& oracle, const Tensor<double>& baseline, Dtype type,
                                  const Spread* spread) {
  const Tensor<double> stored = half_units(oracle, type);
  Tensor<double> tolerances = tolerances_beyond(oracle, baseline, stored, type, spread);
  for (std::int64_t i = 0; i < oracle.size(); ++i) tolerances[i] += stored[i];
  return tolerances;
}

TapResult compare_floating(const std::string& name, const Array& candidate, const Tensor<double>& oracle,
                           const Tensor<double>& baseline, Dtype type, const Spread* spread) {
  if (!is_floating_point(candidate.dtype())) {
    return mismatch(name,
                    "has type " + std::string(torch_name(candidate.dtype())) + ", expected floating point");
  }
  if (candidate.shape() != oracle.shape) {
    return mismatch(name,
                    "has shape " + to_string(candidate.shape()) + ", expected " + to_string(oracle.shape));
  }
  const Tensor<double> values = candidate.to<double>();
  if (const std::int64_t at = first_of_another_kind(values, oracle); at >= 0) {
    return mismatch(name, "is " + format(values[at]) + " at " + index_text(oracle.shape, at) +
                              ", the oracle is " + format(oracle[at]));
  }
  if (const std::int64_t at = first_of_another_kind(baseline, oracle); at >= 0) {
    return {name,
            Verdict::untrusted,
            0.0,
            0.0,
            kInfinity,
            "cannot be judged: the plain reference in " + std::string(torch_name(type)) + " is " +
                format(baseline[at]) + " at " + index_text(oracle.shape, at)};
  }

  const Tensor<double> stored = half_units(oracle, type);
  const Tensor<double> beyond = tolerances_beyond(oracle, baseline, stored, type, spread);
  Tensor<double> errors(oracle.shape);
  TapResult result{.name = name};
  std::int64_t worst = 0;
  for (std::int64_t i = 0; i < oracle.size(); ++i) {
    errors[i] = finite_distance(values[i], oracle[i]);
    const double used = share_used(errors[i], stored[i], beyond[i]);
    if (i > 0 && used <= result.used) continue;
    worst = i;
    result.error = errors[i];
    result.tolerance = beyond[i] + stored[i];
    result.used = used;
  }
  const double rms_error = root_mean_square(errors.data);
  const double rms_bound = rms_tolerance(oracle, baseline, stored, type, spread);
  const double rms_share = share(rms_error, rms_bound);
  if (!(result.used <= 1.0)) {
    result.message = "is " + format(values[worst]) + " at " + index_text(oracle.shape, worst) +
                     ", the oracle is " + format(oracle[worst]) + " (error " + format(result.error) +
                     ", tolerance " + format(result.tolerance) + ")";
  } else if (!(rms_share <= 1.0)) {
    result.error = rms_error;
    result.tolerance = rms_bound;
    result.message =
        "is off as a whole: root mean square error " + format(rms_error) + ", tolerance " + format(rms_bound);
  }
  result.used = std::max(result.used, rms_share);
  if (!(result.used <= 1.0)) result.verdict = Verdict::mismatch;
  return result;
}

std::optional<TapResult> compare_other_rounding(const std::string& name, const Array& candidate,
                                                const Array& other) {
  if (candidate.dtype() != Dtype::bf16 || candidate.shape() != other.shape()) return std::nullopt;
  const Tensor<double> values = candidate.to<double>(), expected = other.to<double>();
  const Tensor<double> half = half_units(expected, Dtype::bf16);
  TapResult result;
  result.name = name;
  std::int64_t flips = 0;
  for (std::int64_t i = 0; i < values.size(); ++i) {
    if (values[i] == expected[i]) continue;
    const double error = std::abs(values[i] - expected[i]);
    if (!(error <= kFlipSteps * 2 * half[i])) return std::nullopt;
    ++flips;
    if (error <= result.error) continue;
    result.error = error;
    result.tolerance = kFlipSteps * 2 * half[i];
  }
  const double allowed = kFlips * static_cast<double>(values.size());
  if (static_cast<double>(flips) > allowed) return std::nullopt;
  result.used = share(static_cast<double>(flips), allowed);
  return result;
}

TapResult compare_integers(const std::string& name, const Array& candidate, const Array& oracle) {
  if (candidate.shape() != oracle.shape()) {
    return mismatch(name,
                    "has shape " + to_string(candidate.shape()) + ", expected " + to_string(oracle.shape()));
  }
  for (std::int64_t i = 0; i < oracle.size(); ++i) {
    if (!(candidate.at(i) == oracle.at(i))) {
      return mismatch(name, "is " + format(candidate.at(i)) + " at " + index_text(oracle.shape(), i) +
                                ", the oracle is " + format(oracle.at(i)));
    }
  }
  return {name, Verdict::match, 0.0, 0.0, 0.0, ""};
}

}  // namespace forgecheck
