// What has changed between two folders of golden files, in units of the tolerance.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/golden/golden_file.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// One golden of either folder. `before` is empty for one that is new, `after` for one that is gone; where both are there and
/// differ, it has another name, or other taps, or another case.
struct GoldenChange {
  std::string before, after;  // names
  std::string case_line;      // of the one that is there
  std::string dtype;
  /// Of what is recorded under both: a result for each tap of either. Each module is looked at on the inputs of its own trace:
  /// `used` is by how much its error has changed, in units of the judge's tolerance. A change within it is a match.
  Judgement judgement;
  std::int64_t moved = 0;  // taps with another value
};

/// In the order of their names; goldens that are the same to the byte are left out. Throws FormatError where one cannot be
/// read.
std::vector<GoldenChange> golden_changes(const std::filesystem::path& before,
                                         const std::filesystem::path& after, const std::string& filter);

/// Compares two recordings of one case. `old` has its weights.
Judgement compare_recordings(const Golden& old, const Trace& now);

}  // namespace forgecheck
