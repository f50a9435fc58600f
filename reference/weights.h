// A model's weights in one numeric type, by their upstream names.
#pragma once

#include <map>
#include <string>

#include "reference/array.h"
#include "reference/error.h"
#include "reference/tensor.h"

namespace forgecheck {

/// Tensors by name, as stored in files.
using ParameterTable = std::map<std::string, Array>;

template <class T>
class Weights {
 public:
  Weights() = default;
  /// Converts every tensor; `storage` is the type that the weights are rounded to first (a bfloat16 model
  /// computed in double has bfloat16 weights).
  Weights(const ParameterTable& table, Dtype storage) {
    for (const auto& [name, array] : table) tensors_.emplace(name, array.cast(storage).template to<T>());
  }

  /// Throws ShapeError naming the parameter if it is missing.
  const Tensor<T>& at(const std::string& name) const { return find(tensors_, name); }
  /// For the state that a training step changes (expert_bias, expert_ema).
  Tensor<T>& mutable_at(const std::string& name) { return find(tensors_, name); }

  void set(const std::string& name, Tensor<T> value) { tensors_.insert_or_assign(name, std::move(value)); }
  const std::map<std::string, Tensor<T>>& all() const { return tensors_; }

 private:
  template <class Tensors>
  static auto& find(Tensors& tensors, const std::string& name) {
    const auto found = tensors.find(name);
    if (found == tensors.end()) throw ShapeError("parameter " + name + " is missing");
    return found->second;
  }

  std::map<std::string, Tensor<T>> tensors_;
};

}  // namespace forgecheck
