#include "reference/models/run.h"

#include "reference/error.h"
#include "reference/instantiate.h"
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

template <class T>
Tensor<T> Run<T>::tapped_linear(const std::string& name, const Tensor<T>& x, const std::string& tap,
                                bool has_bias) const {
  const Shape& weight_shape = weight(name).shape;
  Tensor<T> out;
  Shape shape = x.shape;
  shape.back() = weight_shape[0];
  if (x.size() * weight_shape[0] >= kSkippedWork && tracer.overwrites(tap, shape)) {
    out = Tensor<T>(shape);
  } else {
    out = has_bias ? biased_linear(name, x) : linear(name, x);
  }
  tracer.tap(tap, out);
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
  Tensor<T> out = normalised(name, x, eps);
  tracer.tap(name, out);
  return out;
}

#define INSTANTIATE(T) template struct Run<T>;
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck
