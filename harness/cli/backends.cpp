#include "harness/cli/command.h"
namespace forgecheck {
void add_backends(CLI::App&, Invocation&) {}
}  // namespace forgecheck
