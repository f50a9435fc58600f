#include "reference/trace.h"

#include <algorithm>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

std::string invalid_choice(const Array& indices, const Shape& shape, std::int64_t candidates) {
  if (is_floating_point(indices.dtype())) return "has type " + std::string(torch_name(indices.dtype()));
  if (indices.shape() != shape) {
    return "has shape " + to_string(indices.shape()) + ", expected " + to_string(shape);
  }
  Tensor<std::int64_t> values = indices.to_int64();
  for (std::int64_t r = 0; r < values.rows(); ++r) {
    const auto row = values.row(r);
    std::ranges::sort(row);
    if (!row.empty() && (row.front() < 0 || row.back() >= candidates)) {
      return "chooses " + std::to_string(row.front() < 0 ? row.front() : row.back()) + " in row " +
             std::to_string(r) + ", out of 0 .. " + std::to_string(candidates - 1);
    }
    if (const auto twice = std::ranges::adjacent_find(row); twice != row.end()) {
      return "chooses " + std::to_string(*twice) + " twice in row " + std::to_string(r);
    }
  }
  return "";
}

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

Tracer Tracer::untapped() const {
  Tracer result([](std::string_view) { return false; });
  if (forced_ != nullptr && forcing_ != Forcing::nothing) result.force(*forced_, Forcing::decisions);
  return result;
}

const Array* Tracer::replacement(std::string_view name, Forcing at_least) const {
  return forced_ != nullptr && forcing_ >= at_least ? forced_->find(name) : nullptr;
}

const Array* Tracer::forced_value(std::string_view name, const Shape& shape) const {
  const Array* other = replacement(name, Forcing::everything);
  const bool fits = other != nullptr && is_floating_point(other->dtype()) && other->shape() == shape;
  return fits ? other : nullptr;
}

template <class T>
void Tracer::tap(const std::string& name, Tensor<T>& value) {
  tap(name, value, value.shape);
}

template <class T>
void Tracer::tap(const std::string& name, Tensor<T>& value, const Shape& recorded_shape) {
  if (wanted(name)) trace_.add(name, Array::from(value.reshaped(recorded_shape)));
  const Array* other = forced_value(name, recorded_shape);
  if (other != nullptr) value = other->to<T>().reshaped(value.shape);
}

bool Tracer::overwrites(const std::string& name, const Shape& shape) const {
  return forced_value(name, shape) != nullptr && !wanted(name);
}

const std::vector<std::int64_t>* Tracer::needed_rows(const std::string& name, const Shape& shape) const {
  const auto found = needed_.find(name);
  return found == needed_.end() || forced_value(name, shape) == nullptr ? nullptr : &found->second;
}

void Tracer::tap_value(const std::string& name, Array value) {
  if (wanted(name)) trace_.add(name, std::move(value));
}

template <class T>
void Tracer::decide(const std::string& name, Tensor<std::int64_t>& indices, const Tensor<T>& scores) {
  Decision decision{indices, Tensor<double>(scores.shape)};
  for (std::int64_t i = 0; i < scores.size(); ++i) {
    decision.scores[i] = to_double(scores[i]);
  }
  add_decision(name, std::move(decision));
  if (wanted(name)) trace_.add(name, Array::from(indices));
  const Array* other = forced_decision(name);
  if (other != nullptr && invalid_choice(*other, indices.shape, scores.width()).empty()) {
    indices = other->to_int64();
  }
}

void Tracer::add_decision(const std::string& name, Decision decision) {
  decisions_.insert_or_assign(name, std::move(decision));
}

#define INSTANTIATE(T)                                                     \
  template void Tracer::tap(const std::string&, Tensor<T>&);               \
  template void Tracer::tap(const std::string&, Tensor<T>&, const Shape&); \
  template void Tracer::decide(const std::string&, Tensor<std::int64_t>&, const Tensor<T>&);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
INSTANTIATE(Sampled)  // scalars of the computing type: losses
#undef INSTANTIATE

}  // namespace forgecheck
