#include "harness/verdict/tolerance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::string format(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.9g", value);
  return text.data();
}

/// "[1, 4, 7]" for a flat index.
std::string index_text(const Shape& shape, std::int64_t flat) {
  std::string text;
  for (auto size = shape.rbegin(); size != shape.rend(); ++size) {
    text = std::to_string(flat % *size) + (text.empty() ? "" : ", ") + text;
    flat /= *size;
  }
  return "[" + text + "]";
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
double distance(double a, double b) {
  return std::isfinite(a) && std::isfinite(b) ? std::abs(a - b) : 0.0;
}

struct RowErrors {
  std::vector<double> size;      // rms of the oracle's row, its finite elements
  std::vector<double> largest;   // max |oracle|
  std::vector<double> baseline;  // max |baseline - oracle|
  double rho = 0.0;              // upper decile over the rows of baseline / size
  double typical = 0.0;          // upper decile over the rows of baseline, for narrow rows
  double rms_oracle = 0.0;
  double rms_baseline = 0.0;
};

/// The value that nine of ten do not exceed: a few bad rows of the baseline do not move it. 0 of none.
double upper_decile(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto at = values.begin() + (std::ssize(values) - 1) * 9 / 10;
  std::ranges::nth_element(values, at);
  return *at;
}

RowErrors row_errors(const Tensor<double>& oracle, const Tensor<double>& baseline) {
  RowErrors rows;
  double squares = 0, error_squares = 0;
  std::vector<double> relative;
  for (std::int64_t r = 0; r < oracle.rows(); ++r) {
    double row_squares = 0, largest = 0, error = 0;
    for (std::int64_t j = 0; j < oracle.width(); ++j) {
      const double o = oracle.row(r)[static_cast<std::size_t>(j)];
      const double b = baseline.row(r)[static_cast<std::size_t>(j)];
      if (!std::isfinite(o)) continue;
      row_squares += o * o;
      largest = std::max(largest, std::abs(o));
      error = std::max(error, distance(b, o));
      error_squares += distance(b, o) * distance(b, o);
    }
    const double size = std::sqrt(row_squares / static_cast<double>(oracle.width()));
    rows.size.push_back(size);
    rows.largest.push_back(largest);
    rows.baseline.push_back(error);
    squares += row_squares;
    if (size > 0) relative.push_back(error / size);
  }
  const auto count = static_cast<double>(std::max<std::int64_t>(1, oracle.size()));
  rows.rms_oracle = std::sqrt(squares / count);
  rows.rms_baseline = std::sqrt(error_squares / count);
  rows.rho = upper_decile(std::move(relative));
  if (oracle.width() < kNarrowRow) rows.typical = upper_decile(rows.baseline);
  return rows;
}

double row_tolerance(const RowErrors& rows, std::size_t r, Dtype type) {
  const Tolerance tolerance = tolerance_of(type);
  if (rows.largest[r] == 0 && rows.baseline[r] == 0) return 0;
  return kRowFactor * tolerance.kappa * std::max({rows.baseline[r], rows.rho * rows.size[r], rows.typical}) +
         tolerance.floor_epsilons * machine_epsilon(type) * rows.largest[r];
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

Tolerance tolerance_of(Dtype type) {
  switch (type) {
    case Dtype::f64:
      return {4.0, 16.0};
    case Dtype::f32:
      return {4.0, 4.0};
    case Dtype::bf16:
      return {4.0, 1.0};
    default:
      throw ConfigError("tolerance: no candidate computes in " + std::string(torch_name(type)));
  }
}

TapResult compare_floating(const std::string& name, const Array& candidate, const Tensor<double>& oracle,
                           const Tensor<double>& baseline, Dtype type) {
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

  const RowErrors rows = row_errors(oracle, baseline);
  TapResult result{name, Verdict::match, 0.0, 0.0, 0.0, ""};
  double squares = 0;
  std::int64_t worst = 0;
  for (std::int64_t r = 0; r < oracle.rows(); ++r) {
    double error = 0;
    std::int64_t at = r * oracle.width();
    for (std::int64_t j = 0; j < oracle.width(); ++j) {
      const std::int64_t i = r * oracle.width() + j;
      const double difference = distance(values[i], oracle[i]);
      squares += difference * difference;
      if (difference > error) {
        error = difference;
        at = i;
      }
    }
    const double tolerance = row_tolerance(rows, static_cast<std::size_t>(r), type);
    if (r == 0 || share(error, tolerance) > result.used) {
      result.error = error;
      result.tolerance = tolerance;
      result.used = share(error, tolerance);
      worst = at;
    }
  }
  const Tolerance constants = tolerance_of(type);
  const double rms = std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(1, oracle.size())));
  const double rms_tolerance = constants.kappa * rows.rms_baseline +
                               constants.floor_epsilons * machine_epsilon(type) * rows.rms_oracle;
  result.used = std::max(result.used, share(rms, rms_tolerance));
  if (!(result.used <= 1.0)) {
    result.verdict = Verdict::mismatch;
    result.message = "is " + format(values[worst]) + " at " + index_text(oracle.shape, worst) +
                     ", the oracle is " + format(oracle[worst]) + " (error " + format(result.error) +
                     ", tolerance " + format(result.tolerance) + ")";
  }
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

std::vector<double> score_bounds(const Tensor<double>& oracle, const Tensor<double>& baseline, Dtype type) {
  const RowErrors rows = row_errors(oracle, baseline);
  std::vector<double> bounds;
  for (std::size_t r = 0; r < rows.size.size(); ++r) bounds.push_back(row_tolerance(rows, r, type));
  return bounds;
}

}  // namespace forgecheck
