#include "reference/ops/embedding.h"

#include <algorithm>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

template <class T>
Tensor<T> embedding(const Tensor<std::int64_t>& tokens, const WeightView<T>& weight) {
  const std::int64_t vocab_size = weight.dim(0);
  Shape shape = tokens.shape;
  shape.push_back(weight.dim(1));
  Tensor<T> out(shape);
  for (std::int64_t i = 0; i < tokens.size(); ++i) {
    if (tokens[i] < 0 || tokens[i] >= vocab_size) {
      throw ShapeError("[embedding] tokens[" + std::to_string(i) + "] = " + std::to_string(tokens[i]) +
                       " is outside 0 .. " + std::to_string(vocab_size - 1));
    }
    weight.read(tokens[i] * out.width(), out.row(i));
  }
  return out;
}

template <class T>
Tensor<T> concat_sequence(const Tensor<T>& first, const Tensor<T>& second) {
  if (first.rank() != 3 || second.rank() != 3 || first.dim(0) != second.dim(0) ||
      first.dim(2) != second.dim(2)) {
    throw ShapeError("[concat] " + to_string(first.shape) + " and " + to_string(second.shape) +
                     " do not join along the sequence");
  }
  const std::int64_t batch = first.dim(0), s1 = first.dim(1), s2 = second.dim(1);
  Tensor<T> out({batch, s1 + s2, first.dim(2)});
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t s = 0; s < s1; ++s) {
      std::ranges::copy(first.row(b * s1 + s), out.row(b * (s1 + s2) + s).begin());
    }
    for (std::int64_t s = 0; s < s2; ++s) {
      std::ranges::copy(second.row(b * s2 + s), out.row(b * (s1 + s2) + s1 + s).begin());
    }
  }
  return out;
}

template <class T>
Tensor<T> slice_sequence(const Tensor<T>& x, std::int64_t begin, std::int64_t end) {
  const std::int64_t batch = x.dim(0), length = x.dim(1), kept = end - begin;
  Tensor<T> out({batch, kept, x.dim(2)});
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t s = 0; s < kept; ++s) {
      std::ranges::copy(x.row(b * length + begin + s), out.row(b * kept + s).begin());
    }
  }
  return out;
}

template <class T>
Tensor<T> gather_rows(const Tensor<T>& x, const std::vector<std::int64_t>& rows) {
  Tensor<T> out({static_cast<std::int64_t>(rows.size()), x.width()});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::ranges::copy(x.row(rows[i]), out.row(static_cast<std::int64_t>(i)).begin());
  }
  return out;
}

FORGECHECK_INSTANTIATE(embedding);
FORGECHECK_INSTANTIATE(concat_sequence);
FORGECHECK_INSTANTIATE(slice_sequence);
FORGECHECK_INSTANTIATE(gather_rows);

}  // namespace forgecheck
