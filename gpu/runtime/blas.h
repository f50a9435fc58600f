// What cuBLAS needs to know: how it may compute, element types, and sizes as int.
#pragma once

#include <cublas_v2.h>

#include <limits>
#include <string>

#include "gpu/runtime/check.h"
#include "gpu/runtime/device_tensor.h"
#include "reference/error.h"

namespace forgecheck::gpu {

/// Sums in float32, on tensor cores where the inputs are bfloat16. float32 inputs stay float32 (no TF32), and
/// where a sum is split its parts are added up in float32 too, not in the type of the output.
inline constexpr cublasComputeType_t kBlasCompute = CUBLAS_COMPUTE_32F;
inline constexpr auto kBlasMath =
    static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);

template <class T>
constexpr cudaDataType blas_type() {
  return device_dtype<T>() == Dtype::f32 ? CUDA_R_32F : CUDA_R_16BF;
}

/// Fills `count` elements that products will write with NaN, so that one that is left out is seen by its value:
/// compute-sanitizer's initcheck does not see what cuBLAS's kernels for Hopper store.
template <class T>
void start_as_nan(T* out, std::int64_t count, cudaStream_t stream) {
  FORGECHECK_CUDA(cudaMemsetAsync(out, 0xFF, static_cast<std::size_t>(count) * sizeof(T), stream));
}

/// Throws ShapeError naming the operation if `size` does not fit an int.
inline int blas_size(std::int64_t size, const std::string& operation) {
  if (size > std::numeric_limits<int>::max()) {
    throw ShapeError("[" + operation + "] a matrix of " + std::to_string(size) +
                     " rows or columns is too large");
  }
  return static_cast<int>(size);
}

}  // namespace forgecheck::gpu
