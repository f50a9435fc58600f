#include <algorithm>
#include <iostream>

#include "harness/cli/command.h"
#include "harness/cli/report_options.h"

namespace forgecheck {

namespace {

struct MergeOptions {
  std::vector<std::string> files;
  ReportOptions report;
};

int merge(const MergeOptions& options, const Invocation& invocation) {
  std::vector<NamedReport> reports;
  for (const std::string& file : options.files) reports.push_back({file, read_json_report(file)});
  MergedReport merged = merge_reports(reports);
  merged.report.command = invocation.arguments;

  std::size_t failures = 0;
  for (const Result& result : merged.report.results) {
    if (!is_success(result.judgement.verdict)) print_failure(std::cout, result, ++failures > kFullFailures);
  }
  print_summary(std::cout, merged.report);
  for (const std::string& conflict : merged.conflicts) std::cout << "two verdicts: " << conflict << "\n";
  if (merged.repeated > 0) std::cout << merged.repeated << " results were in several reports\n";
  std::cout << reports.size() << " reports, " << merged.report.results.size()
            << " results: " << summary_line(merged.report) << "\n";
  write_reports(options.report, merged.report);
  return exit_status(merged.report);
}

}  // namespace

void add_report(CLI::App& app, Invocation& invocation) {
  CLI::App* report = add_command(app, "report", "Reports that were written with --json",
                                 "forgecheck report merge A.json B.json");
  report->require_subcommand(1);
  CLI::App* command = add_command(*report, "merge", "Put several reports (of shards, of machines) into one",
                                  "forgecheck report merge shard1.json shard2.json --html report.html");
  auto options = std::make_shared<MergeOptions>();
  command->add_option("REPORT", options->files, "Files that --json wrote")->required();
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return merge(*options, invocation); };
  });
}

}  // namespace forgecheck
