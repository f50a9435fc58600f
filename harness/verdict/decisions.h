// Top-k choices: compared as sets, with the margin by which the oracle prefers its own.
#pragma once

#include <string>
#include <vector>

#include "harness/verdict/verdict.h"
#include "reference/trace.h"

namespace forgecheck {

/// Compares the candidate's indices (rows, k) with the oracle's decision. Indices that are no choice are a
/// mismatch. Rows with another set are undecided where the
/// oracle's margin is at most twice the row's score bound, else a mismatch. Undecided rows are appended.
TapResult compare_choices(const std::string& name, const Array& indices, const Decision& oracle,
                          const Decision& baseline, Dtype type, std::vector<UndecidedChoice>& undecided);

}  // namespace forgecheck
