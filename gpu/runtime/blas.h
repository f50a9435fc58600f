// What cuBLAS wants to be told: element types, and sizes as int.
#pragma once

#include <cublas_v2.h>

#include <limits>
#include <string>

#include "gpu/runtime/device_tensor.h"
#include "reference/error.h"

namespace forgecheck::gpu {

template <class T>
constexpr cudaDataType blas_type() {
  return device_dtype<T>() == Dtype::f32 ? CUDA_R_32F : CUDA_R_16BF;
}

/// Throws ShapeError naming the operation where `size` is more than an int holds.
inline int blas_size(std::int64_t size, const std::string& operation) {
  if (size > std::numeric_limits<int>::max()) {
    throw ShapeError("[" + operation + "] a matrix of " + std::to_string(size) +
                     " rows or columns is too large");
  }
  return static_cast<int>(size);
}

}  // namespace forgecheck::gpu
