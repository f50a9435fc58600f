#include "gpu/ops/norm.h"

#include "gpu/ops/reduce.cuh"

namespace forgecheck::gpu {

namespace {

template <class T>
__global__ void rms_norm_rows(std::int64_t rows, std::int64_t width, T* out, const T* x, const T* weight,
                              float eps) {
  float* scratch = shared_memory<float>();
  const Team team = team_of_thread(width);
  const std::int64_t end = team.row < rows ? width : 0, first = team.row * width;
  // 1. mean of squares
  float sum = 0;
  for (std::int64_t j = team.rank; j < end; j += team.size) {
    const float element = x[first + j];
    sum += element * element;
  }
  sum = team_sum(sum, team, scratch);
  // 2. reciprocal root, eps inside
  const float scale = 1.0F / sqrtf(sum / static_cast<float>(width) + eps);
  // 3. scale and weight
  for (std::int64_t j = team.rank; j < end; j += team.size) {
    out[first + j] = T(static_cast<float>(x[first + j]) * scale * static_cast<float>(weight[j]));
  }
}

template <class T>
__global__ void layer_norm_rows(std::int64_t rows, std::int64_t width, T* out, const T* x, const T* weight,
                                const T* bias, float eps) {
  float* scratch = shared_memory<float>();
  const Team team = team_of_thread(width);
  const std::int64_t end = team.row < rows ? width : 0, first = team.row * width;
  // 1. mean
  float sum = 0;
  for (std::int64_t j = team.rank; j < end; j += team.size) sum += static_cast<float>(x[first + j]);
  const float mean = team_sum(sum, team, scratch) / static_cast<float>(width);
  // 2. biased variance
  float squares = 0;
  for (std::int64_t j = team.rank; j < end; j += team.size) {
    const float centred = static_cast<float>(x[first + j]) - mean;
    squares += centred * centred;
  }
  squares = team_sum(squares, team, scratch);
  const float scale = 1.0F / sqrtf(squares / static_cast<float>(width) + eps);
  // 3. scale, weight and bias
  for (std::int64_t j = team.rank; j < end; j += team.size) {
    const float normalised = (static_cast<float>(x[first + j]) - mean) * scale;
    out[first + j] = T(normalised * static_cast<float>(weight[j]) + static_cast<float>(bias[j]));
  }
}

}  // namespace

template <class T>
DeviceTensor<T> rms_norm(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight,
                         double eps) {
  require_shape("[rms_norm] weight", weight.shape, {x.width()});
  DeviceTensor<T> out = device.make<T>(x.shape, "rms_norm");
  launch_teams(device, "rms_norm", rms_norm_rows<T>, x.rows(), x.width(), out.get(), x.get(), weight.get(),
               static_cast<float>(eps));
  return out;
}

template <class T>
DeviceTensor<T> layer_norm(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight,
                           const DeviceTensor<T>& bias, double eps) {
  require_shape("[layer_norm] weight", weight.shape, {x.width()});
  require_shape("[layer_norm] bias", bias.shape, {x.width()});
  DeviceTensor<T> out = device.make<T>(x.shape, "layer_norm");
  launch_teams(device, "layer_norm", layer_norm_rows<T>, x.rows(), x.width(), out.get(), x.get(),
               weight.get(), bias.get(), static_cast<float>(eps));
  return out;
}

#define INSTANTIATE(T)                                                                                \
  template DeviceTensor<T> rms_norm(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&, double); \
  template DeviceTensor<T> layer_norm(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&,        \
                                      const DeviceTensor<T>&, double);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
