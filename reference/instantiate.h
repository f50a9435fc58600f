// The numeric types of the reference: the oracle (double), float32 and bfloat16, and the last two as sampled
// runs take them. Templates are compiled once, in their .cpp files.
#pragma once

#include "reference/sampled.h"

#define FORGECHECK_FOR_EACH_FLOAT(X) \
  X(double)                          \
  X(float)                           \
  X(::forgecheck::Bfloat16)          \
  X(::forgecheck::SampledFloat)      \
  X(::forgecheck::SampledBfloat16)
