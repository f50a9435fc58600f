#include "gpu/ops/activation.h"

#include "gpu/ops/elementwise.cuh"

namespace forgecheck::gpu {

namespace {

__device__ float activate_one(float x, Activation activation) {
  constexpr float kSqrt2 = 1.41421356F;
  switch (activation) {
    case Activation::silu:
      return x / (1.0F + expf(-x));
    case Activation::gelu:
      return 0.5F * x * (1.0F + erff(x / kSqrt2));
    case Activation::relu:
      return x < 0.0F ? 0.0F : x;
  }
  return x;  // never: activate() has refused every other value
}

template <class T>
__global__ void activate_elements(std::int64_t n, T* out, const T* x, Activation activation) {
  for_each_element(n,
                   [=](std::int64_t i) { out[i] = T(activate_one(static_cast<float>(x[i]), activation)); });
}

template <class T>
__global__ void swiglu_elements(std::int64_t n, T* hidden, const T* gate, const T* up) {
  for_each_element(n, [=](std::int64_t i) {
    const T silu = T(activate_one(static_cast<float>(gate[i]), Activation::silu));
    hidden[i] = T(static_cast<float>(silu) * static_cast<float>(up[i]));
  });
}

}  // namespace

template <class T>
DeviceTensor<T> activate(Device& device, const DeviceTensor<T>& x, Activation activation) {
  DeviceTensor<T> out = device.make<T>(x.shape, to_string(activation));  // throws where it is none of them
  launch_elementwise(device, "activate", activate_elements<T>, out.size(), out.get(), x.get(), activation);
  return out;
}

template <class T>
DeviceTensor<T> swiglu(Device& device, const DeviceTensor<T>& gate, const DeviceTensor<T>& up) {
  require_shape("[swiglu] up", up.shape, gate.shape);
  DeviceTensor<T> hidden = device.make<T>(gate.shape, "swiglu");
  launch_elementwise(device, "swiglu", swiglu_elements<T>, hidden.size(), hidden.get(), gate.get(), up.get());
  return hidden;
}

#define INSTANTIATE(T)                                                            \
  template DeviceTensor<T> activate(Device&, const DeviceTensor<T>&, Activation); \
  template DeviceTensor<T> swiglu(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
