// Rounding to an element type inside a formula.
#pragma once

#include "gpu/runtime/device_tensor.h"

namespace forgecheck::gpu {

/// The value rounded to T.
template <class T>
__device__ float rounded(float value) {
  return static_cast<float>(T(value));
}

/// sum + weight * value as two operations: the product is rounded, then the sum. Written as calls, so that
/// the compiler cannot fuse them into a multiply-add.
template <class T>
__device__ float add_product(float sum, float weight, float value) {
  return rounded<T>(__fadd_rn(sum, rounded<T>(__fmul_rn(weight, value))));
}

/// 1 / (1 + e^-x).
__device__ inline float sigmoid(float x) {
  return 1.0F / (1.0F + expf(-x));
}

}  // namespace forgecheck::gpu
