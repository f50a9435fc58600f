// A stream of random choices, the same for a seed everywhere.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "harness/case/seeded.h"

namespace forgecheck {

/// RandomDraws from the seeded stream of that name (harness/case/seeded.h).
class RandomDraws {
 public:
  RandomDraws(std::string_view name, std::uint64_t seed) : position_(seeded_key(name, seed)) {}

  /// Both ends included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    const std::uint64_t draw = splitmix64(position_++) >> 16;
    return low + static_cast<std::int64_t>(draw % static_cast<std::uint64_t>(high - low + 1));
  }
  bool one_in(std::int64_t n) { return between(1, n) == 1; }
  template <class T>
  T one_of(std::initializer_list<T> values) {
    return values.begin()[between(0, static_cast<std::int64_t>(values.size()) - 1)];
  }
  template <class T, std::size_t n>
  T one_of(const T (&values)[n]) {
    return values[between(0, static_cast<std::int64_t>(n) - 1)];
  }
  template <class T>
  T one_of(const std::vector<T>& values) {
    return values[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(values.size()) - 1))];
  }

 private:
  std::uint64_t position_;
};

}  // namespace forgecheck
