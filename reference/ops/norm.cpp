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
    for (const T& element : x.row(r)) sum += widen(element) * widen(element);
    // 2. reciprocal root, eps inside
    const C scale = C(1) / sqrt(sum / n + static_cast<C>(eps));
    // 3. scale and weight
    for (std::int64_t j = 0; j < x.width(); ++j) {
      C quotient = widen(x.row(r)[j]) * scale;
      if (arithmetic.round_before_gain) quotient = round_to<T>(quotient);
      out.row(r)[j] = T(quotient * widen(weight[j]));
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
    for (const T& element : x.row(r)) sum += widen(element);
    const C mean = sum / n;
    // 2. biased variance
    C squares = 0;
    for (const T& element : x.row(r)) {
      const C centred = widen(element) - mean;
      squares += centred * centred;
    }
    const C scale = C(1) / sqrt(squares / n + static_cast<C>(eps));
    // 3. scale, weight and bias
    for (std::int64_t j = 0; j < x.width(); ++j) {
      const C normalised = (widen(x.row(r)[j]) - mean) * scale;
      out.row(r)[j] = T(normalised * widen(weight[j]) + widen(bias[j]));
    }
  }
  return out;
}

FORGECHECK_INSTANTIATE(rms_norm);
FORGECHECK_INSTANTIATE(layer_norm);

}  // namespace forgecheck
