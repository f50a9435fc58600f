// Saved cases: small text files, one for each cause, that a campaign runs first and `forgecheck replay` repeats. A file is
// one line, the case, below comments (#) that say what was found.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "harness/fuzz/outcome.h"

namespace forgecheck {

struct Finding {
  std::string cause;     // cause_of() its outcome
  std::string line;      // the first case that showed it
  std::string smallest;  // the same made small; empty until that is done
  FuzzOutcome outcome;   // of the smallest case that is known
  std::int64_t count = 0;
};

/// The finding's file in this folder: named by its cause, so that a campaign that finds it again replaces it.
std::filesystem::path corpus_path(const std::filesystem::path& folder, const Finding& finding);

/// Writes it as AtomicFile does: killed at any moment, the folder holds the old file or the new one. Makes the folder where
/// there is none. Throws FormatError.
void save_finding(const std::filesystem::path& folder, const Finding& finding);

struct SavedCase {
  std::filesystem::path path;
  std::string line;
};

/// One file, or every .case file of a folder in the order of their names; none where there is no such folder. Throws
/// FormatError "<path>: ..." for a file without exactly one case.
SavedCase read_saved_case(const std::filesystem::path& path);
std::vector<SavedCase> read_corpus(const std::filesystem::path& folder);

}  // namespace forgecheck
