// The first module to blame, asking for as few taps as possible: for backends for which taps are expensive.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/backend/backend.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// One run of the backend.
struct BisectStep {
  std::vector<std::string> asked;  // taps that the runs before were not asked for
  std::string line;                // what was asked, and what was found
};

struct Bisection {
  std::vector<BisectStep> steps;
  Judgement judgement;  // of the last run; a failure is explained
};

/// Asks for outputs, choices and state; where they are wrong, for the residual stream after each block; then
/// for the modules that may be to blame, until none is left or the backend gives no more. Outputs are judged
/// by the error of the whole run, everything after a known tap by its own error. `say` gets the line of each
/// step when the step is done. Throws what the backend throws.
Bisection bisect(const Problem& problem, Backend& backend,
                 const std::function<void(const std::string&)>& say);

}  // namespace forgecheck
