#include "reference/ops/activation.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/linalg/silu.h"

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

template <class T>
Tensor<T> library_silu(Tensor<T> x) {
  if constexpr (std::is_same_v<T, float>) {
    linalg::onednn_silu(x.size(), x.data.data());
  } else {
    std::vector<float> values(x.data.size());
    std::ranges::transform(x.data, values.begin(), widen<T>);
    linalg::onednn_silu(x.size(), values.data());
    std::ranges::transform(values, x.data.begin(), [](float value) { return T(value); });
  }
  return x;
}

}  // namespace

template <class T>
Tensor<T> activate(const Tensor<T>& x, Activation activation, const Arithmetic& arithmetic) {
  if constexpr (std::is_same_v<compute_t<T>, float>) {
    if (arithmetic.library == linalg::Library::onednn && activation == Activation::silu) {
      return library_silu(x);
    }
  }
  Tensor<T> out(x.shape);
  for (std::int64_t i = 0; i < x.size(); ++i) {
    out[i] = T(activate_one(widen(x[i]), activation));
  }
  return out;
}

template <class T>
Tensor<T> swiglu(const Tensor<T>& gate, const Tensor<T>& up, const Arithmetic& arithmetic) {
  require_shape("[swiglu] up", up.shape, gate.shape);
  Tensor<T> hidden = activate(gate, Activation::silu, arithmetic);
  for (std::int64_t i = 0; i < hidden.size(); ++i) {
    hidden[i] = T(widen(hidden[i]) * widen(up[i]));
  }
  return hidden;
}

FORGECHECK_INSTANTIATE(activate);
FORGECHECK_INSTANTIATE(swiglu);

}  // namespace forgecheck
