// Where a trace first goes wrong, and everything that can be said of it.
#pragma once

#include <vector>

#include "harness/verdict/compare_trace.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// How much is said of a trace that fails.
enum class Detail {
  verdicts,     // which tap is wrong first, and after which one that is right
  location,     // and which modules that the trace does not show may be to blame
  explanation,  // everything
};

/// A trace that failed, and what it was judged by.
struct Failure {
  const Problem& problem;
  const Trace& candidate;
  Dtype type;  // that the candidate computed in
  const Evidence& evidence;
};

/// Says of `first`, the first wrong tap, as much as `detail` asks for. Which unseen modules matter and which
/// mistake explains the tap is found by running the oracle again, as often as a fixed number of multiply-adds
/// allows; what is left undone for that is said in `note`. For Detail::explanation it also fills `inherited`
/// of all `taps`: what each one's inputs were off by when they reached it.
FirstDivergence explain(const Failure& failure, const TapResult& first, std::vector<TapResult>& taps,
                        Detail detail);

}  // namespace forgecheck
