// The CASE of a command line.
#pragma once

#include <string>

#include "harness/backend/problem.h"
#include "harness/io/file_name.h"

namespace forgecheck {

/// A golden file's case with its own inputs and weights, or a typed case with seeded ones. Throws ConfigError
/// or FormatError.
Problem load_problem(const std::string& definition);

/// Calls `work`, which runs that problem: an error about inputs that came from a golden file names the file.
template <class Work>
auto with_source(const std::string& definition, const Work& work) {
  return definition.ends_with(".safetensors") ? with_file_name(definition, work) : work();
}

}  // namespace forgecheck
