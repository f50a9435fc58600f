// The larger commands of `forgecheck golden`.
#pragma once

#include <string>

#include "harness/cli/command.h"

namespace forgecheck {

void add_golden_diff(CLI::App& golden, Invocation& invocation);
void add_golden_record(CLI::App& golden, Invocation& invocation);

/// The date, YYYY-MM-DD, in UTC.
std::string today();

}  // namespace forgecheck
