#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "harness/bench/bench.h"
#include "harness/bench/suite.h"
#include "harness/cli/command.h"
#include "harness/cli/load_problem.h"
#include "harness/cli/worker_options.h"
#include "harness/io/atomic_file.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct BenchOptions {
  std::vector<std::string> cases, backends, against;
  int rounds = 3, runs = 5;
  bool judging = true;
  std::string json;
  ChildLimits worker{.seconds = 600.0};
};

/// All cases of the suite where none was asked for.
std::vector<BenchCase> cases_of(const BenchOptions& options) {
  if (options.cases.empty()) return bench_suite();
  std::vector<BenchCase> cases;
  for (const std::string& text : options.cases) {
    const auto known = std::ranges::find(bench_suite(), text, &BenchCase::name);
    cases.push_back(known != bench_suite().end() ? *known : BenchCase{text, text});
  }
  return cases;
}

std::vector<std::unique_ptr<Backend>> make_backends(const BenchOptions& options) {
  std::vector<std::string> names = options.backends.empty() ? default_backends() : options.backends;
  // An emulator's speed says nothing.
  if (options.backends.empty()) std::erase(names, "gpu:simt");
  std::ranges::copy(options.against, std::back_inserter(names));
  std::vector<std::unique_ptr<Backend>> backends;
  for (const std::string& name : names) backends.push_back(make_backend(name, {.worker = options.worker}));
  return backends;
}

std::int64_t parameters_of(const Problem& problem) {
  std::int64_t count = 0;
  for (const auto& [name, array] : problem.parameters) count += array.size();
  return count;
}

std::string milliseconds(const Quartiles& seconds) {
  return fmt::format("{:.3g} ({:.3g} - {:.3g})", 1e3 * seconds.median, 1e3 * seconds.lower,
                     1e3 * seconds.upper);
}

/// At most `most` characters of a name: its end, where the commands of two programs differ.
std::string shortened(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : "..." + name.substr(name.size() - most + 3);
}

/// The rest of a row: speed, time, and the speed as a multiple of that of each rival.
void print_row(const Measurement& row, std::int64_t tokens, const std::vector<Measurement>& rivals) {
  fmt::print("  {:<14} ", shortened(row.backend, 60));
  if (!row.refusal.empty()) {
    fmt::print("{}\n", row.refusal.substr(0, row.refusal.find('\n')));
    return;
  }
  const Quartiles seconds = quartiles_of(row.times.seconds);
  fmt::print("{:>12.1f} {:>28}", static_cast<double>(tokens) / seconds.median, milliseconds(seconds));
  fmt::print(" {:>9}", row.peak_bytes < 0
                           ? "-"
                           : fmt::format("{:.0f}", static_cast<double>(row.peak_bytes) / (1 << 20)));
  for (const Measurement& rival : rivals) {
    if (rival.backend == row.backend || !rival.refusal.empty()) continue;
    fmt::print("  {:.2f} x {}", quartiles_of(rival.times.seconds).median / seconds.median,
               shortened(rival.backend, 40));
  }
  fmt::print("{}\n", row.times.with_loading ? "  (weights loaded in each run)" : "");
}

void print_kernels(const Measurement& row) {
  const auto& kernels = row.times.kernels;
  if (kernels.empty()) return;
  double all = 0.0;
  for (const gpu::KernelTime& kernel : kernels) all += kernel.milliseconds;
  fmt::print("  {} by kernel, one run\n", row.backend);
  for (const gpu::KernelTime& kernel : kernels) {
    fmt::print("    {:<24} {:>8.3f} ms {:>5.1f} % {:>6} launches\n", kernel.name, kernel.milliseconds,
               all > 0.0 ? 100.0 * kernel.milliseconds / all : 0.0, kernel.launches);
  }
}

nlohmann::ordered_json json_of(const Measurement& row, std::int64_t tokens) {
  nlohmann::ordered_json object = {{"backend", row.backend}};
  if (!row.refusal.empty()) {
    object["refusal"] = row.refusal;
    return object;
  }
  const Quartiles seconds = quartiles_of(row.times.seconds);
  object["tokens_per_second"] = static_cast<double>(tokens) / seconds.median;
  object["seconds"] = {
      {"lower_quartile", seconds.lower}, {"median", seconds.median}, {"upper_quartile", seconds.upper}};
  object["runs"] = row.times.seconds.size();
  object["with_loading"] = row.times.with_loading;
  for (const gpu::KernelTime& kernel : row.times.kernels) {
    object["kernels"].push_back(
        {{"name", kernel.name}, {"launches", kernel.launches}, {"milliseconds", kernel.milliseconds}});
  }
  if (row.peak_bytes >= 0) object["peak_bytes"] = row.peak_bytes;
  return object;
}

