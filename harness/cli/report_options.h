// The files that every judging command writes its report to, and what it does with them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "harness/report/report.h"

namespace forgecheck {

struct ReportOptions {
  std::string json, junit, html;  // paths; empty where not asked for
};

/// Adds --json, --junit and --html. A path that cannot be written to (no such folder, a folder itself, given
/// twice) is refused as the command line is parsed, before the work. `options` must outlive the parsing.
void add_report_options(CLI::App& command, ReportOptions& options);

/// Writes the files asked for, and prints annotations where GITHUB_ACTIONS is "true". Throws FormatError.
void write_reports(const ReportOptions& options, const Report& report);

}  // namespace forgecheck
