#include "reference/array.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <mutex>
#include <type_traits>
#include <utility>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

namespace {

template <class T>
T load(const std::byte* data, std::int64_t i) {
  T value;
  std::memcpy(&value, data + i * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

/// double to T with a single rounding, to nearest even.
template <class T>
T narrow(double value) {
  return T(static_cast<compute_t<T>>(value));
}

/// Goes through a float that is rounded to odd: its last bit records that bits were lost, so that rounding it
/// again to fewer bits is correct (Boldo and Melquiond 2008).
template <>
Bfloat16 narrow<Bfloat16>(double value) {
  float rounded = static_cast<float>(value);
  if (std::isfinite(rounded) && static_cast<double>(rounded) != value) {
    if (std::abs(static_cast<double>(rounded)) > std::abs(value)) rounded = std::nextafter(rounded, 0.0F);
    rounded = std::bit_cast<float>(std::bit_cast<std::uint32_t>(rounded) | 1U);
  }
  return Bfloat16(rounded);
}

template <>
Sampled narrow<Sampled>(double value) {
  return Sampled::of(value);
}

template <class T>
SampledElement<T> narrow_element(double value) {
  SampledElement<T> element;
  element.value = narrow<T>(value);
  element.unrounded = value;
  return element;
}
template <>
SampledFloat narrow<SampledFloat>(double value) {
  return narrow_element<float>(value);
}
template <>
SampledBfloat16 narrow<SampledBfloat16>(double value) {
  return narrow_element<Bfloat16>(value);
}

/// The numbers of a sampled run before they were rounded.
template <class T>
Array unrounded(const Tensor<T>& tensor) {
  Tensor<double> values(tensor.shape);
  for (std::int64_t i = 0; i < tensor.size(); ++i) values[i] = to_double(tensor[i]);
  return Array::from(values);
}

}  // namespace

Array::Array(Dtype dtype, Shape shape, std::shared_ptr<const std::byte> data)
    : dtype_(dtype), shape_(std::move(shape)), data_(std::move(data)) {}

template <class T>
Array Array::from(const Tensor<T>& tensor) {
  return from(Tensor<T>(tensor));
}

template <class T>
Array Array::from(Tensor<T>&& tensor) {
  if constexpr (!std::is_same_v<compute_t<T>, Sampled>) {
    const auto kept = std::make_shared<const std::vector<T>>(std::move(tensor.data));
    const auto* const bytes = reinterpret_cast<const std::byte*>(kept->data());
    return Array(dtype_of<T>(), std::move(tensor.shape), std::shared_ptr<const std::byte>(kept, bytes));
  } else {
    return unrounded(tensor);
  }
}

#define INSTANTIATE(T)                          \
  template Array Array::from(const Tensor<T>&); \
  template Array Array::from(Tensor<T>&&);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
INSTANTIATE(Sampled)
INSTANTIATE(std::int64_t)
INSTANTIATE(std::uint8_t)
#undef INSTANTIATE

/// What makes an array's elements, and all of them once somebody asked for the bytes.
struct Array::Made {
  Maker maker;
  std::once_flag once;
  Array kept;
};

Array Array::made(Dtype dtype, Shape shape, Maker maker) {
  Array result(dtype, std::move(shape), nullptr);
  result.made_ = std::make_shared<Made>();
  result.made_->maker = std::move(maker);
  return result;
}

std::span<const std::byte> Array::bytes() const {
  if (made_ != nullptr) {
    std::call_once(made_->once, [&] { made_->kept = from(to<float>()).cast(dtype_); });
    return made_->kept.bytes();
  }
  return {data_.get(), static_cast<std::size_t>(size()) * size_of(dtype_)};
}

double Array::at(std::int64_t i) const {
  if (made_ != nullptr) {
    double element = 0;
    read(i, std::span(&element, 1));
    return element;
  }
  switch (dtype_) {
    case Dtype::f64:
      return load<double>(data_.get(), i);
    case Dtype::f32:
      return static_cast<double>(load<float>(data_.get(), i));
    case Dtype::f16:
      return static_cast<double>(half_to_float(load<std::uint16_t>(data_.get(), i)));
    case Dtype::bf16:
      return static_cast<double>(static_cast<float>(load<Bfloat16>(data_.get(), i)));
    case Dtype::i64:
    case Dtype::i32:
    case Dtype::u8:
    case Dtype::boolean:
      return static_cast<double>(int_at(i));
  }
  throw_not_an_enumerator("dtype", dtype_);
}

std::int64_t Array::int_at(std::int64_t i) const {
  switch (dtype_) {
    case Dtype::i64:
      return load<std::int64_t>(data_.get(), i);
    case Dtype::i32:
      return load<std::int32_t>(data_.get(), i);
    case Dtype::u8:
      return load<std::uint8_t>(data_.get(), i);
    case Dtype::boolean:
      return load<std::uint8_t>(data_.get(), i) != 0 ? 1 : 0;
    case Dtype::f64:
    case Dtype::f32:
    case Dtype::f16:
    case Dtype::bf16:
      throw ShapeError("an integer array is needed, got " + std::string(torch_name(dtype_)));
  }
  throw_not_an_enumerator("dtype", dtype_);
}

template <class T>
void Array::read(std::int64_t first, std::span<T> out) const {
  if (made_ != nullptr) {
    std::array<float, 512> piece;
    while (!out.empty()) {
      const std::size_t count = std::min(out.size(), piece.size());
      made_->maker(first, std::span(piece.data(), count));
      for (std::size_t i = 0; i < count; ++i) out[i] = narrow<T>(static_cast<double>(piece[i]));
      out = out.subspan(count);
      first += static_cast<std::int64_t>(count);
    }
    return;
  }
  // Models have many millions of elements: the types of most of them are looked up once.
  const auto convert = [&]<class Stored>(Stored) {
    for (T& element : out) {
      element = narrow<T>(static_cast<double>(widen(load<Stored>(data_.get(), first++))));
    }
  };
  if (dtype_ == Dtype::f64) {
    convert(double());
  } else if (dtype_ == Dtype::f32) {
    convert(float());
  } else if (dtype_ == Dtype::bf16) {
    convert(Bfloat16());
  } else {
    for (T& element : out) element = narrow<T>(at(first++));
  }
}

template <class T>
Tensor<T> Array::to() const {
  Tensor<T> result(shape_);
  read(0, std::span(result.data));
  return result;
}

#define INSTANTIATE(T)                                         \
  template void Array::read(std::int64_t, std::span<T>) const; \
  template Tensor<T> Array::to() const;
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
INSTANTIATE(Sampled)
#undef INSTANTIATE

Tensor<std::int64_t> Array::to_int64() const {
  Tensor<std::int64_t> result(shape_);
  for (std::int64_t i = 0; i < result.size(); ++i) result[i] = int_at(i);
  return result;
}

Array Array::cast(Dtype dtype) const {
  if (dtype == dtype_) return *this;
  if (made_ != nullptr) return cast_when_read(dtype);
  switch (dtype) {
    case Dtype::f64:
      return from(to<double>());
    case Dtype::f32:
      return from(to<float>());
    case Dtype::bf16:
      return from(to<Bfloat16>());
    case Dtype::f16:
    case Dtype::i64:
    case Dtype::i32:
    case Dtype::u8:
    case Dtype::boolean:
      throw ShapeError("cannot cast to " + std::string(torch_name(dtype)) +
                       " (float64, float32 and bfloat16 only)");
  }
  throw_not_an_enumerator("dtype", dtype);
}

Array Array::cast_when_read(Dtype dtype) const {
  if (dtype == dtype_) return *this;
  return made(dtype, shape_, [from = *this, dtype](std::int64_t first, std::span<float> out) {
    from.read(first, out);
    if (dtype != Dtype::bf16) return;
    for (float& element : out) element = Bfloat16(element);
  });
}

}  // namespace forgecheck