nlohmann::ordered_json bench(const BenchCase& asked, const std::vector<std::unique_ptr<Backend>>& backends,
                             const BenchOptions& options) {
  const Problem problem = load_problem(asked.definition);
  const std::int64_t tokens = tokens_of(problem);
  show_progress("measuring " + asked.name);
  const std::vector<Measurement> rows = measure(problem, backends, options.rounds, options.runs);
  std::vector<double> judging;
  if (options.judging) judging = time_judging(problem, right_trace(problem), options.rounds);
  show_progress("");

  fmt::print("{}: {:.1f} million parameters, {} tokens a run\n", asked.name,
             static_cast<double>(parameters_of(problem)) / 1e6, tokens);
  fmt::print("  {:<14} {:>12} {:>28} {:>9}\n", "backend", "tokens/s", "ms, median (quartiles)", "peak MiB");
  std::vector<Measurement> rivals;
  std::ranges::copy_if(rows, std::back_inserter(rivals), [&](const Measurement& row) {
    return std::ranges::find(options.against, row.backend) != options.against.end();
  });
  nlohmann::ordered_json backends_json = nlohmann::ordered_json::array();
  for (const Measurement& row : rows) {
    print_row(row, tokens, rivals);
    backends_json.push_back(json_of(row, tokens));
  }
  for (const Measurement& row : rows) print_kernels(row);
  nlohmann::ordered_json object = {{"case", asked.name},
                                   {"definition", asked.definition},
                                   {"parameters", parameters_of(problem)},
                                   {"tokens", tokens},
                                   {"backends", backends_json}};
  if (!judging.empty()) {
    const Quartiles seconds = quartiles_of(judging);
    fmt::print("  judging a trace {:>11.1f} {:>27}\n", 1.0 / seconds.median, milliseconds(seconds));
    object["judged_per_second"] = 1.0 / seconds.median;
  }
  return object;
}

int run_bench(const BenchOptions& options) {
  require_folder_of("--json", options.json);
  const std::vector<std::unique_ptr<Backend>> backends = make_backends(options);
  nlohmann::ordered_json cases = nlohmann::ordered_json::array();
  for (const BenchCase& asked : cases_of(options)) cases.push_back(bench(asked, backends, options));
  if (!options.json.empty()) {
    const nlohmann::ordered_json report = {{"schema", 1}, {"version", FORGECHECK_VERSION}, {"cases", cases}};
    write_atomically(options.json, report.dump(2) + "\n");
  }
  return kAllMatch;
}

}  // namespace

void add_bench(CLI::App& app, Invocation& invocation) {
  CLI::App* command = add_command(app, "bench",
                                  "Measure how fast backends run cases: tokens a second, the median and "
                                  "quartiles of the time, the most memory; and how "
                                  "many traces are judged a second",
                                  "forgecheck bench dense-20m --against \"exec:PYTHONPATH=KempnerForge "
                                  "python3 scripts/kempnerforge_worker.py\"");
  auto options = std::make_shared<BenchOptions>();
  std::string names;
  for (const BenchCase& known : bench_suite()) names += (names.empty() ? "" : ", ") + known.name;
  command->add_option("CASE", options->cases,
                      "Case lines, goldens, or some of: " + names + " (default: all of these)");
  command->add_option("--backend", options->backends,
                      "Backend to measure (repeatable; default: every available one but the emulator)");
  command->add_option("--against", options->against,
                      "Backend with which the others are compared (repeatable)");
  command->add_option("--rounds", options->rounds, "Rounds, in which all backends take turns")
      ->check(CLI::Range(1, 1000));
  command->add_option("--runs", options->runs, "Runs of a backend in each round")
      ->check(CLI::Range(1, 100000));
  command->add_flag("!--no-judging", options->judging, "Do not measure how long a trace takes to judge");
  command->add_option("--json", options->json, "Write the measurements to this file");
  add_worker_options(*command, options->worker);
  command->callback(
      [options, &invocation] { invocation.action = [options] { return run_bench(*options); }; });
}

}  // namespace forgecheck
