// The matrix product, with one interface for all implementations. The plain product in the order of k is the
// definition, and the only one that the oracle uses; the others are independent implementations of it.
#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <vector>

#include "reference/arithmetic.h"
#include "reference/linalg/factor.h"
#include "reference/sampled.h"

namespace forgecheck::linalg {

std::string_view name(Library library);
std::string_view name(Order order);

/// Why the library is unavailable for this element size, or an empty string.
std::string_view unavailable_reason(Library library, bool double_precision);

/// out (m, n) = x (m, k) times the transpose of w (n, k). Row-major; C is double, float or Sampled (whose
/// sums stand for every order).
template <class C>
void matmul_nt(Library library, Order order, std::int64_t m, std::int64_t n, std::int64_t k, const C* x,
               const std::type_identity_t<Factor<C>>& w, C* out);

/// out (m, n) = x (m, k) times w (k, n). Row-major; C is double, float or Sampled (whose sums stand for every
/// order).
template <class C>
void matmul_nn(Library library, Order order, std::int64_t m, std::int64_t n, std::int64_t k, const C* x,
               const std::type_identity_t<Factor<C>>& w, C* out);

/// The arguments of one product, as passed to the implementations.
template <class C>
struct Product {
  std::int64_t m, n, k;
  const C* x;
  Factor<C> w;
  bool w_transposed;  // w is (n, k), else (k, n)
  C* out;

  const C* all_of_w(std::vector<C>& scratch) const { return w.all(n * k, scratch); }
};

void plain_product(const Product<double>& product, Order order);
void plain_product(const Product<float>& product, Order order);
void plain_product(const Product<Sampled>& product, Order order);
/// As plain_product(), bit for bit, for large products: every sum visits its terms 0, stride, 2 stride, ... modulo k.
void blocked_product(const Product<double>& product, std::int64_t stride);
void blocked_product(const Product<float>& product, std::int64_t stride);
/// The sums of a sampled run, which stand for every order.
void sampled_product(const Product<Sampled>& product);
void openblas_product(const Product<double>& product);
void openblas_product(const Product<float>& product);
void onednn_product(const Product<float>& product);

}  // namespace forgecheck::linalg
