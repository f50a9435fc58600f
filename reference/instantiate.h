// The numeric types of the reference: the oracle (double), float32 and bfloat16, and the last two as sampled
// runs take them. Templates are compiled once, in their .cpp files.
#pragma once

#include "reference/sampled.h"

/// Compiles the function template of that name, of which there must be one, for each of them.
#define FORGECHECK_INSTANTIATE(function)                                                        \
  template decltype(function<double>) function<double>;                                         \
  template decltype(function<float>) function<float>;                                           \
  template decltype(function<::forgecheck::Bfloat16>) function<::forgecheck::Bfloat16>;         \
  template decltype(function<::forgecheck::SampledFloat>) function<::forgecheck::SampledFloat>; \
  template decltype(function<::forgecheck::SampledBfloat16>) function<::forgecheck::SampledBfloat16>

/// For what has no name of its own: overloads and members.
#define FORGECHECK_FOR_EACH_FLOAT(X) \
  X(double)                          \
  X(float)                           \
  X(::forgecheck::Bfloat16)          \
  X(::forgecheck::SampledFloat)      \
  X(::forgecheck::SampledBfloat16)
