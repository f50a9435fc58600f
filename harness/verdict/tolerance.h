// How far a right implementation may be from the oracle: every tolerance of the project, in this one place.
// docs/tolerances.md says why the bound is sound, what it can miss, and by how much.
//
// O is the reference in float64, B one or more right implementations in the candidate's type t (the reference
// itself, summing in other orders), C the candidate. What B loses to rounding on this very case, tap by tap,
// another right implementation loses too. Storing a result in t costs up to
//   h(O_i)    = half a unit in the last place of t at O_i
// which is known for each element; only what goes beyond has to be measured. For a row r (along the last
// axis)
//   size(r)   = root mean square of O's row
//   e(B, r)   = max over the row of |B - O| - h, at least 0
//   rho       = upper decile over the rows of e(B, r) / size(r)     (the tap's typical relative error)
//   typical   = upper decile over the rows of e(B, r)               (its typical absolute error: of rows of
//               fewer than kNarrowRow elements only, which may be small as a whole by cancellation)
//   e(r)      = max(e(B, r), rho size(r), typical, kFloor u size(r))
// where u is the unit roundoff of the type that t accumulates in. A candidate passes iff for every element
//   |C_i - O_i| <= kOutlier kappa(t) e(r) + h(O_i)
// and, over a tap of kManyElements or more, which says more together than element by element,
//   rms(C - O) <= kappa(t) max(rms(B - O), rms(h / sqrt 3)).
// The share of a tolerance that it uses is (|C_i - O_i| - h(O_i)) / (kOutlier kappa(t) e(r)), or that of the
// rms: a result rounded once, from the exact value, uses none of the first.
//
// A row that the oracle and the baselines leave exactly zero must be exactly zero. Deciles, not means or
// maxima, so that one bad row of the baseline does not excuse the others; the floor is for taps on which the
// baseline is exact by luck. A single element is one draw where the rms is the mean of many, and scatters
// more: by kOutlier. kappa is measured: docs/calibration.md has the largest share that right implementations
// used over thousands of random models.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/verdict/verdict.h"
#include "reference/array.h"

namespace forgecheck {

inline constexpr double kOutlier = 2.0;
inline constexpr double kFloor = 4.0;
inline constexpr std::int64_t kNarrowRow = 8;
inline constexpr std::int64_t kManyElements = 64;

/// Root mean square; an element that is not finite counts as 0. 0 of none.
double root_mean_square(std::span<const double> values);

/// Whether a tap holds numbers that must be equal: integers, and counts in any type.
bool is_counted(std::string_view name, Dtype type);

/// The multiple of the baseline's error that candidates in `type` (f64, f32 or bf16) may have. Throws
/// ConfigError for another type.
double kappa(Dtype type);

/// |C_i - O_i| that each element may have; 0 where the oracle is not finite.
Tensor<double> element_tolerances(const Tensor<double>& oracle, const Tensor<double>& baseline, Dtype type);

/// Compares one floating point tap. `oracle` and `baseline` have the same shape.
TapResult compare_floating(const std::string& name, const Array& candidate, const Tensor<double>& oracle,
                           const Tensor<double>& baseline, Dtype type);

/// Compares integers that must be equal.
TapResult compare_integers(const std::string& name, const Array& candidate, const Array& oracle);

}  // namespace forgecheck
