#include <fmt/format.h>

#include "harness/cli/command.h"
#include "harness/cli/report_options.h"
#include "harness/cli/shard.h"
#include "harness/report/text.h"

namespace forgecheck {

namespace {

struct MergeOptions {
  std::vector<std::string> files;
  std::int64_t expected = 0;  // reports; 0: any number
  ReportOptions report;
};

int merge(const MergeOptions& options, const Invocation& invocation) {
  std::vector<NamedReport> reports;
  for (const std::string& file : options.files) reports.push_back({file, read_json_report(file)});
  MergedReport merged = merge_reports(reports);
  merged.report.command = invocation.arguments;

  std::ostream& out = terminal(options.report);
  std::size_t failures = 0;
  for (Result& result : merged.report.results) {
    result.judgement = judged_by(options.report, std::move(result.judgement));
    if (!is_success(result.judgement.verdict)) print_failure(out, result, ++failures > kFullFailures);
  }
  print_summary(out, merged.report);
  for (const std::string& conflict : merged.conflicts) out << "two verdicts: " << conflict << "\n";
  if (merged.repeated > 0) {
    out << fmt::format("{} {} in several reports\n", counted(merged.repeated, "result"),
                       merged.repeated == 1 ? "was" : "were");
  }
  const std::vector<std::string> missing = missing_shards(reports);
  for (const std::string& shard : missing) out << shard << " is in none of the reports\n";
  const bool too_few = std::ssize(reports) < options.expected;
  if (too_few)
    out << fmt::format("{} expected\n", counted(static_cast<std::size_t>(options.expected), "report"));
  out << fmt::format("{}, {}: {}\n", counted(reports.size(), "report"),
                     counted(merged.report.results.size(), "result"), summary_line(merged.report));
  write_reports(options.report, merged.report);
  return missing.empty() && !too_few ? exit_status(merged.report) : kFailure;
}

}  // namespace

void add_report(CLI::App& app, Invocation& invocation) {
  CLI::App* report = add_command(app, "report", "Work with the reports that --json wrote",
                                 "forgecheck report merge A.json B.json");
  report->require_subcommand(1);
  CLI::App* command = add_command(*report, "merge", "Merge several reports (of shards, of machines) into one",
                                  "forgecheck report merge shard1.json shard2.json --html report.html");
  auto options = std::make_shared<MergeOptions>();
  command->add_option("REPORT", options->files, "Files that --json wrote")->required();
  command->add_option("--expect", options->expected, "Fail if there are fewer reports (default: any number)")
      ->check(CLI::PositiveNumber);
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return merge(*options, invocation); };
  });
}

}  // namespace forgecheck
