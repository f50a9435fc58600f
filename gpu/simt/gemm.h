// The matrix product of the emulated cuBLAS.
#pragma once

#include <cstdint>

#include "library_types.h"

namespace simt {

/// A column-major matrix in memory: `rows` x `columns` as stored, `ld` elements from column to column.
struct Matrix {
  const void* data;
  cudaDataType type;  // CUDA_R_32F or CUDA_R_16BF
  std::int64_t rows, columns, ld;

  /// From the first element to the end of the last one.
  std::int64_t bytes() const;
};

struct Product {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
  Matrix a, b, c;  // C's data is written
  float alpha, beta;
  bool tf32;     // round float32 inputs to 10 bits of fraction
  bool reduced;  // sum in two halves of k, each rounded to C's type
};

/// C = alpha op(A) op(B) + beta C: float32 sums in the order of k, rounded once to C's type unless `reduced`. With a beta the product
/// rounds before C is added, as cuBLAS was seen to do on an H100 for a single column in bfloat16.
void run(const Product& product);

}  // namespace simt
