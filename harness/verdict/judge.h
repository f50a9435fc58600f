// Judges traces of one problem against the oracle, each module on the candidate's own inputs.
//
// The oracle runs once along the candidate's trace: wherever the trace has a tap, the oracle's value is
// compared with it and then replaced by it. So what is compared at a tap is the error made since the taps
// before it (the local error), not what was handed down; a choice is judged by the candidate's own scores;
// and everything behind a wrong value or another choice is still judged. The baseline runs along the same
// trace in the candidate's type. A trace in which every module is right on its own inputs, and whose inputs
// are the case's, is right as a whole.
#pragma once

#include <string>

#include "harness/verdict/compare_trace.h"
#include "harness/verdict/first_divergence.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

class Judge {
 public:
  explicit Judge(const Problem& problem) : problem_(problem) {}

  /// Judges the taps of `candidate`, computed in `type`. Taps that it lacks are not judged (what they stand
  /// for is judged at the next one), but one output (logits, tokens or loss.total) must be there. A candidate
  /// that is the plain reference itself (`is_plain_reference`) would be compared with its own rounding, so
  /// its baselines sum in other orders.
  Judgement judge(const Trace& candidate, Dtype type, bool is_plain_reference,
                  Detail detail = Detail::explanation) const;

 private:
  /// What is said of the first wrong tap, and the inherited errors of all.
  void explain(Judgement& judgement, const TapResult& first, const Trace& candidate, const Evidence& evidence,
               Dtype type, Detail detail) const;

  const Problem& problem_;
};

}  // namespace forgecheck
