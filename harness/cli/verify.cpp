#include <chrono>
#include <cmath>
#include <iostream>

#include "harness/backend/backend.h"
#include "harness/cli/command.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// The recording itself as a candidate. It is always judged; asked for alone, no backend is run.
constexpr std::string_view kRecording = "golden";

struct VerifyOptions {
  std::string golden;
  std::string filter;
  std::string json;
  std::vector<std::string> backends;
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
    require_folder_of("--json", options.json);
    for (const std::string& name : options.backends) {
      if (name != kRecording) backends_.push_back(make_backend(name));
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
      verify(entries[i]);
    }
    show_progress("");
    print_table();
    print_unsupported();
    std::cout << entries.size() << " goldens, " << report_.results.size() << " traces in "
              << std::round(seconds_since(start) * 10) / 10 << " s: " << summary_line(report_) << "\n";
    if (!options_.json.empty()) write_json_report(options_.json, report_);
    return exit_status(report_);
  }

 private:
  void verify(const GoldenEntry& entry) {
    Golden golden = read_golden(entry.path, entry.name);
    if (golden.problem.definition.run == RunKind::gradients) {
      add(golden, "golden", failure(Verdict::unsupported, "gradients are not supported yet"), 0.0);
      return;
    }
    load_weights(golden);
    Judge judge(golden.problem);
    auto start = std::chrono::steady_clock::now();
    Judgement recorded = judge.judge(golden.expected, golden.type, false);
    add(golden, "golden", std::move(recorded), seconds_since(start));
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
    result.repeat = "forgecheck verify --golden " + folder_.string() + " --filter " + golden.name +
                    (candidate == "golden" ? "" : " --backend " + candidate);
    result.seconds = seconds;
    if (!is_success(result.judgement.verdict)) {
      show_progress("");
      print_failure(std::cout, result);
    }
    const std::string type(torch_name(golden.problem.definition.dtype));
    Row& row = rows_[candidate + (candidate == "golden" ? " (" + golden.producer.backend + ")" : "")][type];
    ++row.verdicts[result.judgement.verdict];
    if (result.judgement.used > row.used) {
      row.used = result.judgement.used;
      row.worst = golden.name;
    }
    report_.results.push_back(std::move(result));
  }

  /// For each candidate and dtype: its verdicts and the largest share of a tolerance that any tap used.
  void print_table() const {
    for (const auto& [candidate, types] : rows_) {
      for (const auto& [type, row] : types) {
        std::string verdicts;
        for (const auto& [verdict, count] : row.verdicts) {
          verdicts += (verdicts.empty() ? "" : ", ") + std::to_string(count) + " " + to_string(verdict);
        }
        char line[320];
        std::snprintf(line, sizeof line, "%-24s %-9s %-32s headroom %.3f used at most%s%s", candidate.c_str(),
                      type.c_str(), verdicts.c_str(), row.used, row.worst.empty() ? "" : ", by ",
                      row.worst.c_str());
        std::cout << line << "\n";
      }
    }
  }

  /// The goldens that are listed, but not judged.
  void print_unsupported() const {
    std::map<std::string, std::size_t> reasons;
    for (const Result& result : report_.results) {
      if (result.judgement.verdict == Verdict::unsupported) {
        ++reasons[result.file.substr(0, result.file.rfind('/')) + ": " + result.judgement.message];
      }
    }
    for (const auto& [reason, count] : reasons) std::cout << count << " not judged, " << reason << "\n";
  }

  struct Row {
    std::map<Verdict, std::size_t> verdicts;
    double used = 0.0;
    std::string worst;
  };

  const VerifyOptions& options_;
  std::filesystem::path folder_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::map<std::string, std::map<std::string, Row>> rows_;
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
  command->add_option("--json", options->json, "Write the report to this file");
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] {
      if (options->backends.empty()) options->backends = default_backends();
      return Verification(*options, golden_folder(options->golden), invocation).run();
    };
  });
}

}  // namespace forgecheck
