// A model and its tokens on the command line, as `generate`, `run` and `judge` take them.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <utility>
#include <vector>

#include "harness/case/case.h"
#include "reference/array.h"

namespace forgecheck {

struct CheckpointOptions {
  std::string checkpoint;
  std::string config;  // empty: the checkpoint's folder
  std::string tokens;
  std::string dtype;  // empty: what the command makes of it
};

/// Adds --checkpoint, --config, --tokens and --dtype; `dtype_default` says in words what is taken without it.
void add_checkpoint_options(CLI::App& command, CheckpointOptions& options, const std::string& dtype_default);

/// --config, --tokens and --dtype with their values, those that were given.
std::vector<std::pair<std::string, std::string>> given_besides(const CheckpointOptions& options);

/// The configuration that --config names, or else the one in the checkpoint's folder.
Architecture load_architecture(const CheckpointOptions& options);

/// float32 or bfloat16, `otherwise` where the option is not given. Throws ConfigError.
Dtype parse_dtype(const CheckpointOptions& options, Dtype otherwise);

/// "1,2,3" as (1, 3). Throws ConfigError that names the part which is no integer.
Array parse_tokens(const std::string& text);

}  // namespace forgecheck
