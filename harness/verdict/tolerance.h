// How far a right implementation may be from the oracle: every tolerance of the project, in this one place.
//
// O is the reference in float64, B the plain reference in the candidate's type t, C the candidate. B shows
// what one right implementation loses to rounding, tap by tap, on this very case; another right
// implementation loses about as much. So, for a tap with rows r (along the last axis), with
//   size(r)   = root mean square of O's row
//   e(X, r)   = max over the row of |X - O|
//   rho       = upper decile over the rows of e(B, r) / size(r)    (the tap's typical relative error)
//   typical   = upper decile over the rows of e(B, r)              (its typical absolute error; rows of fewer
//   than
//               kNarrowRow elements only, which may be small as a whole by cancellation)
// a candidate passes iff for every row
//   e(C, r) <= kRowFactor * kappa(t) * max(e(B, r), rho * size(r), typical) + floor(t) * epsilon(t) * max |O
//   row|
// and over the whole tensor
//   rms(C - O) <= kappa(t) * rms(B - O) + floor(t) * epsilon(t) * rms(O).
//
// kappa is 4: along a candidate's own trace the error of a right implementation is the baseline's own, give
// or take (over the recorded traces it uses at most 0.26 of a float32 tolerance). A single row is one draw of
// a few errors where the whole tensor is the mean of many, so its ratio to the baseline scatters more: by
// kRowFactor. Deciles, not means, so that one bad row of the baseline does not excuse the others. A row in
// which the oracle and the baseline are exactly zero must be exactly zero. The floor covers taps on which the
// baseline is exact by luck (a scalar, a copy): a few units in the last place of the tap's own size.
#pragma once

#include <string>
#include <vector>

#include "harness/verdict/verdict.h"
#include "reference/array.h"

namespace forgecheck {

struct Tolerance {
  double kappa = 0.0;           // multiple of the baseline's own error
  double floor_epsilons = 0.0;  // multiple of the type's machine epsilon, relative to the tap's own size
};

inline constexpr double kRowFactor = 3.0;
inline constexpr std::int64_t kNarrowRow = 8;

/// The tolerance of candidates that compute in `type` (f64, f32 or bf16).
Tolerance tolerance_of(Dtype type);

/// Compares one floating point tap. `oracle` and `baseline` have the same shape.
TapResult compare_floating(const std::string& name, const Array& candidate, const Tensor<double>& oracle,
                           const Tensor<double>& baseline, Dtype type);

/// Compares integers that must be equal.
TapResult compare_integers(const std::string& name, const Array& candidate, const Array& oracle);

/// For each row of a decision's scores, the error that a right implementation may make in a score.
std::vector<double> score_bounds(const Tensor<double>& oracle, const Tensor<double>& baseline, Dtype type);

}  // namespace forgecheck
