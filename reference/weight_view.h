// A weight as the operations read it: a tensor, or stored numbers of any type, converted as they are read.
#pragma once

#include <span>

#include "reference/array.h"
#include "reference/linalg/factor.h"
#include "reference/sampled.h"
#include "reference/tensor.h"

namespace forgecheck {

/// It refers to what it was made from, which must live as long.
template <class T>
class WeightView {
 public:
  WeightView(const Tensor<T>& tensor) : tensor_(&tensor) {}  // NOLINT(google-explicit-constructor)
  /// A floating point array; each element is rounded to T.
  explicit WeightView(const Array& stored) : stored_(&stored) {}

  const Shape& shape() const { return tensor_ != nullptr ? tensor_->shape : stored_->shape(); }
  std::int64_t rank() const { return static_cast<std::int64_t>(shape().size()); }
  std::int64_t dim(std::size_t axis) const { return shape().at(axis); }

  /// The elements, row-major, in the computing type.
  linalg::Factor<compute_t<T>> factor() const;
  /// Elements `first` to `first + out.size()`.
  void read(std::int64_t first, std::span<T> out) const;

 private:
  const Tensor<T>* tensor_ = nullptr;
  const Array* stored_ = nullptr;
};

}  // namespace forgecheck
