#include "reference/models/run.h"

#include "reference/instantiate.h"
#include "reference/ops/linear.h"
#include "reference/ops/norm.h"

namespace forgecheck {

template <class T>
Tensor<T> Run<T>::linear(const std::string& name, const Tensor<T>& x) const {
  return forgecheck::linear(x, weight(name), options.arithmetic);
}

template <class T>
Tensor<T> Run<T>::norm(const std::string& name, const Tensor<T>& x, double eps) const {
  Tensor<T> out = model().norm_type == NormType::rmsnorm
                      ? rms_norm(x, weight(name), eps, options.arithmetic)
                      : layer_norm(x, weight(name), weights.at(name + ".bias"), eps);
  tracer.tap(name, out);
  return out;
}

#define INSTANTIATE(T) template struct Run<T>;
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck
