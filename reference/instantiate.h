// The numeric types of the reference: double (the oracle), float32 and bfloat16, and the sampled forms of the
// last two. Templates are compiled once, in their .cpp files.
#pragma once

#include "reference/sampled.h"

/// Compiles the function template of that name for each of them; the name must not be overloaded.
#define FORGECHECK_INSTANTIATE(function)                                                        \
  template decltype(function<double>) function<double>;                                         \
  template decltype(function<float>) function<float>;                                           \
  template decltype(function<::forgecheck::Bfloat16>) function<::forgecheck::Bfloat16>;         \
  template decltype(function<::forgecheck::SampledFloat>) function<::forgecheck::SampledFloat>; \
  template decltype(function<::forgecheck::SampledBfloat16>) function<::forgecheck::SampledBfloat16>

/// For functions that a name does not identify: overloads and members.
#define FORGECHECK_FOR_EACH_FLOAT(X) \
  X(double)                          \
  X(float)                           \
  X(::forgecheck::Bfloat16)          \
  X(::forgecheck::SampledFloat)      \
  X(::forgecheck::SampledBfloat16)
