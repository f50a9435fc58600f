#include "reference/ops/linear.h"

#include <algorithm>
#include <type_traits>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/linalg/matmul.h"
#include "reference/linalg/parallel.h"

namespace forgecheck {

namespace {

/// The elements in the computing type: the tensor's own storage, or a widened copy in `scratch`.
template <class T>
const compute_t<T>* widened(const T* data, std::int64_t count, std::vector<compute_t<T>>& scratch) {
  if constexpr (std::is_same_v<T, compute_t<T>>) {
    return data;
  } else {
    scratch.assign(data, data + count);
    return scratch.data();
  }
}

/// product (rows, out) = x times weight, summed in parts of `part` terms; the sum of each part rounds to T.
template <class T>
void product_in_parts(Tensor<compute_t<T>>& product, const compute_t<T>* x, const compute_t<T>* weight,
                      std::int64_t in_features, bool transposed, std::int64_t part) {
  const std::int64_t out_features = product.width();
  const std::int64_t column_step = transposed ? in_features : 1, term_step = transposed ? 1 : out_features;
  linalg::share_by_threads(product.size() * in_features, out_features, [&](std::int64_t column) {
    for (std::int64_t row = 0; row < product.rows(); ++row) {
      compute_t<T>& total = product.row(row)[static_cast<std::size_t>(column)];
      for (std::int64_t begin = 0; begin < in_features; begin += part) {
        compute_t<T> sum = 0;
        for (std::int64_t p = begin; p < std::min(begin + part, in_features); ++p) {
          sum = multiply_add(sum, x[row * in_features + p], weight[column * column_step + p * term_step]);
        }
        total += round_to<T>(sum);
      }
    }
  });
}

/// product (..., out) plus an optional bias (out), in T.
template <class T>
Tensor<T> narrowed(Tensor<compute_t<T>> product, const Tensor<T>* bias, const Arithmetic& arithmetic) {
  using C = compute_t<T>;
  if constexpr (std::is_same_v<T, C>) {
    if (bias == nullptr) return product;
  }
  Tensor<T> out(product.shape);
  for (std::int64_t r = 0; r < product.rows(); ++r) {
    for (std::int64_t j = 0; j < product.width(); ++j) {
      C sum = product.row(r)[j];
      if (arithmetic.round_before_bias) sum = round_to<T>(sum);
      out.row(r)[j] = T(bias == nullptr ? sum : sum + widen((*bias)[j]));
    }
  }
  return out;
}

/// x (rows, in) times weight, narrowed to T with an optional bias (out).
template <class T>
Tensor<T> project(const Tensor<T>& x, const linalg::Factor<compute_t<T>>& weight, std::int64_t out_features,
                  bool transposed, const Tensor<T>* bias, const Arithmetic& arithmetic) {
  using C = compute_t<T>;
  const std::int64_t in_features = x.width();
  const std::int64_t rows = in_features == 0 ? 0 : x.size() / in_features;
  std::vector<C> x_scratch, scratch;
  const C* x_data = widened(x.data.data(), x.size(), x_scratch);
  Shape shape = x.shape;
  shape.back() = out_features;
  Tensor<C> product(shape);
  if (arithmetic.split_k > 0) {
    product_in_parts<T>(product, x_data, weight.all(out_features * in_features, scratch), in_features,
                        transposed, arithmetic.split_k);
  } else if (transposed) {
    linalg::matmul_nt(arithmetic.library, arithmetic.order, rows, out_features, in_features, x_data, weight,
                      product.data.data());
  } else {
    linalg::matmul_nn(arithmetic.library, arithmetic.order, rows, out_features, in_features, x_data, weight,
                      product.data.data());
  }
  return narrowed<T>(std::move(product), bias, arithmetic);
}

template <class T>
void check(const Tensor<T>& x, const WeightView<T>& weight) {
  if (weight.rank() != 2 || x.rank() < 1 || x.width() != weight.dim(1)) {
    throw ShapeError("[linear] input " + to_string(x.shape) + " does not fit weight " +
                     to_string(weight.shape()));
  }
}

}  // namespace

template <class T>
Tensor<T> linear(const Tensor<T>& x, const std::type_identity_t<WeightView<T>>& weight,
                 const Arithmetic& arithmetic) {
  check<T>(x, weight);
  return project<T>(x, weight.factor(), weight.dim(0), true, nullptr, arithmetic);
}

template <class T>
Tensor<T> linear(const Tensor<T>& x, const std::type_identity_t<WeightView<T>>& weight, const Tensor<T>& bias,
                 const Arithmetic& arithmetic) {
  check<T>(x, weight);
  require_shape("[linear] bias", bias.shape, {weight.dim(0)});
  return project<T>(x, weight.factor(), weight.dim(0), true, &bias, arithmetic);
}

template <class T>
Tensor<T> packed_linear(const Tensor<T>& x, const std::type_identity_t<WeightView<T>>& weight,
                        std::int64_t expert, const Arithmetic& arithmetic) {
  if (weight.rank() != 3 || x.width() != weight.dim(1) || expert < 0 || expert >= weight.dim(0)) {
    throw ShapeError("[packed_linear] input " + to_string(x.shape) + " does not fit expert " +
                     std::to_string(expert) + " of weight " + to_string(weight.shape()));
  }
  const std::int64_t begin = expert * weight.dim(1) * weight.dim(2);
  return project<T>(x, weight.factor().from(begin), weight.dim(2), false, nullptr, arithmetic);
}

template <class T>
Tensor<T> add(const Tensor<T>& x, const Tensor<T>& y) {
  require_shape("[add] second term", y.shape, x.shape);
  Tensor<T> out(x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    out[i] = T(widen(x[i]) + widen(y[i]));
  }
  return out;
}

#define INSTANTIATE(T)                                                                  \
  template Tensor<T> linear(const Tensor<T>&, const WeightView<T>&, const Arithmetic&); \
  template Tensor<T> linear(const Tensor<T>&, const WeightView<T>&, const Tensor<T>&, const Arithmetic&);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE
FORGECHECK_INSTANTIATE(packed_linear);
FORGECHECK_INSTANTIATE(add);

}  // namespace forgecheck
