#include "harness/cli/report_options.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "harness/cli/command.h"
#include "harness/io/atomic_file.h"
#include "harness/io/shell_line.h"
#include "harness/verdict/notes.h"

namespace forgecheck {

namespace {

namespace fs = std::filesystem;

/// The file that a report's path leads to.
fs::path place(const std::string& path) {
  return follow_links(path == "-" ? "/dev/stdout" : path);
}

bool same_place(const std::string& a, const std::string& b) {
  const fs::path x = place(a), y = place(b);
  if (is_standard_output(x) || is_standard_output(y)) return is_standard_output(x) && is_standard_output(y);
  return fs::absolute(x).lexically_normal() == fs::absolute(y).lexically_normal();
}

/// What is wrong with `path` as a place for a new file; empty if nothing is.
std::string refusal(const std::string& path, const ReportOptions& options) {
  std::error_code unknown;  // a path that cannot be examined: writing it will say why
  if (path.empty() || fs::is_directory(place(path), unknown)) {
    return fmt::format("\"{}\" is not a file name", path);
  }
  const std::string missing = missing_folder_of(place(path).string());
  if (!missing.empty()) return path + ": " + missing;
  for (const std::string& other : {options.json, options.junit, options.html}) {
    if (!other.empty() && same_place(other, path)) {
      return path + ": another report is written to the same file";
    }
  }
  return "";
}

}  // namespace

void add_report_options(CLI::App& command, ReportOptions& options) {
  const auto check = [&options](const std::string& path) { return refusal(path, options); };
  command.add_option("--json", options.json, "Write the report to this file as JSON (-: to standard output)")
      ->check(check);
  command.add_option("--junit", options.junit, "Write it as JUnit XML, which CI systems read")->check(check);
  command.add_option("--html", options.html, "Write it as a self-contained page")->check(check);
  command.add_flag("--strict", options.strict,
                   "Fail a result with notes (parts of the case that it does not show)");
}

std::ostream& terminal(const ReportOptions& options) {
  for (const std::string& path : {options.json, options.junit, options.html}) {
    if (!path.empty() && is_standard_output(place(path))) return std::cerr;
  }
  return std::cout;
}

Judgement judged_by(const ReportOptions& options, Judgement judgement) {
  if (options.strict) fail_on_notes(judgement);
  return judgement;
}

std::string repeat_line(const ReportOptions& options, std::vector<std::string> words) {
  if (options.strict) words.emplace_back("--strict");
  return shell_line(words);
}

void write_reports(const ReportOptions& options, const Report& report) {
  if (!options.json.empty()) write_json_report(place(options.json), report);
  if (!options.junit.empty()) write_junit_report(place(options.junit), report);
  if (!options.html.empty()) write_html_report(place(options.html), report);
  const char* actions = std::getenv("GITHUB_ACTIONS");
  if (actions != nullptr && std::string_view(actions) == "true") {
    print_annotations(terminal(options), report);
  }
}

}  // namespace forgecheck
