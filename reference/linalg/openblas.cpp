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

}  // namespace

void openblas_product(const Product<double>& product) {
  std::vector<double> scratch;
  const blasint m = narrow(product.m), n = narrow(product.n), k = narrow(product.k);
  const CBLAS_TRANSPOSE w_order = product.w_transposed ? CblasTrans : CblasNoTrans;
  const blasint w_stride = product.w_transposed ? k : n;
  cblas_dgemm(CblasRowMajor, CblasNoTrans, w_order, m, n, k, 1.0, product.x, k, product.all_of_w(scratch),
              w_stride, 0.0, product.out, n);
}

void openblas_product(const Product<float>& product) {
  std::vector<float> scratch;
  const blasint m = narrow(product.m), n = narrow(product.n), k = narrow(product.k);
  const CBLAS_TRANSPOSE w_order = product.w_transposed ? CblasTrans : CblasNoTrans;
  const blasint w_stride = product.w_transposed ? k : n;
  cblas_sgemm(CblasRowMajor, CblasNoTrans, w_order, m, n, k, 1.0F, product.x, k, product.all_of_w(scratch),
              w_stride, 0.0F, product.out, n);
}

}  // namespace forgecheck::linalg
