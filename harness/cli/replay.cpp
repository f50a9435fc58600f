#include <fmt/format.h>

#include <filesystem>

#include "harness/cli/check_options.h"
#include "harness/cli/command.h"
#include "harness/cli/load_problem.h"
#include "harness/cli/report_options.h"
#include "harness/fuzz/corpus.h"

namespace forgecheck {

namespace {

struct ReplayOptions {
  std::vector<std::string> cases;
  CheckOptions checks;
  ReportOptions report;
};

/// The cases of an argument: a folder's, a file's, or the typed one.
std::vector<std::string> lines_of(const std::string& argument) {
  std::error_code not_a_path;  // a case may be longer than any name of a file
  if (std::filesystem::is_directory(argument, not_a_path)) {
    std::vector<std::string> lines;
    for (const SavedCase& saved : read_corpus(argument)) lines.push_back(saved.line);
    if (lines.empty()) throw ConfigError(argument + ": has no .case file");
    return lines;
  }
  if (argument.ends_with(".case")) return {read_saved_case(argument).line};
  return {argument};
}

int replay(const ReplayOptions& options, const Invocation& invocation) {
  std::ostream& out = terminal(options.report);
  Report report;
  report.command = invocation.arguments;
  CheckOptions asked = options.checks;
  if (asked.backends.empty() && asked.between.empty()) asked.backends = default_backends();
  const std::vector<CaseCheck> checks = make_checks(asked);
  std::size_t failures = 0;
  for (const std::string& argument : options.cases) {
    for (const std::string& line : lines_of(argument)) {
      const Problem problem = load_problem(line);
      for (const CaseCheck& check : checks) {
        Result result;
        result.case_line = case_text(problem.definition);
        result.candidate = check.name;
        result.dtype = torch_name(problem.definition.dtype);
        result.judgement = judged_by(options.report, check.judge(problem));
        result.repeat = repeat_line(options.report, replay_words(asked, line, check.name));
        if (!is_success(result.judgement.verdict)) print_failure(out, result, ++failures > kFullFailures);
        report.results.push_back(std::move(result));
      }
    }
  }
  print_summary(out, report);
  out << summary_line(report) << "\n";
  write_reports(options.report, report);
  return exit_status(report);
}

}  // namespace

void add_replay(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<ReplayOptions>();
  CLI::App* command = add_command(app, "replay", "Judge saved or typed cases again",
                                  "forgecheck replay found/ --backend gpu:simt");
  command->add_option("CASE", options->cases, "A case's one-line text, a .case file, or a folder of them")
      ->required();
  add_check_options(*command, options->checks, "; default: every available one");
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return replay(*options, invocation); };
  });
}

}  // namespace forgecheck
