// The definition of the matrix product, and the same sums in another order. Large products take blocked.cpp's way to the same bits.
#include <algorithm>
#include <numeric>

#include "reference/error.h"
#include "reference/linalg/matmul.h"
#include "reference/sampled.h"

namespace forgecheck::linalg {

namespace {

/// out[i, j] = sum over p of x[i, p] w[j, p] (or w[p, j]), visiting p = 0, stride, 2 stride, ... modulo k.
template <class C>
void product_in_order(const Product<C>& product, std::int64_t stride) {
  const auto& [m, n, k, x, factor, w_transposed, out] = product;
  std::vector<C> scratch;
  const C* const w = product.all_of_w(scratch);
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

std::int64_t stride_of(Order order, std::int64_t k) {
  switch (order) {
    case Order::forward:
      return 1;
    case Order::permuted:
      return permuting_stride(k);
    case Order::reversed:
      return std::max<std::int64_t>(1, k - 1);
  }
  throw_not_an_enumerator("[matmul] order", order);
}

/// Products of so many multiply-adds are computed in blocks, with the same bits.
constexpr std::int64_t kBlockedWork = std::int64_t{1} << 15;

template <class C>
void product_of_any_size(const Product<C>& product, std::int64_t stride) {
  const bool is_large = product.m * product.n * product.k >= kBlockedWork;
  is_large ? blocked_product(product, stride) : product_in_order(product, stride);
}

}  // namespace

void plain_product(const Product<double>& product, Order order) {
  product_of_any_size(product, stride_of(order, product.k));
}
void plain_product(const Product<float>& product, Order order) {
  product_of_any_size(product, stride_of(order, product.k));
}
void plain_product(const Product<Sampled>& product, Order order) {
  product_in_order(product, stride_of(order, product.k));
}

}  // namespace forgecheck::linalg
