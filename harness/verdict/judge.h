// Judges traces of one problem against the oracle, each module on the candidate's own inputs.
//
// The oracle is teacher-forced: wherever the trace has a tap, the oracle's value is compared with it, then
// the candidate's value is carried forward. So what is compared at a tap is the error made since the taps
// before it (the local error), not an inherited one; a choice is judged by the candidate's own scores; and
// everything after a wrong value or another choice is still judged. The baselines are forced to the same
// trace, in the candidate's type. A trace in which every module is right on its own inputs, and whose inputs
// are the case's, is right as a whole.
#pragma once

#include "harness/verdict/explain.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// The message of a trace that is right but for choices, most of which lie within their error: about such a trace nothing is
/// said, so it is untrusted.
inline constexpr char kMostlyUndecided[] = "most choices are undecided";

/// Judges the taps of `candidate`, computed in `type`. Taps that it lacks are not judged (what they stand for
/// is judged at the next one), but one output (logits, tokens or loss.total) must be there. A candidate that
/// is the plain reference itself (`is_plain_reference`) would be compared with its own rounding, so its
/// baselines sum in other orders.
Judgement judge(const Problem& problem, const Trace& candidate, Dtype type, bool is_plain_reference,
                Detail detail = Detail::explanation);

}  // namespace forgecheck
