// Top-k choices: compared as sets, with the margin by which the oracle prefers its own.
#pragma once

#include <string>
#include <vector>

#include "harness/verdict/spread.h"
#include "harness/verdict/verdict.h"
#include "reference/trace.h"

namespace forgecheck {

/// Compares the candidate's indices (rows, k) with the oracle's decision. Indices that are not a valid choice
/// are a mismatch. A row with another set is
///   - a match where the oracle's scores of both sets are equal,
///   - undecided where its margin is at most twice the row's score bound,
///   - else a mismatch.
/// Rows with another set that are no mismatch are appended to `undecided`. `spread` is that of the scores;
/// null where none was measured.
TapResult compare_choices(const std::string& name, const Array& indices, const Decision& oracle,
                          const Decision& baseline, Dtype type, std::vector<UndecidedChoice>& undecided,
                          const Spread* spread = nullptr);

}  // namespace forgecheck
