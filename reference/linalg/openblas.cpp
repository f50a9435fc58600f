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

/// A product's sizes as OpenBLAS wants them. A single row is a matrix times a vector, for which it need not copy w.
struct Sizes {
  blasint m, n, k, w_rows, w_columns;
  CBLAS_TRANSPOSE w_order;    // of w in x w
  CBLAS_TRANSPOSE w_by_rows;  // of w in w x, for a single row x

  template <class C>
  explicit Sizes(const Product<C>& product)
      : m(narrow(product.m)),
        n(narrow(product.n)),
        k(narrow(product.k)),
        w_rows(product.w_transposed ? n : k),
        w_columns(product.w_transposed ? k : n),
        w_order(product.w_transposed ? CblasTrans : CblasNoTrans),
        w_by_rows(product.w_transposed ? CblasNoTrans : CblasTrans) {}
};

}  // namespace

void openblas_product(const Product<double>& product) {
  std::vector<double> scratch;
  const Sizes sizes(product);
  const double* const w = product.all_of_w(scratch);
  if (sizes.m == 1 && sizes.k > 0) {
    cblas_dgemv(CblasRowMajor, sizes.w_by_rows, sizes.w_rows, sizes.w_columns, 1.0, w, sizes.w_columns,
                product.x, 1, 0.0, product.out, 1);
    return;
  }
  cblas_dgemm(CblasRowMajor, CblasNoTrans, sizes.w_order, sizes.m, sizes.n, sizes.k, 1.0, product.x, sizes.k,
              w, sizes.w_columns, 0.0, product.out, sizes.n);
}

void openblas_product(const Product<float>& product) {
  std::vector<float> scratch;
  const Sizes sizes(product);
  const float* const w = product.all_of_w(scratch);
  if (sizes.m == 1 && sizes.k > 0) {
    cblas_sgemv(CblasRowMajor, sizes.w_by_rows, sizes.w_rows, sizes.w_columns, 1.0F, w, sizes.w_columns,
                product.x, 1, 0.0F, product.out, 1);
    return;
  }
  cblas_sgemm(CblasRowMajor, CblasNoTrans, sizes.w_order, sizes.m, sizes.n, sizes.k, 1.0F, product.x, sizes.k,
              w, sizes.w_columns, 0.0F, product.out, sizes.n);
}

}  // namespace forgecheck::linalg
