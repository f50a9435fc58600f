// The files that every judging command writes its report to, and what it does with them.
#pragma once

#include <CLI/CLI.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "harness/report/report.h"

namespace forgecheck {

struct ReportOptions {
  std::string json, junit, html;  // paths; empty where not asked for, "-" for standard output
  bool strict = false;            // a success with notes is a failure
};

/// Adds --json, --junit, --html and --strict. A path that cannot be written to (no such folder, a folder
/// itself, given twice) is refused as the command line is parsed, before the work. `options` must outlive the
/// parsing.
void add_report_options(CLI::App& command, ReportOptions& options);

/// Where a command prints what is for people: standard output, or standard error where a report goes to
/// standard output, so that they do not mix.
std::ostream& terminal(const ReportOptions& options);

/// The judgement as --strict wants it.
Judgement judged_by(const ReportOptions& options, Judgement judgement);

/// The words of a repeat command, with --strict where it was given.
std::string repeat_line(const ReportOptions& options, std::vector<std::string> words);

/// Writes the files asked for, and prints annotations where GITHUB_ACTIONS is "true". Throws FormatError.
void write_reports(const ReportOptions& options, const Report& report);

}  // namespace forgecheck
