#include <iostream>
#include <sstream>

#include "harness/cli/command.h"
#include "harness/fuzz/calibration.h"
#include "harness/io/atomic_file.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

struct CalibrateOptions {
  std::string runs = "2500";
  std::string seed = "0";
  std::string samples = "20";
  std::vector<std::string> traces;
  std::string save;
};

std::int64_t not_negative(const std::string& option, const std::string& text) {
  const std::int64_t value = parse_integer(option, text);
  if (value < 0) throw ConfigError(option + " " + text + ": must not be negative");
  return value;
}

int run_calibrate(const CalibrateOptions& given) {
  CalibrationOptions options;
  options.runs = not_negative("--runs", given.runs);
  if (options.runs == 0 && given.traces.empty())
    throw ConfigError("--runs 0: must be positive without --traces");
  for (const std::string& folder : given.traces) {
    if (!std::filesystem::is_directory(folder)) throw ConfigError("--traces " + folder + ": is not a folder");
    options.traces.emplace_back(folder);
  }
  options.seed = parse_unsigned("--seed", given.seed);
  options.samples = not_negative("--samples", given.samples);
  require_folder_of("--save", given.save);
  const Calibration calibration = calibrate(options, show_progress);
  show_progress("");
  std::ostringstream text;
  write_calibration(text, calibration);
  if (given.save.empty()) {
    std::cout << text.str();
  } else {
    write_atomically(given.save, text.str());
    std::cout << calibration.comparisons << " comparisons, " << calibration.failures.size()
              << " failed: " << given.save << "\n";
  }
  return calibration.failures.empty() ? kAllMatch : kFailure;
}

}  // namespace

void add_calibrate(CLI::App& app, Invocation& invocation) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* command = add_command(
      app, "calibrate", "Judge right implementations on random models: the evidence for the tolerances",
      "forgecheck calibrate --runs 100 --seed 7 --samples 0");
  command->add_option("--runs", options->runs, "How many random models (default 2500)");
  command->add_option("--seed", options->seed, "Seed of the first random model (default 0)");
  command->add_option("--samples", options->samples,
                      "How many values to change for each kind of tap and type (default 20; 0: none)");
  command->add_option(
      "--traces", options->traces,
      "Folder of recordings of another right implementation (repeatable; with --runs 0 only these)");
  command->add_option("--save", options->save, "Write the evidence to this file instead of standard output");
  command->callback(
      [options, &invocation] { invocation.action = [options] { return run_calibrate(*options); }; });
}

}  // namespace forgecheck
