#include "reference/ops/loss.h"

#include <algorithm>
#include <cmath>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

namespace {

template <class T>
compute_t<T> log_sum_exp(std::span<const T> row) {
  using C = compute_t<T>;
  C maximum = widen(row[0]);
  for (const T& x : row) maximum = std::max(maximum, widen(x));
  C sum = 0;
  for (const T& x : row) sum += exp(widen(x) - maximum);
  return maximum + log(sum);
}

/// Sum of the losses of rows begin .. end - 1; adds the number of labels that count to `valid`.
template <class T>
compute_t<T> sum_of_rows(const Tensor<T>& logits, const Tensor<std::int64_t>& labels, std::int64_t begin,
                         std::int64_t end, std::int64_t& valid) {
  compute_t<T> sum = 0;
  for (std::int64_t r = begin; r < end; ++r) {
    const std::int64_t label = labels[r];
    if (label == kIgnoreIndex) continue;
    if (label < 0 || label >= logits.width()) {
      throw ShapeError("[cross_entropy] labels[" + std::to_string(r) + "] = " + std::to_string(label) +
                       " is neither -100 nor in 0 .. " + std::to_string(logits.width() - 1));
    }
    sum += log_sum_exp(logits.row(r)) - widen(logits.row(r)[label]);
    ++valid;
  }
  return sum;
}

}  // namespace

template <class T>
compute_t<T> cross_entropy(const Tensor<T>& logits, const Tensor<std::int64_t>& labels) {
  return chunked_cross_entropy(logits, labels, std::max<std::int64_t>(1, logits.rows()));
}

template <class T>
compute_t<T> chunked_cross_entropy(const Tensor<T>& logits, const Tensor<std::int64_t>& labels,
                                   std::int64_t chunk_size) {
  require_shape("[cross_entropy] labels", {labels.size()}, {logits.rows()});
  if (chunk_size <= 0) {
    throw ShapeError("[cross_entropy] chunk_size = " + std::to_string(chunk_size) + ": must be positive");
  }
  compute_t<T> sum = 0;
  std::int64_t valid = 0;
  for (std::int64_t begin = 0; begin < logits.rows(); begin += chunk_size) {
    const std::int64_t end = std::min(begin + chunk_size, logits.rows());
    sum += sum_of_rows(logits, labels, begin, end, valid);
  }
  return valid == 0 ? 0 : sum / static_cast<compute_t<T>>(valid);
}

template <class T>
compute_t<T> logit_z_loss(const Tensor<T>& logits, double weight) {
  using C = compute_t<T>;
  if (weight == 0) return 0;
  C sum = 0;
  for (std::int64_t r = 0; r < logits.rows(); ++r) {
    const C value = log_sum_exp(logits.row(r));
    sum += value * value;
  }
  return static_cast<C>(weight) * (sum / static_cast<C>(logits.rows()));
}

FORGECHECK_INSTANTIATE(cross_entropy);
FORGECHECK_INSTANTIATE(chunked_cross_entropy);
FORGECHECK_INSTANTIATE(logit_z_loss);

}  // namespace forgecheck
