// A model's weights in one numeric type, by their upstream names.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "reference/array.h"
#include "reference/error.h"
#include "reference/tensor.h"
#include "reference/weight_view.h"

namespace forgecheck {

/// Tensors by name, as stored in files.
using ParameterTable = std::map<std::string, Array>;

/// Tensors are converted when at() first asks for them: not from several threads at a time.
template <class T>
class Weights {
 public:
  Weights() = default;
  /// `storage` is the type that the weights are rounded to first (a bfloat16 model computed in double has bfloat16
  /// weights).
  Weights(ParameterTable table, Dtype storage) : table_(std::move(table)), storage_(storage) {}

  /// Throws ShapeError naming the parameter if it is missing.
  const Tensor<T>& at(const std::string& name) const { return find(name); }
  /// The same numbers without a converted copy, for the large ones. Until the parameter is set or changed.
  WeightView<T> view(const std::string& name) const {
    const auto converted = tensors_.find(name);
    return converted != tensors_.end() ? WeightView<T>(converted->second) : WeightView<T>(stored(name));
  }
  /// For the state that a training step changes (expert_bias, expert_ema).
  Tensor<T>& mutable_at(const std::string& name) { return find(name); }

  void set(const std::string& name, Tensor<T> value) { tensors_.insert_or_assign(name, std::move(value)); }
  /// In alphabetical order.
  std::set<std::string> names() const {
    std::set<std::string> result;
    for (const auto& [name, array] : table_) result.insert(name);
    for (const auto& [name, tensor] : tensors_) result.insert(name);
    return result;
  }

 private:
  /// Elements of an array that is not copied to be rounded.
  static constexpr std::int64_t kLarge = std::int64_t{1} << 16;

  /// As it is stored, rounded to the storage type.
  const Array& stored(const std::string& name) const {
    const auto found = table_.find(name);
    if (found == table_.end()) throw ShapeError("parameter " + name + " is missing");
    Array& array = found->second;
    if (!holds(storage_, array.dtype())) {
      // float64 numbers do not pass through the floats of what is made when it is read.
      const bool large = array.size() >= kLarge && array.dtype() != Dtype::f64;
      array = large ? array.cast_when_read(storage_) : array.cast(storage_);
    }
    return array;
  }
  Tensor<T>& find(const std::string& name) const {
    const auto converted = tensors_.find(name);
    if (converted != tensors_.end()) return converted->second;
    return tensors_.emplace(name, stored(name).template to<T>()).first->second;
  }

  mutable ParameterTable table_;
  Dtype storage_ = Dtype::f64;
  mutable std::map<std::string, Tensor<T>> tensors_;  // what was converted or set
};

}  // namespace forgecheck
