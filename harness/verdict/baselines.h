// Which right implementations a trace is judged by, and when more of them are asked.
#pragma once

#include "harness/verdict/compare_trace.h"

namespace forgecheck {

/// The arithmetics of the baselines of a candidate in `type`, in the order in which they are asked: the first
/// one always, the others where the candidate uses more than second_opinion(type) of a tolerance. A candidate
/// that is the plain reference itself would be compared with its own rounding, and so would the oracle in
/// float64.
std::vector<Arithmetic> baselines_for(Dtype type, bool is_plain_reference);

/// Adds to `evidence` what can excuse taps of `comparison` that fail by the baselines, and returns the
/// comparison with that: in bfloat16 the other known orders of rounding, then the spread of sampled runs.
Comparison excuse(const Problem& problem, const Trace& candidate, Dtype type, Evidence& evidence,
                  Comparison comparison);

}  // namespace forgecheck
