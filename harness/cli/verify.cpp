#include <fmt/format.h>

#include <chrono>
#include <optional>

#include "harness/backend/backend.h"
#include "harness/backend/reference_run.h"
#include "harness/cli/command.h"
#include "harness/cli/report_options.h"
#include "harness/cli/shard.h"
#include "harness/cli/worker_options.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/io/checkpoint.h"
#include "harness/io/file_name.h"
#include "harness/report/text.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/judge_backend.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// The recording itself as a candidate. It is always judged; where it is the only one asked for, no backend
/// is run.
constexpr std::string_view kRecording = "golden";

struct VerifyOptions {
  std::string golden;
  std::string config, dtype = "float32";
  std::int64_t tokens = 128, layers = 0;
  std::vector<std::string> filters;
  std::string shard;
  std::vector<std::string> backends;
  BackendOptions backend;
  ReportOptions report;
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Verification {
 public:
  Verification(const VerifyOptions& options, std::filesystem::path folder, const Invocation& invocation)
      : options_(options), folder_(std::move(folder)), out_(terminal(options.report)) {
    report_.command = invocation.arguments;
    report_.folder = folder_;
    for (const std::string& name : options.backends) {
      if (name != kRecording) backends_.push_back(make_backend(name, options.backend));
    }
  }

  int run() {
    const auto start = std::chrono::steady_clock::now();
    const std::vector<GoldenEntry> entries = chosen();
    for (std::size_t i = 0; i < entries.size(); ++i) {
      show_progress(fmt::format("[{}/{}] {}", i + 1, entries.size(), entries[i].name));
      verify(entries[i]);
    }
    return finish(counted(entries.size(), "golden"), start);
  }

  /// Every backend on the case of a configuration.
  int run(const Case& definition) {
    const auto start = std::chrono::steady_clock::now();
    const Problem problem = seeded_problem(definition);
    for (const auto& backend : backends_) {
      const auto backend_start = std::chrono::steady_clock::now();
      show_progress(backend->name());
      Result result;
      result.candidate = backend->name();
      result.case_line = case_text(definition);
      result.dtype = torch_name(definition.dtype);
      result.judgement = judged_by(options_.report, judge_backend(*backend, problem));
      result.repeat = repeat_line(options_.report, {"forgecheck", "replay", result.case_line, "--backend",
                                                    std::string(backend->name())});
      result.seconds = seconds_since(backend_start);
      add(std::move(result));
    }
    return finish(options_.config, start);
  }

 private:
  int finish(const std::string& what, std::chrono::steady_clock::time_point start) {
    show_progress("");
    print_summary(out_, report_);
    out_ << fmt::format("{}, {} in {:.1f} s: {}\n", what, counted(report_.results.size(), "trace"),
                        seconds_since(start), summary_line(report_));
    write_reports(options_.report, report_);
    return exit_status(report_);
  }

  /// The goldens that any of the filters names, and of those the shard. Each filter must name one.
  std::vector<GoldenEntry> chosen() const {
    const std::vector<GoldenEntry> all = find_goldens(folder_, "");
    if (all.empty())
      throw ConfigError(fmt::format("--golden {}: there is no golden file in it", folder_.string()));
    const std::vector<std::string>& filters = options_.filters;
    for (const std::string& filter : filters) {
      if (std::ranges::none_of(all, [&](const auto& entry) { return matches_filter(filter, entry.name); })) {
        throw ConfigError(
            fmt::format("--filter \"{}\": no golden in {} has such a name", filter, folder_.string()));
      }
    }
    const Shard shard = parse_shard(options_.shard);
    std::vector<GoldenEntry> result;
    std::size_t position = 0;
    for (const GoldenEntry& entry : all) {
      const auto named = [&](const std::string& filter) { return matches_filter(filter, entry.name); };
      if (!filters.empty() && std::ranges::none_of(filters, named)) continue;
      if (shard.has(position++)) result.push_back(entry);
    }
    if (result.empty()) {
      throw ConfigError(fmt::format("--shard {}: there are only {} goldens", options_.shard, position));
    }
    return result;
  }

  /// Judges the recording, then every backend on its case. A file that cannot be read, or that its own case
  /// refuses, is one rejected result; the others are judged all the same.
  void verify(const GoldenEntry& entry) {
    std::optional<Golden> golden;
    bool judged = false;
    auto start = std::chrono::steady_clock::now();
    Judgement recorded = judged_or_failure([&] {
      return with_file_name(entry.path, [&] {
        golden = read_golden(entry.path, entry.name);
        if (golden->problem.definition.run == RunKind::gradients) {
          return failure(Verdict::unsupported, "gradients are not supported yet");
        }
        load_weights(*golden);
        start = std::chrono::steady_clock::now();
        Judgement judgement = judge(golden->problem, golden->expected, golden->type, false);
        judged = true;
        return judgement;
      });
    });
    add(entry, golden, kRecording, std::move(recorded), seconds_since(start));
    if (!judged) return;
    for (const auto& backend : backends_) {
      start = std::chrono::steady_clock::now();
      Judgement judgement = judge_backend(*backend, golden->problem);
      add(entry, golden, backend->name(), std::move(judgement), seconds_since(start));
    }
  }

  /// `golden`: none where it cannot be read, so that its case is not known.
  void add(const GoldenEntry& entry, const std::optional<Golden>& golden, std::string_view candidate,
           Judgement judgement, double seconds) {
    Result result;
    result.file = entry.name + ".safetensors";
    result.candidate = candidate;
    result.judgement = judged_by(options_.report, std::move(judgement));
    std::vector<std::string> repeat = {"forgecheck",     "verify",   "--golden",
                                       folder_.string(), "--filter", entry.name};
    if (candidate != kRecording) repeat.insert(repeat.end(), {"--backend", std::string(candidate)});
    if (candidate.starts_with("gpu:") && options_.backend.gpu_runs > 1) {
      repeat.insert(repeat.end(), {"--gpu-runs", std::to_string(options_.backend.gpu_runs)});
    }
    result.repeat = repeat_line(options_.report, std::move(repeat));
    result.seconds = seconds;
    if (golden) {
      result.case_line = case_text(golden->problem.definition);
      result.dtype = torch_name(golden->problem.definition.dtype);
      if (candidate == kRecording) result.producer = golden->producer.backend;
    }
    add(std::move(result));
  }

  void add(Result result) {
    if (!is_success(result.judgement.verdict)) {
      show_progress("");
      print_failure(out_, result, ++failures_ > kFullFailures);
    }
    report_.results.push_back(std::move(result));
  }

  const VerifyOptions& options_;
  std::filesystem::path folder_;
  std::ostream& out_;
  std::vector<std::unique_ptr<Backend>> backends_;
  std::size_t failures_ = 0;
  Report report_;
};

/// The first layers of a configured model, on one row of tokens.
Case case_of(const VerifyOptions& options) {
  Case definition;
  definition.architecture = load_config(options.config);
  ModelConfig& model = definition.architecture.model;
  if (options.layers > model.n_layers) {
    throw ConfigError(fmt::format("--layers {}: {} has {}", options.layers, options.config, model.n_layers));
  }
  if (options.tokens > model.max_seq_len) {
    throw ConfigError(fmt::format("--tokens {}: {} has max_seq_len = {}", options.tokens, options.config,
                                  model.max_seq_len));
  }
  if (options.layers > 0) model.n_layers = options.layers;
  definition.dtype = options.dtype == "bfloat16" ? Dtype::bf16 : Dtype::f32;
  definition.inputs.batch = 1;
  definition.inputs.text_len = options.tokens;
  validate(definition);
  return definition;
}

}  // namespace

