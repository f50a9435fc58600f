// Recording: named cases become a folder of golden files, which are written only when all of them are known.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/backend/backend.h"
#include "harness/io/folder_lock.h"
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
  /// Holds the folder, if it is there, until the end of its scope: what is compared is what is changed. Throws FormatError where
  /// another recording does.
  explicit Recording(std::filesystem::path folder);

  /// Runs the problem and keeps the taps that `wants` names (empty: all) as the file of that name: the same bytes each time.
  /// The trace is judged by the oracle, unless the backend is the oracle; one that is wrong is kept with `reason` in its
  /// producer. Throws what the backend throws, and ConfigError where no tap is left.
  void add(const std::string& name, const Problem& problem, Backend& backend, const TapFilter& wants,
           const std::string& reason);

  const std::vector<RecordedFile>& files() const { return files_; }

  /// Writes what is added or changed, each file whole or not at all. Throws FormatError.
  void write();

 private:
  std::filesystem::path folder_;
  std::optional<FolderLock> lock_;
  ScratchFolder scratch_;
  std::vector<RecordedFile> files_;
};

}  // namespace forgecheck
