#include "harness/cli/command.h"
namespace forgecheck {
void add_run(CLI::App&, Invocation&) {}
}  // namespace forgecheck
