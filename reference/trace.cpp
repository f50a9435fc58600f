#include "reference/trace.h"

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

void Trace::add(std::string name, Array value) {
  if (!index_.emplace(name, entries_.size()).second) {
    throw ShapeError("tap " + name + " was recorded twice");
  }
  entries_.emplace_back(std::move(name), std::move(value));
}

const Array* Trace::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const Array& Trace::at(std::string_view name) const {
  const Array* value = find(name);
  if (value == nullptr) throw ShapeError("the trace has no tap " + std::string(name));
  return *value;
}

const Array* Tracer::replacement(std::string_view name, Forcing at_least) const {
  return forced_ != nullptr && forcing_ >= at_least ? forced_->find(name) : nullptr;
}

template <class T>
void Tracer::tap(const std::string& name, Tensor<T>& value) {
  tap(name, value, value.shape);
}

template <class T>
void Tracer::tap(const std::string& name, Tensor<T>& value, const Shape& recorded_shape) {
  if (wanted(name)) trace_.add(name, Array::from(value.reshaped(recorded_shape)));
  if (const Array* other = replacement(name, Forcing::everything)) {
    require_shape("forced tap " + name, other->shape(), recorded_shape);
    value = other->to<T>().reshaped(value.shape);
  }
}

void Tracer::tap_value(const std::string& name, Array value) {
  if (wanted(name)) trace_.add(name, std::move(value));
}

template <class T>
void Tracer::decide(const std::string& name, Tensor<std::int64_t>& indices, const Tensor<T>& scores) {
  Decision decision{indices, Tensor<double>(scores.shape)};
  for (std::int64_t i = 0; i < scores.size(); ++i) {
    decision.scores[i] = static_cast<double>(static_cast<compute_t<T>>(scores[i]));
  }
  decisions_.insert_or_assign(name, std::move(decision));
  if (wanted(name)) trace_.add(name, Array::from(indices));
  if (const Array* other = replacement(name, Forcing::decisions)) {
    require_shape("forced tap " + name, other->shape(), indices.shape);
    indices = other->to_int64();
  }
}

#define INSTANTIATE(T)                                                     \
  template void Tracer::tap(const std::string&, Tensor<T>&);               \
  template void Tracer::tap(const std::string&, Tensor<T>&, const Shape&); \
  template void Tracer::decide(const std::string&, Tensor<std::int64_t>&, const Tensor<T>&);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck
