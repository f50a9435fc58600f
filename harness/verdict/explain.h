// Where a trace first goes wrong, and what can be found out about the cause.
#pragma once

#include <vector>

#include "harness/verdict/compare_trace.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// How much is reported about a trace that fails.
enum class Detail {
  verdicts,     // the first wrong tap, and the right one before it
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

/// Explains `first`, the first wrong tap, in as much detail as `detail` asks for. Which unseen modules matter
/// and which mistake explains the tap is found by running the oracle again, as often as a fixed number of
/// multiply-adds allows; `note` says what was skipped for that reason. For Detail::explanation it also fills
/// `inherited` of all `taps`: what each one's inputs were off by when they reached it.
FirstDivergence explain(const Failure& failure, const TapResult& first, std::vector<TapResult>& taps,
                        Detail detail);

}  // namespace forgecheck
