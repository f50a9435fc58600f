#include "reference/ops/activation.h"

#include <cmath>
#include <numbers>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

namespace {

template <class C>
C activate_one(C x, Activation activation) {
  switch (activation) {
    case Activation::silu:
      return x / (C(1) + exp(-x));
    case Activation::gelu:
      return C(0.5) * x * (C(1) + erf(x / static_cast<C>(std::numbers::sqrt2)));
    case Activation::relu:
      return x < C(0) ? C(0) : x;
  }
  throw_not_an_enumerator("activation", activation);
}

}  // namespace

template <class T>
Tensor<T> activate(const Tensor<T>& x, Activation activation) {
  Tensor<T> out(x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    out[i] = T(activate_one(widen(x[i]), activation));
  }
  return out;
}

template <class T>
Tensor<T> swiglu(const Tensor<T>& gate, const Tensor<T>& up) {
  require_shape("[swiglu] up", up.shape, gate.shape);
  Tensor<T> hidden = activate(gate, Activation::silu);
  for (std::int64_t i = 0; i < hidden.size(); ++i) {
    hidden[i] = T(widen(hidden[i]) * widen(up[i]));
  }
  return hidden;
}

FORGECHECK_INSTANTIATE(activate);
FORGECHECK_INSTANTIATE(swiglu);

}  // namespace forgecheck
