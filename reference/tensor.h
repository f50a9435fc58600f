// A dense row-major tensor of one element type, and its shape.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "reference/dtype.h"

namespace forgecheck {

using Shape = std::vector<std::int64_t>;

/// Product of the sizes; 1 for a scalar. Throws ShapeError on a negative size or past 2^63 - 1.
std::int64_t element_count(const Shape& shape);

/// "2x9x32"; "scalar" for an empty shape.
std::string to_string(const Shape& shape);

/// Throws ShapeError "<what> has shape 2x9, expected 2x8" unless the two are equal.
void require_shape(const std::string& what, const Shape& actual, const Shape& expected);

template <class T>
struct Tensor {
  Shape shape;
  std::vector<T> data;

  Tensor() = default;
  /// Filled with zeros.
  explicit Tensor(Shape sizes)
      : shape(std::move(sizes)), data(static_cast<std::size_t>(element_count(shape))) {}
  Tensor(Shape sizes, std::vector<T> values) : shape(std::move(sizes)), data(std::move(values)) {
    require_shape("tensor data", {static_cast<std::int64_t>(data.size())}, {element_count(shape)});
  }

  std::int64_t size() const { return static_cast<std::int64_t>(data.size()); }
  std::int64_t rank() const { return static_cast<std::int64_t>(shape.size()); }
  /// Size of one axis; negative axes count from the end.
  std::int64_t dim(std::int64_t axis) const {
    return shape.at(static_cast<std::size_t>(axis < 0 ? axis + rank() : axis));
  }
  /// Size of the last axis, 1 for a scalar.
  std::int64_t width() const { return shape.empty() ? 1 : shape.back(); }
  /// Number of rows along the last axis.
  std::int64_t rows() const { return width() == 0 ? 0 : size() / width(); }

  T& operator[](std::int64_t i) { return data[static_cast<std::size_t>(i)]; }
  const T& operator[](std::int64_t i) const { return data[static_cast<std::size_t>(i)]; }

  std::span<T> row(std::int64_t r) { return {data.data() + r * width(), static_cast<std::size_t>(width())}; }
  std::span<const T> row(std::int64_t r) const {
    return {data.data() + r * width(), static_cast<std::size_t>(width())};
  }

  /// The same elements under another shape of the same element count.
  Tensor reshaped(Shape sizes) const& { return Tensor(std::move(sizes), data); }
  Tensor reshaped(Shape sizes) && { return Tensor(std::move(sizes), std::move(data)); }
};

}  // namespace forgecheck
