#include <chrono>
#include <cmath>
#include <iostream>

#include "harness/backend/backend.h"
#include "harness/cli/command.h"
#include "harness/cli/report_options.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/io/file_name.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// The recording itself as a candidate. It is always judged; asked for alone, no backend is run.
constexpr std::string_view kRecording = "golden";

struct VerifyOptions {
  std::string golden;
  std::string filter;
  std::vector<std::string> backends;
  std::int64_t gpu_runs = 1;
  ReportOptions report;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

Judgement failure(Verdict verdict, const std::string& message) {
  Judgement judgement;
  judgement.verdict = verdict;
  judgement.message = message;
  return judgement;
}

/// Runs one backend on the golden's case and judges what comes out.
Judgement judge_backend(Backend& backend, const Golden& golden, Judge& judge) {
  const Case& definition = golden.problem.definition;
  if (const std::string refusal = backend.refusal(definition); !refusal.empty()) {
    return failure(Verdict::rejected, refusal);
  }
  try {
    const Trace trace = backend.run(golden.problem, {});
    return judge.judge(trace, backend.precision(definition), backend.is_plain_reference());
  } catch (const BackendError& error) {
    return failure(Verdict::crashed, error.what());
  } catch (const Error& error) {
    return failure(Verdict::rejected, error.what());
  }
}

class Verification {
 public:
  Verification(const VerifyOptions& options, std::filesystem::path folder, const Invocation& invocation)
      : options_(options), folder_(std::move(folder)) {
    report_.command = invocation.arguments;
    for (const std::string& name : options.backends) {
      if (name != kRecording) backends_.push_back(make_backend(name, options.gpu_runs));
    }
  }

  int run() {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<GoldenEntry> entries = find_goldens(folder_, options_.filter);
    if (entries.empty()) {
      throw ConfigError("--filter \"" + options_.filter + "\": no golden below " + folder_.string() +
                        " has such a name");
    }
    for (std::size_t i = 0; i < entries.size(); ++i) {
      show_progress("[" + std::to_string(i + 1) + "/" + std::to_string(entries.size()) + "] " +
                    entries[i].name);
      with_file_name(entries[i].path, [&] { verify(entries[i]); });
    }
    show_progress("");
    print_summary(std::cout, report_);
    std::cout << entries.size() << " goldens, " << report_.results.size() << " traces in "
              << std::round(seconds_since(start) * 10) / 10 << " s: " << summary_line(report_) << "\n";
    write_reports(options_.report, report_);
    return exit_status(report_);
  }

 private:
  void verify(const GoldenEntry& entry) {
    Golden golden = read_golden(entry.path, entry.name);
    if (golden.problem.definition.run == RunKind::gradients) {
      add(golden, std::string(kRecording), failure(Verdict::unsupported, "gradients are not supported yet"),
          0.0);
      return;
    }
    load_weights(golden);
    Judge judge(golden.problem);
    auto start = std::chrono::steady_clock::now();
    Judgement recorded = judge.judge(golden.expected, golden.type, false);
    add(golden, std::string(kRecording), std::move(recorded), seconds_since(start));
    for (const auto& backend : backends_) {
      start = std::chrono::steady_clock::now();
      Judgement judgement = judge_backend(*backend, golden, judge);
      add(golden, backend->name(), std::move(judgement), seconds_since(start));
    }
  }

  void add(const Golden& golden, const std::string& candidate, Judgement judgement, double seconds) {
    Result result;
    result.case_line = case_text(golden.problem.definition);
    result.file = golden.name + ".safetensors";
    result.candidate = candidate;
    result.judgement = std::move(judgement);
    std::vector<std::string> repeat = {"forgecheck",     "verify",   "--golden",
                                       folder_.string(), "--filter", golden.name};
    if (candidate != kRecording) repeat.insert(repeat.end(), {"--backend", candidate});
    result.repeat = shell_line(repeat);
    result.seconds = seconds;
    result.dtype = torch_name(golden.problem.definition.dtype);
    if (candidate == kRecording) result.producer = golden.producer.backend;
    if (!is_success(result.judgement.verdict)) {
      show_progress("");
      print_failure(std::cout, result, ++failures_ > kFullFailures);
    }
    report_.results.push_back(std::move(result));
  }

  const VerifyOptions& options_;
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::size_t failures_ = 0;
  Report report_;
};

}  // namespace

void add_verify(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = add_command(
      app, "verify", "Judge every recorded trace, and every backend on the same cases, against the oracle",
      "forgecheck verify --filter 'kempnerforge/moe/*' --backend cpu:openblas --json report.json");
  command->add_option("--golden", options->golden, "Folder of golden files (default: the repository's)");
  command->add_option("--filter", options->filter,
                      "Only goldens whose name matches (* and ?) or contains this");
  command->add_option(
      "--backend", options->backends,
      "Backend to judge (repeatable; default: all of this machine; golden: the recordings alone)");
  command
      ->add_option(
          "--gpu-runs", options->gpu_runs,
          "Runs of each case on a GPU backend, of which every bit must agree; on the emulator each takes "
          "another order of threads (default 1)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] {
      if (options->backends.empty()) options->backends = default_backends();
      return Verification(*options, golden_folder(options->golden), invocation).run();
    };
  });
}

}  // namespace forgecheck
