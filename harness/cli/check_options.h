// What `fuzz`, `replay` and the processes of a campaign ask of a case, from the command line.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "harness/backend/child_process.h"
#include "harness/fuzz/case_check.h"

namespace forgecheck {

struct CheckOptions {
  std::vector<std::string> backends;  // judged by the oracle, or by themselves (metamorphic)
  std::vector<std::string> between;   // two that are compared with each other instead
  bool metamorphic = false;
  ChildLimits worker;
};

/// Adds --backend, --between, --metamorphic and those of add_worker_options. `none` says what happens without a backend.
/// `options` must outlive the parsing.
void add_check_options(CLI::App& command, CheckOptions& options, const std::string& none = "");

/// Throws as make_backend does, and ConfigError where nothing is to be checked or the options exclude each other.
std::vector<CaseCheck> make_checks(const CheckOptions& options);

/// The options as words of a command line.
std::vector<std::string> words_of(const CheckOptions& options);

/// The command line that repeats the check of that name on one case.
std::vector<std::string> replay_words(const CheckOptions& options, const std::string& line,
                                      const std::string& check);

}  // namespace forgecheck
