#include <cmath>
#include <cstdio>
#include <iostream>

#include "harness/backend/backend.h"
#include "harness/cli/command.h"
#include "harness/cli/load_problem.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"

namespace forgecheck {

namespace {

struct RunOptions {
  std::string definition;
  std::string backend = "reference";
  std::string taps;
  std::string save;
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
  std::printf("%-44s %-8s %-12s", name.c_str(), std::string(torch_name(value.dtype())).c_str(),
              to_string(value.shape()).c_str());
  if (value.size() > kShown) {
    std::printf(" rms %-10.4g max %.4g", std::sqrt(squares / static_cast<double>(value.size())), largest);
  } else {
    for (std::int64_t i = 0; i < value.size(); ++i) std::printf(" %.9g", value.at(i));
  }
  if (not_finite > 0) std::printf("  %lld not finite", static_cast<long long>(not_finite));
  std::printf("\n");
}

int run(const RunOptions& options) {
  require_folder_of("--save", options.save);
  const Problem problem = load_problem(options.definition);
  const std::unique_ptr<Backend> backend = make_backend(options.backend);
  if (const std::string refusal = backend->refusal(problem.definition); !refusal.empty()) {
    std::cerr << "forgecheck: " << options.backend << ": " << refusal << "\n";
    return kFailure;
  }
  TapFilter wants;
  if (!options.taps.empty()) {
    wants = [&](std::string_view name) { return glob_match(options.taps, name); };
  }
  const Trace trace = with_source(options.definition, [&] { return backend->run(problem, wants); });
  std::cout << case_text(problem.definition) << " on " << backend->name() << "\n";
  for (const auto& [name, value] : trace.entries()) print_tap(name, value);
  std::fflush(stdout);
  if (trace.empty()) std::cout << "no tap matches " << options.taps << "\n";
  if (!options.save.empty()) {
    write_golden(options.save, problem, trace, this_producer(backend->name()));
    std::cout << "saved to " << options.save << "\n";
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
  command->add_option("--taps", options->taps, "Only taps whose name matches (* and ?)");
  command->add_option("--save", options->save, "Write inputs and taps to this .safetensors file");
  command->callback([options, &invocation] { invocation.action = [options] { return run(*options); }; });
}

}  // namespace forgecheck
