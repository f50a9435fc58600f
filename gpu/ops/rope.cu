#include "gpu/ops/rope.h"

#include <cmath>
#include <numbers>

#include "gpu/ops/convert.cuh"
#include "gpu/ops/elementwise.cuh"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// Llama 3.1's frequencies: short waves stay, long ones grow by the factor, and those between are a mixture of
/// the two. Each step is one of upstream's, in its order, so that the bits are the same.
float stretched(float frequency, const RopeOptions& rope) {
  const auto low = static_cast<float>(rope.low_freq_factor), high = static_cast<float>(rope.high_freq_factor);
  const auto context = static_cast<float>(rope.original_max_seq_len);
  const float wave = static_cast<float>(2 * std::numbers::pi) / frequency;
  if (wave < context / high) return frequency;
  if (wave > context / low) return frequency / static_cast<float>(rope.factor);
  const float fast_share = (context / wave - low) / (high - low);
  return (1.0F - fast_share) * frequency / static_cast<float>(rope.factor) + fast_share * frequency;
}

float frequency_of(float exponent, const RopeOptions& rope) {
  const float frequency = 1.0F / std::pow(static_cast<float>(rope.theta), exponent);
  switch (rope.scaling) {
    case RopeScaling::none:
      return frequency;
    case RopeScaling::linear:
      return frequency / static_cast<float>(rope.factor);
    case RopeScaling::llama3:
      return stretched(frequency, rope);
  }
  throw_not_an_enumerator("model.rope_scaling", rope.scaling);
}

/// Steps 1 to 3 of a table, in float32.
Tensor<float> angles_through(float (*function)(float), std::int64_t head_dim, std::int64_t positions,
                             const RopeOptions& rope) {
  const std::int64_t half = head_dim / 2;
  Tensor<float> table({positions, half});
  for (std::int64_t j = 0; j < half; ++j) {
    // 1. frequency of the pair (j, j + d/2)
    const float exponent = static_cast<float>(2 * j) / static_cast<float>(head_dim);
    const float frequency = frequency_of(exponent, rope);
    for (std::int64_t position = 0; position < positions; ++position) {
      // 2. angle
      const float angle = static_cast<float>(position) * frequency;
      // 3. its cosine or sine
      table[position * half + j] = function(angle);
    }
  }
  return table;
}

/// Rotates each pair (j, j + d/2) of each row of x. The products are written as calls, so that the compiler
/// cannot fuse a product and a sum into a multiply-add.
template <class T>
__global__ void rotate_pairs(std::int64_t pairs, T* out, const T* x, const T* table_cos, const T* table_sin,
                             std::int64_t half, std::int64_t heads, std::int64_t length,
                             std::int64_t first_position) {
  for_each_element(pairs, [=](std::int64_t i) {
    const std::int64_t r = i / half, j = i % half;
    const std::int64_t position = first_position + (r / heads) % length;
    const float cos = table_cos[position * half + j], sin = table_sin[position * half + j];
    const std::int64_t here = r * 2 * half + j, there = here + half;
    const float x1 = x[here], x2 = x[there];
    out[here] = T(__fsub_rn(rounded<T>(__fmul_rn(x1, cos)), rounded<T>(__fmul_rn(x2, sin))));
    out[there] = T(__fadd_rn(rounded<T>(__fmul_rn(x2, cos)), rounded<T>(__fmul_rn(x1, sin))));
  });
}

}  // namespace

template <class T>
RopeTable<T> rope_table(Device& device, std::int64_t head_dim, std::int64_t positions,
                        const RopeOptions& rope) {
  const Array cos =
      Array::from(angles_through([](float a) { return std::cos(a); }, head_dim, positions, rope));
  const Array sin =
      Array::from(angles_through([](float a) { return std::sin(a); }, head_dim, positions, rope));
  return {device.upload<T>(cos.cast(device_dtype<T>()), "rope cosines"),
          device.upload<T>(sin.cast(device_dtype<T>()), "rope sines")};
}

template <class T>
DeviceTensor<T> apply_rope(Device& device, const DeviceTensor<T>& x, const RopeTable<T>& table,
                           std::int64_t first_position) {
  const std::int64_t length = x.dim(1), heads = x.dim(2), half = x.dim(3) / 2;
  if (first_position + length > table.cos.dim(0)) {
    throw ShapeError("[rope] position " + std::to_string(first_position + length - 1) +
                     " is past the last of max_seq_len = " + std::to_string(table.cos.dim(0)));
  }
  require_shape("[rope] table", table.cos.shape, {table.cos.dim(0), half});
  DeviceTensor<T> out = device.make<T>(x.shape, "rope");
  launch_elementwise(device, "rope", rotate_pairs<T>, x.rows() * half, out.get(), x.get(), table.cos.get(),
                     table.sin.get(), half, heads, length, first_position);
  return out;
}

#define INSTANTIATE(T)                                                                       \
  template RopeTable<T> rope_table(Device&, std::int64_t, std::int64_t, const RopeOptions&); \
  template DeviceTensor<T> apply_rope(Device&, const DeviceTensor<T>&, const RopeTable<T>&, std::int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
