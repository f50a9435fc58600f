#include <fmt/format.h>

#include <filesystem>

#include "harness/backend/backend.h"
#include "harness/cli/command.h"
#include "harness/cli/load_problem.h"
#include "harness/cli/report_options.h"
#include "harness/cli/worker_options.h"
#include "harness/fuzz/corpus.h"
#include "harness/verdict/judge_backend.h"

namespace forgecheck {

namespace {

struct ReplayOptions {
  std::vector<std::string> cases, backends;
  ChildLimits worker;
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
  std::vector<std::unique_ptr<Backend>> backends;
  for (const std::string& name : options.backends.empty() ? default_backends() : options.backends) {
    backends.push_back(make_backend(name, {.worker = options.worker}));
  }
  std::size_t failures = 0;
  for (const std::string& argument : options.cases) {
    for (const std::string& line : lines_of(argument)) {
      const Problem problem = load_problem(line);
      for (const auto& backend : backends) {
        Result result;
        result.case_line = case_text(problem.definition);
        result.candidate = backend->name();
        result.dtype = torch_name(problem.definition.dtype);
        result.judgement = judged_by(options.report, judge_backend(*backend, problem));
        result.repeat =
            repeat_line(options.report, {"forgecheck", "replay", line, "--backend", backend->name()});
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
  command->add_option("--backend", options->backends,
                      "Backend to judge (repeatable; default: every available one)");
  add_worker_options(*command, options->worker);
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return replay(*options, invocation); };
  });
}

}  // namespace forgecheck
