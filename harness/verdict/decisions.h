// Top-k choices: compared as sets, with the margin by which the oracle prefers its own.
#pragma once

#include <string>
#include <vector>

#include "harness/verdict/verdict.h"
#include "reference/trace.h"

namespace forgecheck {

/// Why indices (rows, k) cannot be choices among `candidates` scores: another shape or type, an index out of
/// range, or one taken twice in a row. Empty if they can.
std::string invalid_choice(const Array& indices, const Shape& shape, std::int64_t candidates);

/// Compares the candidate's indices with the oracle's decision. Rows with another set are undecided where the
/// oracle's margin is at most twice the row's score bound, else a mismatch. Undecided rows are appended.
TapResult compare_choices(const std::string& name, const Array& indices, const Decision& oracle,
                          const Decision& baseline, Dtype type, std::vector<UndecidedChoice>& undecided);

}  // namespace forgecheck
