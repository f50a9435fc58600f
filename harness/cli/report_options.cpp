#include "harness/cli/report_options.h"

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "harness/cli/command.h"

namespace forgecheck {

namespace {

/// What is wrong with `path` as a place for a new file; empty if nothing is.
std::string refusal(const std::string& path, const ReportOptions& options) {
  if (path.empty() || std::filesystem::is_directory(path)) return "\"" + path + "\" is not a file name";
  const std::string missing = missing_folder_of(path);
  if (!missing.empty()) return path + ": " + missing;
  const std::filesystem::path whole = std::filesystem::absolute(path).lexically_normal();
  for (const std::string& other : {options.json, options.junit, options.html}) {
    if (!other.empty() && std::filesystem::absolute(other).lexically_normal() == whole) {
      return path + ": another report is written to the same file";
    }
  }
  return "";
}

}  // namespace

void add_report_options(CLI::App& command, ReportOptions& options) {
  const auto check = [&options](const std::string& path) { return refusal(path, options); };
  command.add_option("--json", options.json, "Write the report to this file as JSON")->check(check);
  command.add_option("--junit", options.junit, "Write it as JUnit XML, which CI systems read")->check(check);
  command.add_option("--html", options.html, "Write it as one page to look at")->check(check);
}

void write_reports(const ReportOptions& options, const Report& report) {
  if (!options.json.empty()) write_json_report(options.json, report);
  if (!options.junit.empty()) write_junit_report(options.junit, report);
  if (!options.html.empty()) write_html_report(options.html, report);
  const char* actions = std::getenv("GITHUB_ACTIONS");
  if (actions != nullptr && std::string_view(actions) == "true") print_annotations(std::cout, report);
}

}  // namespace forgecheck
