#include "harness/fuzz/corpus.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

#include "harness/case/seeded.h"
#include "harness/io/atomic_file.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr const char* kExtension = ".case";

/// Text as a comment: each of its lines.
std::string comment(const std::string& what, const std::string& text) {
  std::string lines = fmt::format("# {}: ", what);
  for (const char c : text) lines += c == '\n' ? "\n#   " : std::string(1, c);
  return lines + "\n";
}

}  // namespace

std::filesystem::path corpus_path(const std::filesystem::path& folder, const Finding& finding) {
  return folder /
         fmt::format("{}-{:016x}{}", to_string(finding.outcome.verdict), fnv1a64(finding.cause), kExtension);
}

void save_finding(const std::filesystem::path& folder, const Finding& finding) {
  std::error_code failed;
  std::filesystem::create_directories(folder, failed);
  if (failed) throw FormatError(fmt::format("{}: cannot be made: {}", folder.string(), failed.message()));
  std::string text = comment("cause", finding.cause);
  text += comment("message", finding.outcome.message);
  if (!finding.smallest.empty()) text += comment("found as", finding.line);
  text += (finding.smallest.empty() ? finding.line : finding.smallest) + "\n";
  write_atomically(corpus_path(folder, finding), text);
}

SavedCase read_saved_case(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw FormatError(path.string() + ": cannot be read");
  SavedCase saved{path, ""};
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line.starts_with('#')) continue;
    if (!saved.line.empty()) throw FormatError(path.string() + ": has more than one case");
    saved.line = line;
  }
  if (saved.line.empty()) throw FormatError(path.string() + ": has no case");
  return saved;
}

std::vector<SavedCase> read_corpus(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> paths;
  if (std::filesystem::is_directory(folder)) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().extension() == kExtension) paths.push_back(entry.path());
    }
  }
  std::ranges::sort(paths);
  std::vector<SavedCase> saved;
  for (const auto& path : paths) saved.push_back(read_saved_case(path));
  return saved;
}

}  // namespace forgecheck
