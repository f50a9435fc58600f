#include <cblas.h>

#include <limits>

#include "reference/error.h"
#include "reference/linalg/matmul.h"

namespace forgecheck::linalg {

namespace {

blasint narrow(std::int64_t size) {
  if (size > std::numeric_limits<blasint>::max()) {
    throw ShapeError("[matmul] size " + std::to_string(size) + " is too large for OpenBLAS");
  }
  return static_cast<blasint>(size);
}

void multiply_matrix(CBLAS_TRANSPOSE w_order, blasint m, blasint n, blasint k, const double* x,
                     const double* w, blasint w_stride, double* out) {
  cblas_dgemm(CblasRowMajor, CblasNoTrans, w_order, m, n, k, 1.0, x, k, w, w_stride, 0.0, out, n);
}
void multiply_matrix(CBLAS_TRANSPOSE w_order, blasint m, blasint n, blasint k, const float* x, const float* w,
                     blasint w_stride, float* out) {
  cblas_sgemm(CblasRowMajor, CblasNoTrans, w_order, m, n, k, 1.0F, x, k, w, w_stride, 0.0F, out, n);
}

/// out = w x, for a matrix w (rows, columns) or its transpose.
void multiply_vector(CBLAS_TRANSPOSE w_order, blasint rows, blasint columns, const double* w, const double* x,
                     double* out) {
  cblas_dgemv(CblasRowMajor, w_order, rows, columns, 1.0, w, columns, x, 1, 0.0, out, 1);
}
void multiply_vector(CBLAS_TRANSPOSE w_order, blasint rows, blasint columns, const float* w, const float* x,
                     float* out) {
  cblas_sgemv(CblasRowMajor, w_order, rows, columns, 1.0F, w, columns, x, 1, 0.0F, out, 1);
}

/// A single row is a matrix times a vector, for which OpenBLAS need not copy w; but without terms it would leave out as it
/// was.
template <class C>
void multiply(const Product<C>& product) {
  std::vector<C> scratch;
  const C* const w = product.all_of_w(scratch);
  const blasint m = narrow(product.m), n = narrow(product.n), k = narrow(product.k);
  const bool transposed = product.w_transposed;
  if (m == 1 && k > 0) {
    return multiply_vector(transposed ? CblasNoTrans : CblasTrans, transposed ? n : k, transposed ? k : n, w,
                           product.x, product.out);
  }
  multiply_matrix(transposed ? CblasTrans : CblasNoTrans, m, n, k, product.x, w, transposed ? k : n,
                  product.out);
}

}  // namespace

void openblas_product(const Product<double>& product) {
  multiply(product);
}
void openblas_product(const Product<float>& product) {
  multiply(product);
}

}  // namespace forgecheck::linalg
