// What every backend of the program does with a problem before it runs it.
#pragma once

#include <functional>

#include "harness/backend/problem.h"

namespace forgecheck {

/// Why no backend of the program can run such a case, or an empty string.
std::string unsupported_run(RunKind run);

/// The problem's inputs, floating point ones rounded to the case's storage type, and its output slice.
Inputs stored_inputs(const Problem& problem);

/// What the forward call is asked to do, in the reference's plain arithmetic.
ForwardOptions forward_options(const Case& definition);

/// The tokens that greedy_from asks for, greedily.
GenerateOptions greedy_options(const Case& definition);

/// Throws ShapeError naming the input if it is not there.
const Array& required(const std::optional<Array>& array, const std::string& name);

/// The first `count` tokens of each row of the input tokens. Throws ConfigError where there are fewer.
Tensor<std::int64_t> greedy_prompt(const Inputs& inputs, std::int64_t count);

/// Draws in [0, 1) of a sampled generation: 53 bits of the seeded stream of the name "sampling".
std::function<double()> sampling_draws(std::uint64_t seed);

}  // namespace forgecheck
