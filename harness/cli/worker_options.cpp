#include "harness/cli/worker_options.h"

namespace forgecheck {

void add_worker_options(CLI::App& command, ChildLimits& limits) {
  command
      .add_option("--worker-seconds", limits.seconds,
                  "How long a program (exec:COMMAND) may take for a case (default 60)")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--worker-memory", limits.gigabytes,
                  "How many gigabytes of memory it may take, with all that it starts (default 16)")
      ->check(CLI::PositiveNumber);
}

}  // namespace forgecheck
