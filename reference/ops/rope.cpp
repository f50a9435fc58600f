#include "reference/ops/rope.h"

#include <cmath>
#include <numbers>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

namespace {

template <class C>
C scaled_as_llama3(C frequency, C factor, const RopeOptions& rope) {
  const auto length = static_cast<C>(rope.original_max_seq_len);
  const auto low = static_cast<C>(rope.low_freq_factor), high = static_cast<C>(rope.high_freq_factor);
  const C wavelength = static_cast<C>(2 * std::numbers::pi) / frequency;
  if (wavelength > length / low) return frequency / factor;
  if (wavelength < length / high) return frequency;
  const C share = (length / wavelength - low) / (high - low);
  return (C(1) - share) * frequency / factor + share * frequency;
}

/// A frequency after scaling.
template <class C>
C scaled(C frequency, const RopeOptions& rope) {
  const auto factor = static_cast<C>(rope.factor);
  switch (rope.scaling) {
    case RopeScaling::none:
      return frequency;
    case RopeScaling::linear:
      return frequency / factor;
    case RopeScaling::llama3:
      return scaled_as_llama3(frequency, factor, rope);
  }
  throw_not_an_enumerator("model.rope_scaling", rope.scaling);
}

}  // namespace

template <class T>
RopeTable<T> rope_table(std::int64_t head_dim, std::int64_t positions, const RopeOptions& rope) {
  using C = compute_t<T>;
  const std::int64_t half = head_dim / 2;
  RopeTable<T> table{Tensor<T>({positions, half}), Tensor<T>({positions, half})};
  for (std::int64_t j = 0; j < half; ++j) {
    // 1. frequency of the pair (j, j + d/2)
    const C exponent = static_cast<C>(2 * j) / static_cast<C>(head_dim);
    const C frequency = scaled(C(1) / pow(static_cast<C>(rope.theta), exponent), rope);
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
