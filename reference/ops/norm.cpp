#include "reference/ops/norm.h"

#include <cmath>

#include "reference/instantiate.h"

namespace forgecheck {

template <class T>
Tensor<T> rms_norm(const Tensor<T>& x, const Tensor<T>& weight, double eps, const Arithmetic& arithmetic) {
  using C = compute_t<T>;
  require_shape("[rms_norm] weight", weight.shape, {x.width()});
  const C n = static_cast<C>(x.width());
  Tensor<T> out(x.shape);
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    // 1. mean of squares
    C sum = 0;
    for (const T& element : x.row(r)) sum += static_cast<C>(element) * static_cast<C>(element);
    // 2. reciprocal root, eps inside
    const C scale = C(1) / sqrt(sum / n + static_cast<C>(eps));
    // 3. scale and weight
    for (std::int64_t j = 0; j < x.width(); ++j) {
      C quotient = static_cast<C>(x.row(r)[j]) * scale;
      if (arithmetic.round_before_gain) quotient = round_to<T>(quotient);
      out.row(r)[j] = T(quotient * static_cast<C>(weight[j]));
    }
  }
  return out;
}

template <class T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, const Tensor<T>& bias, double eps) {
  using C = compute_t<T>;
  require_shape("[layer_norm] weight", weight.shape, {x.width()});
  require_shape("[layer_norm] bias", bias.shape, {x.width()});
  const C n = static_cast<C>(x.width());
  Tensor<T> out(x.shape);
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    // 1. mean
    C sum = 0;
    for (const T& element : x.row(r)) sum += static_cast<C>(element);
    const C mean = sum / n;
    // 2. biased variance
    C squares = 0;
    for (const T& element : x.row(r)) {
      const C centred = static_cast<C>(element) - mean;
      squares += centred * centred;
    }
    const C scale = C(1) / sqrt(squares / n + static_cast<C>(eps));
    // 3. scale, weight and bias
    for (std::int64_t j = 0; j < x.width(); ++j) {
      const C normalised = (static_cast<C>(x.row(r)[j]) - mean) * scale;
      out.row(r)[j] = T(normalised * static_cast<C>(weight[j]) + static_cast<C>(bias[j]));
    }
  }
  return out;
}

#define INSTANTIATE(T)                                                                        \
  template Tensor<T> rms_norm(const Tensor<T>&, const Tensor<T>&, double, const Arithmetic&); \
  template Tensor<T> layer_norm(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, double);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck
