// What a program that runs as a backend (exec:COMMAND) may take for one case.
#pragma once

#include <CLI/CLI.hpp>

#include "harness/backend/child_process.h"

namespace forgecheck {

/// Adds --worker-seconds and --worker-memory. `limits` must outlive the parsing.
void add_worker_options(CLI::App& command, ChildLimits& limits);

}  // namespace forgecheck
