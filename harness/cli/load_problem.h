// The CASE of a command line.
#pragma once

#include <string>

#include "harness/backend/problem.h"

namespace forgecheck {

/// A golden file's case with its own inputs and weights, or a typed case with seeded ones. Throws ConfigError
/// or FormatError.
Problem load_problem(const std::string& definition);

}  // namespace forgecheck
