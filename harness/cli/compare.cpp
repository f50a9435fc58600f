#include "harness/cli/command.h"
namespace forgecheck {
void add_compare(CLI::App&, Invocation&) {}
}  // namespace forgecheck