void add_verify(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = add_command(
      app, "verify", "Check every recorded trace against the oracle, and every backend on the same cases",
      "forgecheck verify --filter 'kempnerforge/moe/*' --backend cpu:openblas --json report.json");
  CLI::Option* golden =
      command->add_option("--golden", options->golden, "Folder of golden files (default: the repository's)");
  CLI::Option* filter =
      command->add_option("--filter", options->filters,
                          "Only goldens whose name matches (* and ?) or contains this (repeatable)");
  CLI::Option* shard = command->add_option("--shard", options->shard, "Only the i-th of n parts: i/n");
  CLI::Option* config =
      command
          ->add_option("--config", options->config,
                       "Instead of goldens, this model with seeded weights: KempnerForge's .toml, "
                       "Hugging Face's config.json, or a folder with one of them")
          ->excludes(golden, filter, shard);
  command->add_option("--tokens", options->tokens, "Of that model: how many tokens it reads (default 128)")
      ->check(CLI::PositiveNumber)
      ->needs(config);
  command->add_option("--layers", options->layers, "Of that model: only its first layers (default: all)")
      ->check(CLI::PositiveNumber)
      ->needs(config);
  command->add_option("--dtype", options->dtype, "Of that model: float32 (default) or bfloat16")
      ->check(CLI::IsMember({"float32", "bfloat16"}))
      ->needs(config);
  command->add_option(
      "--backend", options->backends,
      "Backend to judge (repeatable; default: every available one; golden: only the recordings)");
  command
      ->add_option(
          "--gpu-runs", options->backend.gpu_runs,
          "How often a GPU backend runs each case; every bit must be the same each time, and on the emulator "
          "each run takes another order of threads (default 1)")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
  add_worker_options(*command, options->backend.worker);
  add_report_options(*command, options->report);
  command->callback([options, &invocation] {
    invocation.action = [options, &invocation] {
      if (options->backends.empty()) options->backends = default_backends();
      if (!options->config.empty()) {
        if (options->backends == std::vector<std::string>{std::string(kRecording)}) {
          throw ConfigError("--backend golden: a configuration has no recording");
        }
        return Verification(*options, {}, invocation).run(case_of(*options));
      }
      return Verification(*options, golden_folder(options->golden), invocation).run();
    };
  });
}

}  // namespace forgecheck
