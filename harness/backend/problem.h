// A case with everything that it needs to run.
#pragma once

#include "harness/case/case.h"
#include "reference/weights.h"

namespace forgecheck {

struct Problem {
  Case definition;
  Inputs inputs;
  ParameterTable parameters;
  bool seeded = false;  // whether the parameters are those of the seed
};

/// Inputs and weights from the seed.
Problem seeded_problem(const Case& definition);

}  // namespace forgecheck
