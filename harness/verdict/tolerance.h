// How far a right implementation may be from the oracle: every tolerance of the project, in this one place.
// docs/tolerances.md says why the bound is sound, what it can miss, and by how much.
//
// O is the reference in float64, B one or more right implementations in the candidate's type t (the reference
// itself, summing in other orders), C the candidate. What B loses to rounding on this very case, tap by tap,
// another right implementation loses too. Storing a result in t costs up to
//   h(O_i)    = half a unit in the last place of t at O_i
// which is known for each element; only the error beyond it has to be measured. For a row r (along the last
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
// Where a candidate fails by the baselines, which may be exact by luck and share their exp, erf and rounding
// points, it is checked against the spread of right implementations on this case: kDraws runs N of the
// reference in Monte Carlo arithmetic (reference/sampled.h). Of each element and of the whole
//   s_i   = kSpread rms over the runs of N_i - O_i
//           (in bfloat16 the rms of the order of rounding that has the largest: an implementation has one),
//           or where one run is farther than that, max |N_i - O_i| + kSpread mean |N_i - O_i|
//   s     = sqrt(max over the runs of mean((N - O)^2) + mean(h^2) / 3)
// N before it is rounded to t, as that rounding is h. The bounds become h(O_i) + max(2 kappa e(r), s_i), and
// max(the above, kWholeSpread s). A bound of each element, not of its row: where a formula cancels, only the
// elements that do are excused. The runs move every result by the most that it may be off, so that their rms
// is already more than that of implementations; the maximum is there for what happens in few of the runs, a
// rounding or a choice that flips: about where it leads implementations scatter as they do elsewhere. A tap of
// one number (a loss) has no rows to learn from, and a baseline's error there is one draw: in float32 and
// bfloat16 its e is the floor, and the runs grant the rest.
//
// A row that the oracle and the baselines leave exactly zero must be exactly zero. Deciles, not means or
// maxima, so that one bad row of the baseline does not excuse the others; the floor is for taps on which the
// baseline is exact by luck. A single element is one draw where the rms is the mean of many, and scatters
// more: by kOutlier. kappa is measured: docs/calibration.md has the largest share that right implementations
// used over thousands of random models.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "harness/verdict/spread.h"
#include "harness/verdict/verdict.h"
#include "reference/array.h"
#include "reference/numbers.h"

namespace forgecheck {

inline constexpr double kOutlier = 2.0;
inline constexpr double kFloor = 4.0;
inline constexpr std::int64_t kNarrowRow = 8;
inline constexpr std::int64_t kManyElements = 64;

inline constexpr int kDraws = 16;
/// What occurs in a few of a hundred runs occurs in some of this many. They are made where a few numbers say
/// everything: a trace that does not show which experts were chosen (decode, generate) may have chosen
/// otherwise where two scores nearly tie, and a tap of one number (a loss) has one draw a run.
inline constexpr int kMostDraws = 256;
inline constexpr double kSpread = 3.0;
inline constexpr double kWholeSpread = 2.0;

/// Sampling stops after this many draws if the first wrong tap is off by more than kHopeless times the spread
/// that any of its elements has shown.
inline constexpr int kFirstDraws = 4;
inline constexpr double kHopeless = 64.0;

/// In bfloat16 an implementation may round where none of the baselines does: norms before the gain
/// (transformers), partial sums of a matrix product (cuBLAS). Such orders are not granted to every candidate:
/// a tap is excused by one only if it is that order's, bit for bit but for flips. Two implementations of one
/// order differ before they round by float32's error only, some 2^-24 of a value, and a flip needs a value
/// that near to the middle between two numbers 2^-8 apart: one in 2^12 for each number rounded, of which the
/// sums on record have 8. Far fewer than one in ten.
inline constexpr double kFlips = 0.1;
/// A flip of a number that is multiplied afterwards, as the normalised value by its gain, may move the result by two units in
/// its last place: a unit is 2^-7 of a number just above a power of two, and 2^-8 of one just below the next.
inline constexpr double kFlipSteps = 2.0;

/// A wrong tap that is off by no more may be one in which denormals became zero: each is below 2^-126, the smallest normal
/// number, and norms multiply it by 1 / sqrt(eps). No tolerance: it only says where a baseline without denormals is run.
inline constexpr double kMostFlushed = 0x1p-106;

/// Where there is no oracle, two runs of one computation are compared by what moved weights do to the backend's
/// own results (harness/fuzz/own_noise.h): this many runs, each weight moved by moved_step(type) of itself. In
/// float32 that is four units in the last place, which in a product of k terms is more than what summing them
/// may lose up to k of some hundred; in bfloat16 one unit, as sums are rounded once. Of eight draws the largest
/// is some 1.4 standard deviations; kOwnNoise of that are eleven of them.
inline constexpr int kMovedRuns = 8;
inline constexpr double kOwnNoise = 8.0;
double moved_step(Dtype type);

/// The share of a tolerance from which more baselines are asked, as one may be exact by luck: more than a
/// candidate with just the baseline's error uses.
double second_opinion(Dtype type);

/// The multiple of the baseline's error that candidates in `type` (f64, f32 or bf16) may have. Throws
/// ConfigError for another type.
double kappa(Dtype type);

/// h of every element; 0 where it is not finite.
Tensor<double> half_units(const Tensor<double>& values, Dtype type);

/// |C_i - O_i| that each element may have; 0 where the oracle is not finite. `spread` may be null.
Tensor<double> element_tolerances(const Tensor<double>& oracle, const Tensor<double>& baseline, Dtype type,
                                  const Spread* spread = nullptr);

/// What each element may be off beyond its h; 0 where the oracle is not finite. `spread` may be null.
Tensor<double> tolerances_beyond(const Tensor<double>& oracle, const Tensor<double>& baseline,
                                 const Tensor<double>& stored, Dtype type, const Spread* spread);

/// The share of its tolerance that an element uses: (error - h) / what it may be off beyond h, at least 0.
/// Infinite where there is an error and nothing is tolerated.
double share_used(double error, double stored, double beyond);

/// Compares one floating point tap. `oracle` and `baseline` have the same shape; `spread` may be null.
TapResult compare_floating(const std::string& name, const Array& candidate, const Tensor<double>& oracle,
                           const Tensor<double>& baseline, Dtype type, const Spread* spread = nullptr);

/// A match if the bfloat16 tap is that of the implementation that computed `other`: at most kFlips of its
/// elements differ, each by kFlipSteps units in the last place at most. None otherwise.
std::optional<TapResult> compare_other_rounding(const std::string& name, const Array& candidate,
                                                const Array& other);

/// Compares integers that must be equal.
TapResult compare_integers(const std::string& name, const Array& candidate, const Array& oracle);

}  // namespace forgecheck
