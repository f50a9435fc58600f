#include "reference/linalg/matmul.h"

#include <string>
#include <type_traits>

#include "reference/error.h"

namespace forgecheck::linalg {

std::string_view name(Kind kind) {
  switch (kind) {
    case Kind::plain:
      return "plain";
    case Kind::permuted:
      return "permuted";
    case Kind::reversed:
      return "reversed";
    case Kind::openblas:
      return "openblas";
    case Kind::onednn:
      return "onednn";
  }
  return "unknown";
}

std::string_view unavailable_reason(Kind kind, bool double_precision) {
  if (kind == Kind::onednn && double_precision) return "oneDNN has no float64 matrix product";
  return "";
}

namespace {

void dispatch(Kind, const Product<Sampled>& product) {
  plain_product(product);
}

template <class C>
void dispatch(Kind kind, const Product<C>& product) {
  if (product.m == 0 || product.n == 0) return;
  switch (kind) {
    case Kind::plain:
      return plain_product(product);
    case Kind::permuted:
      return permuted_product(product);
    case Kind::reversed:
      return reversed_product(product);
    case Kind::openblas:
      return openblas_product(product);
    case Kind::onednn:
      if constexpr (std::is_same_v<C, float>) {
        return onednn_product(product);
      } else {
        throw BackendError("[matmul] " + std::string(unavailable_reason(kind, true)));
      }
  }
}

}  // namespace

template <class C>
void matmul_nt(Kind kind, std::int64_t m, std::int64_t n, std::int64_t k, const C* x, const C* w, C* out) {
  dispatch(kind, Product<C>{m, n, k, x, w, true, out});
}

template <class C>
void matmul_nn(Kind kind, std::int64_t m, std::int64_t n, std::int64_t k, const C* x, const C* w, C* out) {
  dispatch(kind, Product<C>{m, n, k, x, w, false, out});
}

#define INSTANTIATE(C)                                                                             \
  template void matmul_nt(Kind, std::int64_t, std::int64_t, std::int64_t, const C*, const C*, C*); \
  template void matmul_nn(Kind, std::int64_t, std::int64_t, std::int64_t, const C*, const C*, C*);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(Sampled)
#undef INSTANTIATE

}  // namespace forgecheck::linalg
