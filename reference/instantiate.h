// The numeric types of the reference: the oracle (double), float32 and bfloat16. Templates are compiled once,
// in their .cpp files.
#pragma once

#include "reference/dtype.h"

#define FORGECHECK_FOR_EACH_FLOAT(X) \
  X(double)                          \
  X(float)                           \
  X(::forgecheck::Bfloat16)
