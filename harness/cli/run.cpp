#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <numeric>

#include "harness/backend/backend.h"
#include "harness/case/make_inputs.h"
#include "harness/cli/checkpoint_options.h"
#include "harness/cli/command.h"
#include "harness/cli/load_problem.h"
#include "harness/cli/tap_pattern.h"
#include "harness/cli/worker_options.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/recorded_sizes.h"
#include "harness/golden/store.h"
#include "harness/io/checkpoint.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct RunOptions {
  std::string definition;  // empty: a checkpoint
  CheckpointOptions model;
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

/// One forward call of a checkpoint.
Problem checkpoint_problem(const CheckpointOptions& options) {
  if (options.tokens.empty()) throw ConfigError("--tokens: is needed with --checkpoint");
  Problem problem;
  Case& definition = problem.definition;
  definition.architecture = load_architecture(options);
  definition.dtype = parse_dtype(options, Dtype::f32);
  problem.inputs.tokens = parse_tokens(options.tokens);
  definition.inputs = sizes_of(problem.inputs, definition.architecture);
  validate(definition);
  require_memory(definition);
  problem.parameters = load_parameters(options.checkpoint, definition.architecture);
  return problem;
}

Problem problem_of(const RunOptions& options) {
  const CheckpointOptions& model = options.model;
  if (options.definition.empty() == model.checkpoint.empty()) {
    throw ConfigError("run: give either CASE or --checkpoint");
  }
  if (options.definition.empty()) return checkpoint_problem(model);
  for (const auto& [option, value] : given_besides(model)) {
    throw ConfigError(fmt::format("{} {}: is for --checkpoint only", option, value));
  }
  return load_problem(options.definition);
}

/// The most likely next tokens.
void print_next_tokens(const Array& logits) {
  constexpr std::size_t kShown = 5;
  const std::int64_t vocabulary = logits.shape().back(), first = logits.size() - vocabulary;
  std::vector<std::int64_t> tokens(static_cast<std::size_t>(vocabulary));
  std::iota(tokens.begin(), tokens.end(), 0);
  const std::size_t shown = std::min(kShown, tokens.size());
  std::ranges::partial_sort(tokens, tokens.begin() + static_cast<std::ptrdiff_t>(shown), std::greater<>(),
                            [&](std::int64_t token) { return logits.at(first + token); });
  fmt::print("next token:");
  for (std::size_t i = 0; i < shown; ++i) {
    fmt::print("{} {} (logit {:.6g})", i == 0 ? "" : ",", tokens[i], logits.at(first + tokens[i]));
  }
  fmt::print("\n");
}

/// The name under which a saved trace says where its weights are.
std::string weights_of(const RunOptions& options) {
  if (options.model.checkpoint.empty()) return "seeded";
  const std::filesystem::path path = options.model.checkpoint;
  return std::filesystem::is_directory(path) ? "model.safetensors" : path.filename().string();
}

int run(const RunOptions& options) {
  require_folder_of("--save", options.save);
  const Problem problem = problem_of(options);
  const std::unique_ptr<Backend> backend = make_backend(options.backend, {.worker = options.worker});
  if (const std::string refusal = backend->refusal(problem.definition); !refusal.empty()) {
    std::cerr << "forgecheck: " << options.backend << ": " << refusal << "\n";
    return kFailure;
  }
  const Trace trace = with_source(options.definition.empty() ? options.model.checkpoint : options.definition,
                                  [&] { return run_for(options.taps, problem, *backend); });
  fmt::print("{} on {}\n", case_text(problem.definition), backend->name());
  for (const auto& [name, value] : trace.entries()) print_tap(name, value);
  const Array* logits = trace.find("logits");
  if (!options.model.checkpoint.empty() && logits != nullptr) print_next_tokens(*logits);
  if (!options.save.empty()) {
    write_golden(options.save, problem, trace, this_producer(backend->name()), weights_of(options));
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
  command->add_option("CASE", options->definition, "A case's one-line text, or a golden file");
  add_checkpoint_options(*command, options->model, "float32");
  command->add_option("--backend", options->backend, "Backend (default: reference)");
  add_worker_options(*command, options->worker);
  command->add_option("--taps", options->taps, "Only taps whose name matches (* and ?)");
  command->add_option("--save", options->save, "Write inputs and taps to this .safetensors file");
  command->callback([options, &invocation] { invocation.action = [options] { return run(*options); }; });
}

}  // namespace forgecheck
