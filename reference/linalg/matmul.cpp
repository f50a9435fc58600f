#include "reference/linalg/matmul.h"

#include <string>
#include <type_traits>

#include "reference/error.h"

namespace forgecheck::linalg {

static_assert(is_complete<kLibraries>() && is_complete<kOrders>());

std::string_view name(Library library) {
  return name_of(kLibraries, "[matmul] library", library);
}

std::string_view name(Order order) {
  return name_of(kOrders, "[matmul] order", order);
}

std::string_view unavailable_reason(Library library, bool double_precision) {
  switch (library) {
    case Library::plain:
    case Library::openblas:
      return "";
    case Library::onednn:
      return double_precision ? "oneDNN has no float64 matrix product" : "";
  }
  throw_not_an_enumerator("[matmul] library", library);
}

namespace {

/// The sums of a sampled run stand for every order and every library.
void dispatch(Library, Order, const Product<Sampled>& product) {
  sampled_product(product);
}

template <class C>
void dispatch(Library library, Order order, const Product<C>& product) {
  if (product.m == 0 || product.n == 0) return;
  switch (library) {
    case Library::plain:
      return plain_product(product, order);
    case Library::openblas:
      return openblas_product(product);
    case Library::onednn:
      if constexpr (std::is_same_v<C, float>) {
        return onednn_product(product);
      } else {
        throw BackendError("[matmul] " + std::string(unavailable_reason(library, true)));
      }
  }
  throw_not_an_enumerator("[matmul] library", library);
}

}  // namespace

template <class C>
void matmul_nt(Library library, Order order, std::int64_t m, std::int64_t n, std::int64_t k, const C* x,
               const std::type_identity_t<Factor<C>>& w, C* out) {
  dispatch(library, order, Product<C>{m, n, k, x, w, true, out});
}

template <class C>
void matmul_nn(Library library, Order order, std::int64_t m, std::int64_t n, std::int64_t k, const C* x,
               const std::type_identity_t<Factor<C>>& w, C* out) {
  dispatch(library, order, Product<C>{m, n, k, x, w, false, out});
}

#define INSTANTIATE(C)                          \
  template decltype(matmul_nt<C>) matmul_nt<C>; \
  template decltype(matmul_nn<C>) matmul_nn<C>;
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(Sampled)
#undef INSTANTIATE

}  // namespace forgecheck::linalg
