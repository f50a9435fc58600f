#include "gpu/simt/gemm.h"

#include <bit>
#include <vector>

#include "cuda_bf16.h"

namespace simt {

namespace {

float load(const Matrix& matrix, std::int64_t row, std::int64_t column) {
  const std::int64_t index = row + column * matrix.ld;
  return matrix.type == CUDA_R_32F
             ? static_cast<const float*>(matrix.data)[index]
             : static_cast<float>(static_cast<const __nv_bfloat16*>(matrix.data)[index]);
}

/// As a number of that type.
float rounded(float value, cudaDataType type) {
  return type == CUDA_R_32F ? value : static_cast<float>(__nv_bfloat16(value));
}

void store(const Matrix& matrix, std::int64_t row, std::int64_t column, float value) {
  const std::int64_t index = row + column * matrix.ld;
  void* data = const_cast<void*>(matrix.data);
  if (matrix.type == CUDA_R_32F) {
    static_cast<float*>(data)[index] = value;
  } else {
    static_cast<__nv_bfloat16*>(data)[index] = value;
  }
}

float to_tf32(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const bool finite = (bits & 0x7f800000) != 0x7f800000;
  return finite ? std::bit_cast<float>((bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fffU) : value;
}

/// op(matrix) as floats, `fast` x `slow`: the element (i, j) at i + j * fast.
std::vector<float> packed(const Matrix& matrix, bool transpose, std::int64_t fast, std::int64_t slow,
                          bool tf32) {
  std::vector<float> values(static_cast<std::size_t>(fast * slow));
  std::size_t next = 0;
  for (std::int64_t j = 0; j < slow; ++j) {
    for (std::int64_t i = 0; i < fast; ++i) {
      const float value = transpose ? load(matrix, j, i) : load(matrix, i, j);
      values[next++] = tf32 ? to_tf32(value) : value;
    }
  }
  return values;
}

}  // namespace

std::int64_t Matrix::bytes() const {
  const std::int64_t elements = rows == 0 || columns == 0 ? 0 : (columns - 1) * ld + rows;
  return elements * (type == CUDA_R_32F ? 4 : 2);
}

void run(const Product& p) {
  const bool tf32 = p.tf32 && p.a.type == CUDA_R_32F;
  const bool read_inputs = p.alpha != 0 && p.m > 0 && p.n > 0;
  const std::vector<float> a =
      read_inputs ? packed(p.a, p.transpose_a, p.m, p.k, tf32) : std::vector<float>();
  const std::vector<float> b =
      read_inputs ? packed(p.b, p.transpose_b, p.k, p.n, tf32) : std::vector<float>();
  const std::int64_t terms = read_inputs ? p.k : 0;
  const std::int64_t split = p.reduced && p.c.type == CUDA_R_16BF ? terms / 2 : 0;
  std::vector<float> sums(static_cast<std::size_t>(p.m)), first_part;
  for (std::int64_t j = 0; j < p.n; ++j) {
    sums.assign(sums.size(), 0);
    for (std::int64_t l = 0; l < terms; ++l) {
      if (l == split && split > 0) {
        first_part = sums;
        sums.assign(sums.size(), 0);
      }
      const float* column = a.data() + l * p.m;
      const float factor = b[static_cast<std::size_t>(l + j * p.k)];
      for (std::size_t i = 0; i < sums.size(); ++i) {
        sums[i] += column[i] * factor;
      }
    }
    for (std::size_t i = 0; i < sums.size() && split > 0; ++i) {
      sums[i] = rounded(first_part[i], p.c.type) + rounded(sums[i], p.c.type);
    }
    for (std::int64_t i = 0; i < p.m; ++i) {
      const float scaled = p.alpha * sums[static_cast<std::size_t>(i)];
      store(p.c, i, j, p.beta == 0 ? scaled : rounded(scaled, p.c.type) + p.beta * load(p.c, i, j));
    }
  }
}

}  // namespace simt
