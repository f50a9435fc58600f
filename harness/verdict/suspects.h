// Which modules that a trace does not show a wrong tap depends on: the fault may lie in any of them.
#pragma once

#include <string>
#include <vector>

#include "harness/verdict/run_forced.h"

namespace forgecheck {

struct Suspects {
  std::vector<std::string> taps;  // in the order of execution
  bool exact = true;              // false: groups that could not be told apart within `runs` stand here whole
};

/// The taps before `tap` that `candidate` lacks and whose values change `tap`. Found by disturbing them,
/// group by group, in at most `runs` runs of the oracle. `forced_run` is the oracle forced to the candidate's
/// trace.
Suspects suspects_before(const Problem& problem, const Trace& candidate, const ReferenceRun& forced_run,
                         const std::string& tap, std::int64_t runs);

}  // namespace forgecheck
