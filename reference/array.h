// A tensor whose element type is known only at run time: the contents of files, and the inputs and outputs of
// a backend. The bytes are shared and never change, so a copy is cheap and a view of a mapped file is safe. The weights of a
// model that is too large for the memory may be made each time that they are read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "reference/tensor.h"

namespace forgecheck {

class Array {
 public:
  Array() : Array(Dtype::f32, {0}, nullptr) {}
  /// `data` holds element_count(shape) * size_of(dtype) bytes, little endian, row-major.
  Array(Dtype dtype, Shape shape, std::shared_ptr<const std::byte> data);

  /// Copies a tensor of double, float, Bfloat16, int64 or uint8 (bool). A tensor of a sampled run (sampled.h)
  /// becomes float64, with its elements as they were before rounding.
  template <class T>
  static Array from(const Tensor<T>& tensor);
  /// The same, without a copy where the elements stay as they are.
  template <class T>
  static Array from(Tensor<T>&& tensor);

  /// Writes elements `first` to `first + out.size()`.
  using Maker = std::function<void(std::int64_t first, std::span<float> out)>;
  /// Numbers of a floating point `dtype` that `maker` makes whenever they are read, from several threads. Only bytes() keeps
  /// them.
  static Array made(Dtype dtype, Shape shape, Maker maker);

  Dtype dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  std::int64_t size() const { return element_count(shape_); }
  std::span<const std::byte> bytes() const;
  /// Whether bytes() costs nothing.
  bool is_in_memory() const { return made_ == nullptr; }

  /// Element i as a double: exact for every type but int64 beyond 2^53.
  double at(std::int64_t i) const;
  /// Element i of an integer or bool array. Throws ShapeError on a floating point array.
  std::int64_t int_at(std::int64_t i) const;

  /// Every element converted to a floating point T (one rounding, to nearest even).
  template <class T>
  Tensor<T> to() const;
  /// The same for elements `first` to `first + out.size()`.
  template <class T>
  void read(std::int64_t first, std::span<T> out) const;
  /// Integer and bool arrays as int64. Throws ShapeError on a floating point array.
  Tensor<std::int64_t> to_int64() const;

  /// The values rounded once to another floating point type.
  Array cast(Dtype dtype) const;
  /// The same for float32, bfloat16 and float16 values, which are rounded each time that they are read: for large arrays.
  Array cast_when_read(Dtype dtype) const;

 private:
  struct Made;

  Dtype dtype_;
  Shape shape_;
  std::shared_ptr<const std::byte> data_;
  std::shared_ptr<Made> made_;
};

}  // namespace forgecheck
