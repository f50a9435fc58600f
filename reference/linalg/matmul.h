// The matrix product behind one small interface. `plain` is the definition, and the only kind that the oracle
// uses; the others are independent implementations of the same product.
#pragma once

#include <cstdint>
#include <string_view>

#include "reference/sampled.h"

namespace forgecheck::linalg {

enum class Kind {
  plain,     // sums in the order of k
  permuted,  // the same sums in another order: another, equally right, rounding
  reversed,  // and in a third
  openblas,
  onednn,  // float only
};

std::string_view name(Kind kind);

/// Why the kind cannot run here in this element size, or an empty string.
std::string_view unavailable_reason(Kind kind, bool double_precision);

/// out (m, n) = x (m, k) times the transpose of w (n, k). Row-major; C is double, float or Sampled (whose
/// sums are those of every order).
template <class C>
void matmul_nt(Kind kind, std::int64_t m, std::int64_t n, std::int64_t k, const C* x, const C* w, C* out);

/// out (m, n) = x (m, k) times w (k, n). Row-major; C is double, float or Sampled (whose
/// sums are those of every order).
template <class C>
void matmul_nn(Kind kind, std::int64_t m, std::int64_t n, std::int64_t k, const C* x, const C* w, C* out);

/// One product as the implementations take it.
template <class C>
struct Product {
  std::int64_t m, n, k;
  const C* x;
  const C* w;
  bool w_transposed;  // w is (n, k), else (k, n)
  C* out;
};

void plain_product(const Product<double>& product);
void plain_product(const Product<float>& product);
void plain_product(const Product<Sampled>& product);
void permuted_product(const Product<double>& product);
void permuted_product(const Product<float>& product);
void reversed_product(const Product<double>& product);
void reversed_product(const Product<float>& product);
void openblas_product(const Product<double>& product);
void openblas_product(const Product<float>& product);
void onednn_product(const Product<float>& product);

}  // namespace forgecheck::linalg
