#include "harness/cli/check_options.h"

#include <fmt/format.h>

#include "harness/cli/worker_options.h"
#include "reference/error.h"

namespace forgecheck {

void add_check_options(CLI::App& command, CheckOptions& options, const std::string& none) {
  command.add_option("--backend", options.backends, "Backend to judge (repeatable" + none + ")");
  command
      .add_option("--between", options.between,
                  "Compare two backends with each other, tap by tap, instead of with the oracle")
      ->type_name("A B")
      ->expected(2)
      ->excludes("--backend");
  command
      .add_flag(
          "--metamorphic", options.metamorphic,
          "Compare each backend with itself instead: on permuted rows, in chunks, with other padding ...")
      ->excludes("--between");
  add_worker_options(command, options.worker);
}

std::vector<CaseCheck> make_checks(const CheckOptions& options) {
  const auto backend = [&](const std::string& name) -> std::shared_ptr<Backend> {
    return make_backend(name, {.worker = options.worker});
  };
  if (!options.between.empty()) {
    return {agreement_check(backend(options.between[0]), backend(options.between[1]))};
  }
  std::vector<CaseCheck> checks;
  for (const std::string& name : options.backends) {
    checks.push_back(options.metamorphic ? relations_check(backend(name)) : oracle_check(backend(name)));
  }
  if (checks.empty()) throw ConfigError("give --backend, or --between and two backends");
  return checks;
}

std::vector<std::string> words_of(const CheckOptions& options) {
  std::vector<std::string> words;
  if (!options.between.empty()) words = {"--between", options.between[0], options.between[1]};
  for (const std::string& name : options.backends) words.insert(words.end(), {"--backend", name});
  if (options.metamorphic) words.push_back("--metamorphic");
  const ChildLimits usual;
  if (options.worker.seconds != usual.seconds) {
    words.insert(words.end(), {"--worker-seconds", fmt::format("{}", options.worker.seconds)});
  }
  if (options.worker.gigabytes != usual.gigabytes) {
    words.insert(words.end(), {"--worker-memory", fmt::format("{}", options.worker.gigabytes)});
  }
  return words;
}

std::vector<std::string> replay_words(const CheckOptions& options, const std::string& line,
                                      const std::string& check) {
  CheckOptions one = options;
  if (one.between.empty()) one.backends = {check};
  std::vector<std::string> words = {"forgecheck", "replay", line};
  const std::vector<std::string> checks = words_of(one);
  words.insert(words.end(), checks.begin(), checks.end());
  return words;
}

}  // namespace forgecheck
