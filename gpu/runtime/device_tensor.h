// A dense row-major tensor in device memory: a shape and a shared handle. A copy is another handle to the
// same elements.
#pragma once

#include <cuda_bf16.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "reference/dtype.h"
#include "reference/tensor.h"

namespace forgecheck::gpu {

using bf16 = __nv_bfloat16;

/// The dtype of a device element.
template <class T>
constexpr Dtype device_dtype();
template <>
constexpr Dtype device_dtype<float>() {
  return Dtype::f32;
}
template <>
constexpr Dtype device_dtype<bf16>() {
  return Dtype::bf16;
}
template <>
constexpr Dtype device_dtype<std::int64_t>() {
  return Dtype::i64;
}
template <>
constexpr Dtype device_dtype<std::uint8_t>() {
  return Dtype::boolean;
}

template <class T>
struct DeviceTensor {
  Shape shape;
  std::shared_ptr<T> data;  // null for an absent tensor

  DeviceTensor() = default;
  DeviceTensor(Shape sizes, std::shared_ptr<T> elements)
      : shape(std::move(sizes)), data(std::move(elements)) {}

  T* get() const { return data.get(); }
  explicit operator bool() const { return data != nullptr; }

  std::int64_t size() const { return element_count(shape); }
  std::int64_t rank() const { return static_cast<std::int64_t>(shape.size()); }
  /// Size of one axis; negative axes count from the end.
  std::int64_t dim(std::int64_t axis) const {
    return shape.at(static_cast<std::size_t>(axis < 0 ? axis + rank() : axis));
  }
  std::int64_t width() const { return shape.empty() ? 1 : shape.back(); }
  std::int64_t rows() const { return width() == 0 ? 0 : size() / width(); }

  /// The same elements under another shape of the same element count.
  DeviceTensor reshaped(Shape sizes) const {
    require_shape("reshaped elements", {element_count(sizes)}, {size()});
    return DeviceTensor(std::move(sizes), data);
  }
};

}  // namespace forgecheck::gpu
