#include "harness/cli/command.h"
namespace forgecheck {
void add_params(CLI::App&, Invocation&) {}
}  // namespace forgecheck
