#include "harness/cli/command.h"
namespace forgecheck {
void add_generate(CLI::App&, Invocation&) {}
}  // namespace forgecheck
