#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <iostream>

#include "harness/backend/backend.h"
#include "harness/cli/command.h"
#include "harness/cli/load_problem.h"
#include "harness/cli/tap_pattern.h"
#include "harness/cli/worker_options.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct RunOptions {
  std::string definition;
  std::string backend = "reference";
  std::string taps;
  std::string save;
  ChildLimits worker;
};

/// One line: name, type, shape, and the size of the values (or the values, if they are few).
void print_tap(const std::string& name, const Array& value) {
  constexpr std::int64_t kShown = 4;
  double squares = 0, largest = 0;
  std::int64_t not_finite = 0;
  for (std::int64_t i = 0; i < value.size(); ++i) {
    const double x = value.at(i);
    if (!std::isfinite(x)) {
      ++not_finite;
      continue;
    }
    squares += x * x;
    largest = std::max(largest, std::abs(x));
  }
  fmt::print("{:<44} {:<8} {:<12}", name, torch_name(value.dtype()), to_string(value.shape()));
  if (value.size() > kShown) {
    fmt::print(" rms {:<10.4g} max {:.4g}", std::sqrt(squares / static_cast<double>(value.size())), largest);
  } else {
    for (std::int64_t i = 0; i < value.size(); ++i) fmt::print(" {:.9g}", value.at(i));
  }
  if (not_finite > 0) fmt::print("  {} not finite", not_finite);
  fmt::print("\n");
}

/// The taps that match `pattern`, all where it is empty. Throws ConfigError naming the nearest where none
/// does.
Trace run_for(const std::string& pattern, const Problem& problem, Backend& backend) {
  if (pattern.empty()) return backend.run(problem, {});
  std::vector<std::string> others;
  Trace trace = backend.run(problem, [&](std::string_view name) {
    const bool wanted = glob_match(pattern, name);
    if (!wanted) others.emplace_back(name);
    return wanted;
  });
  if (!trace.empty()) return trace;
  constexpr std::size_t kShown = 3;
  throw ConfigError(fmt::format("--taps \"{}\": no tap of this case has such a name; the nearest are {}",
                                pattern, fmt::join(nearest_taps(pattern, std::move(others), kShown), ", ")));
}

int run(const RunOptions& options) {
  require_folder_of("--save", options.save);
  const Problem problem = load_problem(options.definition);
  const std::unique_ptr<Backend> backend = make_backend(options.backend, {.worker = options.worker});
  if (const std::string refusal = backend->refusal(problem.definition); !refusal.empty()) {
    std::cerr << "forgecheck: " << options.backend << ": " << refusal << "\n";
    return kFailure;
  }
  const Trace trace =
      with_source(options.definition, [&] { return run_for(options.taps, problem, *backend); });
  fmt::print("{} on {}\n", case_text(problem.definition), backend->name());
  for (const auto& [name, value] : trace.entries()) print_tap(name, value);
  if (!options.save.empty()) {
    write_golden(options.save, problem, trace, this_producer(backend->name()));
    fmt::print("saved to {}\n", options.save);
  }
  return kAllMatch;
}

}  // namespace

void add_run(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      add_command(app, "run", "Run one case on one backend and show its taps",
                  "forgecheck run 'moe[dim=32,n_layers=1,n_heads=4,vocab_size=61,num_experts=4]/seed=7' "
                  "--taps '*router*'");
  auto options = std::make_shared<RunOptions>();
  command->add_option("CASE", options->definition, "A case's one-line text, or a golden file")->required();
  command->add_option("--backend", options->backend, "Backend (default: reference)");
  add_worker_options(*command, options->worker);
  command->add_option("--taps", options->taps, "Only taps whose name matches (* and ?)");
  command->add_option("--save", options->save, "Write inputs and taps to this .safetensors file");
  command->callback([options, &invocation] { invocation.action = [options] { return run(*options); }; });
}

}  // namespace forgecheck
