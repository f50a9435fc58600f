#include "reference/ops/rope.h"

#include <cmath>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

template <class T>
RopeTable<T> rope_table(std::int64_t head_dim, std::int64_t positions, double theta) {
  using C = compute_t<T>;
  const std::int64_t half = head_dim / 2;
  RopeTable<T> table{Tensor<T>({positions, half}), Tensor<T>({positions, half})};
  for (std::int64_t j = 0; j < half; ++j) {
    // 1. frequency of the pair (j, j + d/2)
    const C exponent = static_cast<C>(2 * j) / static_cast<C>(head_dim);
    const C frequency = C(1) / pow(static_cast<C>(theta), exponent);
    for (std::int64_t position = 0; position < positions; ++position) {
      // 2. angle
      const C angle = static_cast<C>(position) * frequency;
      // 3. its cosine and sine
      table.cos[position * half + j] = T(cos(angle));
      table.sin[position * half + j] = T(sin(angle));
    }
  }
  return table;
}

template <class T>
Tensor<T> apply_rope(const Tensor<T>& x, const RopeTable<T>& table, std::int64_t first_position) {
  using C = compute_t<T>;
  const std::int64_t length = x.dim(1), heads = x.dim(2), half = x.dim(3) / 2;
  if (first_position + length > table.cos.dim(0)) {
    throw ShapeError("[rope] position " + std::to_string(first_position + length - 1) +
                     " is past the last of max_seq_len = " + std::to_string(table.cos.dim(0)));
  }
  Tensor<T> out(x.shape);
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    const std::int64_t position = first_position + (r / heads) % length;
    for (std::int64_t j = 0; j < half; ++j) {
      const C cos = widen(table.cos[position * half + j]);
      const C sin = widen(table.sin[position * half + j]);
      const C x1 = widen(x.row(r)[j]);
      const C x2 = widen(x.row(r)[j + half]);
      out.row(r)[j] = T(round_to<T>(x1 * cos) - round_to<T>(x2 * sin));
      out.row(r)[j + half] = T(round_to<T>(x2 * cos) + round_to<T>(x1 * sin));
    }
  }
  return out;
}

FORGECHECK_INSTANTIATE(rope_table);
FORGECHECK_INSTANTIATE(apply_rope);

}  // namespace forgecheck
