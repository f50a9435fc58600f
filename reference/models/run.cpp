#include "reference/models/run.h"

#include <algorithm>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/ops/attention.h"
#include "reference/ops/embedding.h"
#include "reference/ops/linear.h"
#include "reference/ops/norm.h"

namespace forgecheck {

template <class T>
Tensor<T> Run<T>::linear(const std::string& name, const Tensor<T>& x) const {
  return forgecheck::linear(x, matrix(name), options.arithmetic);
}

template <class T>
Tensor<T> Run<T>::biased_linear(const std::string& name, const Tensor<T>& x) const {
  return forgecheck::linear(x, matrix(name), weights.at(name + ".bias"), options.arithmetic);
}

template <class T>
Tensor<T> Run<T>::tapped_linear(const std::string& name, const Tensor<T>& x, const std::string& tap,
                                bool has_bias) const {
  Shape shape = x.shape;
  shape.back() = matrix(name).dim(0);
  const std::int64_t work = x.size() * shape.back();
  return tapped(tap, shape, work, [&] {
    const std::vector<std::int64_t>* rows = work >= kSkippedWork ? tracer.needed_rows(tap, shape) : nullptr;
    if (rows != nullptr) return linear_in_rows(name, x, has_bias, *rows, shape);
    return has_bias ? biased_linear(name, x) : linear(name, x);
  });
}

/// The module's value of `shape` in some rows of x, zero in the others.
template <class T>
Tensor<T> Run<T>::linear_in_rows(const std::string& name, const Tensor<T>& x, bool has_bias,
                                 const std::vector<std::int64_t>& rows, const Shape& shape) const {
  const Tensor<T> some = gather_rows(x, rows);
  const Tensor<T> values = has_bias ? biased_linear(name, some) : linear(name, some);
  Tensor<T> out(shape);
  for (std::int64_t r = 0; r < values.rows(); ++r) {
    std::ranges::copy(values.row(r), out.row(rows[static_cast<std::size_t>(r)]).begin());
  }
  return out;
}

template <class T>
Tensor<T> Run<T>::tapped_attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                                   const AttentionMask& mask, const std::string& tap) const {
  return tapped(tap, {q.dim(0), q.dim(1), q.dim(2) * q.dim(3)}, q.size() * k.dim(1),
                [&] { return attention(q, k, v, mask, options.arithmetic); });
}

template <class T>
Tensor<T> Run<T>::tapped_embedding(const Tensor<std::int64_t>& tokens) const {
  Tensor<T> out = embedding(tokens, matrix("token_embedding.embedding"));
  tracer.tap("token_embedding", out);
  return out;
}

template <class T>
Tensor<T> Run<T>::normalised(const std::string& name, const Tensor<T>& x, double eps) const {
  switch (model().norm_type) {
    case NormType::rmsnorm:
      return rms_norm(x, weight(name), eps, options.arithmetic);
    case NormType::layernorm:
      return layer_norm(x, weight(name), weights.at(name + ".bias"), eps);
  }
  throw_not_an_enumerator("model.norm_type", model().norm_type);
}

template <class T>
Tensor<T> Run<T>::norm(const std::string& name, const Tensor<T>& x, double eps) const {
  return tapped_elementwise(name, x.shape, [&] { return normalised(name, x, eps); });
}

#define INSTANTIATE(T) template struct Run<T>;
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck
