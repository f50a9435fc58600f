#include "harness/cli/command.h"
namespace forgecheck {
void add_golden(CLI::App&, Invocation&) {}
}  // namespace forgecheck
