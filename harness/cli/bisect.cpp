#include "harness/verdict/bisect.h"

#include <chrono>
#include <iostream>

#include "harness/cli/command.h"
#include "harness/cli/load_problem.h"
#include "harness/cli/report_options.h"
#include "harness/cli/worker_options.h"

namespace forgecheck {

namespace {

struct BisectOptions {
  std::string definition;
  std::string backend;
  ChildLimits worker;
  ReportOptions report;
};

int run(const BisectOptions& options, const Invocation& invocation) {
  const std::unique_ptr<Backend> backend = make_backend(options.backend, {.worker = options.worker});
  const Problem problem = load_problem(options.definition);
  if (const std::string refusal = backend->refusal(problem.definition); !refusal.empty()) {
    std::cerr << "forgecheck: " << options.backend << ": " << refusal << "\n";
    return kFailure;
  }
  const auto start = std::chrono::steady_clock::now();
  std::ostream& out = terminal(options.report);
  out << case_text(problem.definition) << " on " << backend->name() << "\n";
  Bisection bisection = with_source(options.definition, [&] {
    return bisect(problem, *backend, [&out](const std::string& line) { out << line << std::endl; });
  });

  Result result;
  result.case_line = case_text(problem.definition);
  result.candidate = backend->name();
  result.judgement = judged_by(options.report, std::move(bisection.judgement));
  result.repeat =
      repeat_line(options.report, {"forgecheck", "bisect", options.definition, "--backend", options.backend});
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!is_success(result.judgement.verdict)) print_failure(out, result);
  Report report{invocation.arguments, {}};
  report.results.push_back(std::move(result));
  print_notes(out, report);
  write_reports(options.report, report);
  return exit_status(report);
}

}  // namespace

void add_bisect(CLI::App& app, Invocation& invocation) {
  CLI::App* command = add_command(
      app, "bisect", "Find the first wrong module of a backend, asking it for more taps only as needed",
      "forgecheck bisect 'dense[dim=64,n_layers=4,n_heads=4,vocab_size=61]/text_len=12/seed=7' "
      "--backend cpu:openblas");
  auto options = std::make_shared<BisectOptions>();
  command->add_option("CASE", options->definition, "A case's one-line text, or a golden file")->required();
  command->add_option("--backend", options->backend, "Backend to judge")->required();
  add_worker_options(*command, options->worker);
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] { return run(*options, invocation); };
  });
}

}  // namespace forgecheck
