// How far right implementations scatter around the oracle on one case: many runs of the reference in Monte
// Carlo arithmetic (reference/sampled.h), forced to the candidate's trace; each is a right implementation.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "harness/backend/problem.h"
#include "harness/verdict/run_forced.h"

namespace forgecheck {

/// Of one tap, or of the scores of one choice.
struct Spread {
  /// Of each element: how far right implementations may be from the oracle before they round.
  Tensor<double> reach;
  /// The largest root mean square of a run - oracle, both stored.
  double whole = 0.0;
};

/// By tap name.
using Spreads = std::map<std::string, Spread, std::less<>>;

/// Whether more runs are wanted.
enum class Draws { enough, more };

/// Measures the spreads of the floating point taps and choices `names`, in `type` (f32 or bf16). Calls
/// `take(spreads, draws)` with the spreads over the first kFirstDraws runs, over kDraws, and over four times as
/// many up to kMostDraws (tolerance.h), until it has enough. Draws are seeded: the same call gives
/// the same spreads. A tap that a run leaves NaN or infinite where the oracle is not has no spread. Taps in `rows` have one in
/// these rows alone; in the others it is 0.
void measure_spreads(const Problem& problem, const Trace& candidate, const ReferenceRun& oracle,
                     const std::set<std::string>& names, const TapRows& rows, Dtype type,
                     const std::function<Draws(const Spreads& spreads, int draws)>& take);

}  // namespace forgecheck
