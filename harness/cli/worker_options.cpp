#include "harness/cli/worker_options.h"

#include <fmt/format.h>

namespace forgecheck {

void add_worker_options(CLI::App& command, ChildLimits& limits) {
  command
      .add_option(
          "--worker-seconds", limits.seconds,
          fmt::format("How long a program (exec:COMMAND) may take for a case (default {})", limits.seconds))
      ->check(CLI::PositiveNumber);
  command
      .add_option(
          "--worker-memory", limits.gigabytes,
          fmt::format("How many gigabytes of memory it may take, with all that it starts (default {})",
                      limits.gigabytes))
      ->check(CLI::PositiveNumber);
}

}  // namespace forgecheck
