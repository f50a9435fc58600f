#include "reference/weight_view.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <type_traits>

#include "reference/instantiate.h"

namespace forgecheck {

namespace {

/// Elements of an array, rounded to T, in the computing type.
template <class T>
void read_stored(const void* source, std::int64_t first, std::int64_t count, compute_t<T>* out) {
  const Array& stored = *static_cast<const Array*>(source);
  if constexpr (std::is_same_v<T, compute_t<T>>) {
    stored.read(first, std::span<T>(out, static_cast<std::size_t>(count)));
  } else {
    std::array<T, 512> piece;
    for (std::int64_t done = 0; done < count;) {
      const std::int64_t size = std::min(count - done, std::ssize(piece));
      stored.read(first + done, std::span<T>(piece.data(), static_cast<std::size_t>(size)));
      std::transform(piece.begin(), piece.begin() + size, out + done, widen<T>);
      done += size;
    }
  }
}

/// Elements of a tensor in the computing type.
template <class T>
void read_tensor(const void* source, std::int64_t first, std::int64_t count, compute_t<T>* out) {
  const T* const begin = static_cast<const T*>(source) + first;
  std::transform(begin, begin + count, out, widen<T>);
}

template <class T>
bool is_aligned(const std::byte* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0;
}

}  // namespace

template <class T>
linalg::Factor<compute_t<T>> WeightView<T>::factor() const {
  using C = compute_t<T>;
  if constexpr (std::is_same_v<T, C>) {
    if (tensor_ != nullptr) return tensor_->data.data();
    if (stored_->dtype() == dtype_of<T>() && stored_->is_in_memory()) {
      const std::byte* const data = stored_->bytes().data();
      if (is_aligned<T>(data)) return reinterpret_cast<const T*>(data);
    }
  } else {
    if (tensor_ != nullptr) return {tensor_->data.data(), read_tensor<T>};
  }
  return {stored_, read_stored<T>};
}

template <class T>
void WeightView<T>::read(std::int64_t first, std::span<T> out) const {
  if (tensor_ == nullptr) return stored_->read(first, out);
  std::copy_n(tensor_->data.begin() + first, out.size(), out.begin());
}

#define INSTANTIATE(T) template class WeightView<T>;
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE

}  // namespace forgecheck
