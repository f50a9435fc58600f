// Where a trace first goes wrong, and everything that can be said of it.
#pragma once

#include <optional>

#include "harness/hint/hints.h"
#include "harness/verdict/spread.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// How much is said of a trace that fails.
enum class Detail {
  verdicts,     // which tap is wrong first, and behind which one that is right
  location,     // and which modules that the trace does not show may be to blame
  explanation,  // everything
};

/// Fills `local` of each result: the candidate beside the oracle's run along its trace.
void add_local_errors(std::vector<TapResult>& taps, const Trace& candidate, const Trace& along,
                      const Architecture& architecture);

/// Fills `inherited`: the oracle along the candidate's trace beside the oracle alone.
void add_inherited_errors(std::vector<TapResult>& taps, const Trace& along, const Trace& alone);

/// A trace that failed, and what it was judged by.
struct Failure {
  const Problem& problem;
  const Trace& candidate;
  Dtype type;
  const ReferenceRun& along;            // the oracle along the candidate's trace
  const ReferenceRun* alone = nullptr;  // the oracle without it; not needed below Detail::explanation
  const Spread* spread = nullptr;       // of the wrong tap, where one was measured
};

/// The first wrong tap. `baseline`: the tap in the candidate's type, none of integers. Which unseen modules
/// matter and which mistake explains the tap is found by running the oracle again, as often as a fixed number
/// of multiply-adds allows; what is left undone for that is said in `note`.
FirstDivergence first_divergence(const Failure& failure, const TapResult& first,
                                 const std::optional<Tensor<double>>& baseline, const Explains& explains,
                                 Detail detail);

}  // namespace forgecheck
