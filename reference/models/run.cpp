#include "reference/models/run.h"

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/ops/attention.h"
#include "reference/ops/embedding.h"
#include "reference/ops/linear.h"
#include "reference/ops/norm.h"

namespace forgecheck {

namespace {

/// Products of so many multiply-adds are not computed for nothing. Smaller ones are: where sums are sampled, their draws
/// come before those of other modules.
constexpr std::int64_t kSkippedWork = std::int64_t{1} << 22;

}  // namespace

template <class T>
Tensor<T> Run<T>::linear(const std::string& name, const Tensor<T>& x) const {
  return forgecheck::linear(x, weight(name), options.arithmetic);
}

template <class T>
Tensor<T> Run<T>::biased_linear(const std::string& name, const Tensor<T>& x) const {
  return forgecheck::linear(x, weight(name), weights.at(name + ".bias"), options.arithmetic);
}

/// What `compute` returns, a tensor of `shape` that takes `work` operations, tapped; any values where they are replaced at once.
template <class T>
template <class Compute>
Tensor<T> Run<T>::tapped(const std::string& tap, const Shape& shape, std::int64_t work,
                         const Compute& compute) const {
  const bool skipped = work >= kSkippedWork && tracer.overwrites(tap, shape);
  Tensor<T> out = skipped ? Tensor<T>(shape) : compute();
  tracer.tap(tap, out);
  return out;
}

template <class T>
Tensor<T> Run<T>::tapped_linear(const std::string& name, const Tensor<T>& x, const std::string& tap,
                                bool has_bias) const {
  Shape shape = x.shape;
  shape.back() = weights.shape_of(name + ".weight")[0];
  return tapped(tap, shape, x.size() * shape.back(),
                [&] { return has_bias ? biased_linear(name, x) : linear(name, x); });
}

template <class T>
Tensor<T> Run<T>::tapped_attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                                   const AttentionMask& mask, const std::string& tap) const {
  return tapped(tap, {q.dim(0), q.dim(1), q.dim(2) * q.dim(3)}, q.size() * k.dim(1),
                [&] { return attention(q, k, v, mask, options.arithmetic); });
}

template <class T>
Tensor<T> Run<T>::tapped_embedding(const Tensor<std::int64_t>& tokens) const {
  const std::string module = "token_embedding.embedding";
  const Shape& table = weights.shape_of(module + ".weight");
  Shape shape = tokens.shape;
  shape.push_back(table.back());
  // Converting the table costs more than reading it.
  return tapped("token_embedding", shape, element_count(table),
                [&] { return embedding(tokens, weight(module)); });
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
  Tensor<T> out = normalised(name, x, eps);
  tracer.tap(name, out);
  return out;
}

#define INSTANTIATE(T) template struct Run<T>;
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck
