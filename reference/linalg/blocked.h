// Sums of products for many rows and columns at a time, each in the order of its terms.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace forgecheck::linalg {

/// How many vectors of 32 bytes are summed side by side, and how many columns that are.
inline constexpr std::int64_t kVectors = 2;
template <class C>
inline constexpr std::int64_t kColumns = kVectors * 32 / static_cast<std::int64_t>(sizeof(C));

/// sums (rows, kColumns) += x (rows, terms) times block (terms, kColumns), one term after the other, each product rounded
/// before it is added. A row of x begins x_step elements after the one before it. `sums` and `block` are aligned as Aligned
/// is.
void add_block(float* sums, std::int64_t rows, const float* x, std::int64_t x_step, const float* block,
               std::int64_t terms);
void add_block(double* sums, std::int64_t rows, const double* x, std::int64_t x_step, const double* block,
               std::int64_t terms);

template <class C>
struct alignas(64) Line {
  std::array<C, 64 / sizeof(C)> values;
};
/// Zeros, aligned for vectors.
template <class C>
class Aligned {
 public:
  explicit Aligned(std::int64_t size)
      : lines_(static_cast<std::size_t>(size) * sizeof(C) / sizeof(Line<C>) + 1) {}
  C* data() { return lines_.data()->values.data(); }
  const C* data() const { return lines_.data()->values.data(); }

 private:
  std::vector<Line<C>> lines_;
};

}  // namespace forgecheck::linalg
