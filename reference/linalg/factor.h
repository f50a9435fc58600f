// The second factor of a product: numbers in memory, or numbers of another type that are converted as they are read, so that
// a large weight needs no second copy.
#pragma once

#include <cstdint>
#include <vector>

namespace forgecheck::linalg {

template <class C>
class Factor {
 public:
  /// Writes elements `first` to `first + count` of `source` to `out`.
  using Convert = void (*)(const void* source, std::int64_t first, std::int64_t count, C* out);

  Factor(const C* elements) : elements_(elements) {}  // NOLINT(google-explicit-constructor)
  Factor(const void* source, Convert convert) : source_(source), convert_(convert) {}

  /// This factor without its first `offset` elements.
  Factor from(std::int64_t offset) const {
    Factor result = *this;
    result.offset_ += offset;
    return result;
  }
  /// Elements `first` to `first + count`: where they are, or converted into `buffer`.
  const C* read(std::int64_t first, std::int64_t count, C* buffer) const {
    if (convert_ == nullptr) return elements_ + offset_ + first;
    convert_(source_, offset_ + first, count, buffer);
    return buffer;
  }
  /// All of its `count` elements: where they are, or converted into `scratch`.
  const C* all(std::int64_t count, std::vector<C>& scratch) const {
    if (convert_ != nullptr) scratch.resize(static_cast<std::size_t>(count));
    return read(0, count, scratch.data());
  }

 private:
  const C* elements_ = nullptr;
  const void* source_ = nullptr;
  Convert convert_ = nullptr;
  std::int64_t offset_ = 0;
};

}  // namespace forgecheck::linalg
