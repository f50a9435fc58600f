#include <fmt/format.h>

#include <cstdlib>
#include <iostream>

#include "harness/cli/golden_commands.h"
#include "harness/cli/report_options.h"
#include "harness/golden/diff.h"
#include "harness/io/scratch_folder.h"
#include "harness/io/shell_line.h"
#include "harness/report/text.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct DiffOptions {
  std::string before, after, filter;
  ReportOptions report;
};

bool succeeds(const std::vector<std::string>& words) {
  return std::system((shell_line(words) + " > /dev/null 2>&1").c_str()) == 0;
}

/// `folder` as it was in a revision of its git repository, below `scratch`.
std::filesystem::path folder_of_revision(const std::string& revision, const std::string& folder,
                                         const std::filesystem::path& scratch) {
  const std::string archive = (scratch / "archive.tar").string();
  const std::filesystem::path made = scratch / "folder";
  std::filesystem::create_directory(made);
  if (!succeeds({"git", "-C", folder, "archive", "--output", archive, revision, "."}) ||
      !succeeds({"tar", "-xf", archive, "-C", made.string()})) {
    throw ConfigError(fmt::format(
        "golden diff {}: is no folder, and git has no revision of that name with {}", revision, folder));
  }
  return made;
}

std::string line_of(const GoldenChange& change) {
  const Judgement& judgement = change.judgement;
  if (change.before.empty()) return fmt::format("new       {}", change.after);
  if (change.after.empty()) return fmt::format("gone      {}", change.before);
  if (change.before != change.after) return fmt::format("renamed   {}, {}", change.after, judgement.message);
  if (judgement.taps.empty()) {
    const bool is_another = judgement.verdict == Verdict::mismatch;
    return fmt::format("{}{} {}", is_another ? "case      " : "changed   ", change.after, judgement.message);
  }
  if (change.moved == 0) return fmt::format("file      {}: every tap is as it was", change.after);
  const bool beyond = judgement.verdict != Verdict::match;
  std::string line = fmt::format("{}{}: {} of {} moved", beyond ? "moved     " : "within    ", change.after,
                                 change.moved, counted(judgement.taps.size(), "tap"));
  line += fmt::format(", by at most {} of a tolerance", percent(judgement.used));
  if (beyond) line += "; first " + judgement.message;
  return line;
}

Result result_of(const GoldenChange& change, const DiffOptions& options) {
  Result result;
  result.case_line = change.case_line;
  result.dtype = change.dtype;
  result.file = (change.after.empty() ? change.before : change.after) + ".safetensors";
  result.candidate = options.after;
  result.oracle = options.before;
  result.judgement = change.judgement;
  result.repeat = shell_line({"forgecheck", "golden", "diff", options.before, options.after, "--filter",
                              change.after.empty() ? change.before : change.after});
  return result;
}

int diff(const DiffOptions& given, const Invocation& invocation) {
  DiffOptions options = given;
  if (options.after.empty()) {
    options.after = options.before;
    options.before = "HEAD";
  }
  const ScratchFolder scratch;
  const bool is_folder = std::filesystem::is_directory(options.before);
  if (!std::filesystem::is_directory(options.after)) {
    throw ConfigError(fmt::format("golden diff {}: is not a folder", options.after));
  }
  const std::filesystem::path before =
      is_folder ? std::filesystem::path(options.before)
                : folder_of_revision(options.before, options.after, scratch.path());
  const std::vector<GoldenChange> changes = golden_changes(before, options.after, options.filter);
  std::ostream& out = terminal(options.report);
  Report report;
  report.command = invocation.arguments;
  for (const GoldenChange& change : changes) {
    out << line_of(change) << "\n";
    report.results.push_back(result_of(change, options));
  }
  out << (changes.empty() ? "nothing moved" : counted(changes.size(), "golden") + " differ") << "\n";
  write_reports(options.report, report);
  return changes.empty() ? kAllMatch : kFailure;
}

}  // namespace

void add_golden_diff(CLI::App& golden, Invocation& invocation) {
  auto options = std::make_shared<DiffOptions>();
  CLI::App* command =
      add_command(golden, "diff", "What moved between two folders of golden files, in tolerances",
                  "forgecheck golden diff HEAD golden");
  command->add_option("BEFORE", options->before, "A folder, or a revision of the git repository around AFTER")
      ->required();
  command->add_option("AFTER", options->after, "A folder (alone, it is compared with HEAD)");
  command->add_option("--filter", options->filter, "Only names that match this (* and ?) or contain it");
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return diff(*options, invocation); };
  });
}

}  // namespace forgecheck
