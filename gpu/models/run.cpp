#include "gpu/models/run.h"

#include "gpu/ops/linear.h"
#include "gpu/ops/norm.h"
#include "reference/error.h"

namespace forgecheck::gpu {

template <class T>
DeviceWeights<T>::DeviceWeights(Device& device, const ParameterTable& table) {
  for (const auto& [name, array] : table) {
    tensors_.emplace(name, device.upload<T>(array.cast(device_dtype<T>()), name));
  }
}

template <class T>
const DeviceTensor<T>& DeviceWeights<T>::at(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw ShapeError("parameter " + name + " is missing");
  return found->second;
}

template <class T>
DeviceTensor<T> Run<T>::linear(const std::string& name, const DeviceTensor<T>& x) const {
  return gpu::linear(device, x, weights.at(name + ".weight"));
}

template <class T>
DeviceTensor<T> Run<T>::biased_linear(const std::string& name, const DeviceTensor<T>& x) const {
  return gpu::linear(device, x, weights.at(name + ".weight"), weights.at(name + ".bias"));
}

template <class T>
DeviceTensor<T> Run<T>::tapped_linear(const std::string& name, const DeviceTensor<T>& x) const {
  DeviceTensor<T> out = linear(name, x);
  recorder.tap(name, out);
  return out;
}

template <class T>
DeviceTensor<T> Run<T>::normalised(const std::string& name, const DeviceTensor<T>& x, double eps) const {
  const DeviceTensor<T>& weight = weights.at(name + ".weight");
  switch (model().norm_type) {
    case NormType::rmsnorm:
      return rms_norm(device, x, weight, eps);
    case NormType::layernorm:
      return layer_norm(device, x, weight, weights.at(name + ".bias"), eps);
  }
  throw_not_an_enumerator("model.norm_type", model().norm_type);
}

template <class T>
DeviceTensor<T> Run<T>::norm(const std::string& name, const DeviceTensor<T>& x, double eps) const {
  DeviceTensor<T> out = normalised(name, x, eps);
  recorder.tap(name, out);
  return out;
}

template class DeviceWeights<float>;
template class DeviceWeights<bf16>;
template struct Run<float>;
template struct Run<bf16>;

}  // namespace forgecheck::gpu
