// The definition of the matrix product, and the same sums in another order.
#include <algorithm>
#include <numeric>

#include "reference/linalg/matmul.h"
#include "reference/sampled.h"

namespace forgecheck::linalg {

namespace {

/// out[i, j] = sum over p of x[i, p] w[j, p] (or w[p, j]), visiting p = 0, stride, 2 stride, ... modulo k.
template <class C>
void product_in_order(const Product<C>& product, std::int64_t stride) {
  const auto [m, n, k, x, w, w_transposed, out] = product;
  const std::int64_t column_step = w_transposed ? k : 1;
  const std::int64_t summand_step = w_transposed ? 1 : n;
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      C sum = 0;
      std::int64_t p = 0;
      for (std::int64_t step = 0; step < k; ++step) {
        sum = multiply_add(sum, x[i * k + p], w[j * column_step + p * summand_step]);
        p += stride;
        if (p >= k) p -= k;
      }
      out[i * n + j] = sum;
    }
  }
}

/// A stride near 0.62 k that visits every index once.
std::int64_t permuting_stride(std::int64_t k) {
  if (k < 3) return k - 1 > 0 ? k - 1 : 1;
  std::int64_t stride = k * 62 / 100;
  while (std::gcd(stride, k) != 1) ++stride;
  return stride;
}

}  // namespace

void plain_product(const Product<double>& product) {
  product_in_order(product, 1);
}
void plain_product(const Product<float>& product) {
  product_in_order(product, 1);
}
void plain_product(const Product<Sampled>& product) {
  product_in_order(product, 1);
}
void permuted_product(const Product<double>& product) {
  product_in_order(product, permuting_stride(product.k));
}
void permuted_product(const Product<float>& product) {
  product_in_order(product, permuting_stride(product.k));
}

void reversed_product(const Product<double>& product) {
  product_in_order(product, std::max<std::int64_t>(1, product.k - 1));
}
void reversed_product(const Product<float>& product) {
  product_in_order(product, std::max<std::int64_t>(1, product.k - 1));
}

}  // namespace forgecheck::linalg
