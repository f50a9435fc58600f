// Compares a trace with the oracle, the baselines and the measured spreads.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "harness/verdict/run_forced.h"
#include "harness/verdict/spread.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// What one trace is judged by; every run is forced to that trace.
struct Evidence {
  ReferenceRun oracle;                       // float64
  std::vector<ReferenceRun> baselines;       // the candidate's type; the first has every tap, the others some
  std::vector<ReferenceRun> other_rounding;  // the same, rounded where other known implementations round
  Spreads spreads;                           // of the taps for which they were measured
};

struct Comparison {
  std::vector<TapResult> taps;  // in the order of execution
  std::vector<UndecidedChoice> undecided;
};

/// The measured spread of a tap, or null.
const Spread* spread_of(const Evidence& evidence, const std::string& tap);

/// Compares every tap of `candidate` that the oracle has too; the tolerances are those of tolerance.h for a
/// candidate computed in `type`. `architecture`: the model's, which tells what kind of values a tap holds.
Comparison compare_trace(const Trace& candidate, const Evidence& evidence, const Architecture& architecture,
                         Dtype type);

/// The comparison with the taps `names`, which it has, compared again: by more evidence than before.
Comparison compared_again(const Comparison& comparison, const std::set<std::string>& names,
                          const Trace& candidate, const Evidence& evidence, const Architecture& architecture,
                          Dtype type);

/// For each element of a floating point tap, the value of the baseline that is farthest from the oracle.
Tensor<double> farthest_baseline(const Evidence& evidence, const std::string& tap);

}  // namespace forgecheck
