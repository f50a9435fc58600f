// The numeric types of the GPU backend: float32 and bfloat16. Templates are compiled once, in their .cpp
// files.
#pragma once

#include "gpu/runtime/device_tensor.h"

/// Compiles the function template of that name for both of them; the name must not be overloaded.
#define FORGECHECK_INSTANTIATE_GPU(function)          \
  template decltype(function<float>) function<float>; \
  template decltype(function<::forgecheck::gpu::bf16>) function<::forgecheck::gpu::bf16>
