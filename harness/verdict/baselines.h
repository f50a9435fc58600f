// Which correct implementations a trace is compared with, and when more of them are run.
#pragma once

#include "harness/verdict/compare_trace.h"

namespace forgecheck {

/// The arithmetics of the baselines of a candidate in `type`, in the order in which they run: the first one
/// always, the others for the taps that use more than second_opinion(type) of their tolerance. A candidate
/// that is the plain reference itself would be compared with its own rounding, and so would the oracle in
/// float64.
std::vector<Arithmetic> baselines_for(Dtype type, bool is_plain_reference);

/// A trace compared with the oracle, and what it was compared by.
struct JudgedTrace {
  Evidence evidence;
  Comparison comparison;
};

/// Compares `candidate`, computed in `type`, with the oracle and as many right implementations as it takes:
/// the first baseline always, the others of taps that come near to a bound, and where a tap still fails what can
/// excuse it: in bfloat16 the other known orders of rounding, then the spread of sampled runs.
JudgedTrace compare_with_oracle(const Problem& problem, const Trace& candidate, Dtype type,
                                bool is_plain_reference);

/// The largest share of a tolerance.
double largest_share(const std::vector<TapResult>& taps);

}  // namespace forgecheck
