// Recording: named cases become a folder of golden files, which are written only when all of them are known.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "harness/backend/backend.h"
#include "harness/io/scratch_folder.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

struct NamedCase {
  std::string name;  // where its file goes below the folder, without extension
  Case definition;
};

/// Letters, digits, '_', '-', '.' and '/' between parts that are not "..".
bool is_safe_name(const std::string& name);

/// Reads lines `name case-text`; empty lines and lines that begin with '#' are skipped. Throws FormatError or
/// ConfigError "<path>:<line>: ..." on a line of another form, and on a name that is there twice or leaves
/// the folder.
std::vector<NamedCase> read_case_list(const std::filesystem::path& path);

/// What becomes of one file.
enum class FileChange { added, changed, same };

struct RecordedFile {
  std::string name;
  FileChange change;
  Judgement judgement;  // of the trace; a match without taps where the oracle itself recorded it
};

/// New files beside the old ones of a folder, until they are written there.
class Recording {
 public:
  explicit Recording(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Runs the problem and keeps the taps that `wants` names (empty: all) as the file of that name: the same bytes each time.
  /// The trace is judged by the oracle, unless the backend is the oracle; one that is wrong is kept with `reason` in its
  /// producer. Throws what the backend throws.
  void add(const std::string& name, const Problem& problem, Backend& backend, const TapFilter& wants,
           const std::string& reason);

  const std::vector<RecordedFile>& files() const { return files_; }

  /// Writes what is added or changed, each file whole or not at all. Throws FormatError, also where another recording writes
  /// into the folder.
  void write() const;

 private:
  std::filesystem::path folder_;
  ScratchFolder scratch_;
  std::vector<RecordedFile> files_;
};

}  // namespace forgecheck
