#include "reference/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "reference/error.h"
#include "reference/instantiate.h"
#include "reference/linalg/parallel.h"
#include "reference/numbers.h"
#include "reference/ops/attention_blocked.h"

namespace forgecheck {

namespace {

template <class T>
compute_t<T> dot(std::span<const T> a, std::span<const T> b) {
  compute_t<T> sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum = multiply_add(sum, widen(a[i]), widen(b[i]));
  }
  return sum;
}

/// The weight of a value, from e = exp(score - maximum) and the sum of all e.
template <class T>
compute_t<T> probability(compute_t<T> e, compute_t<T> sum, Probabilities probabilities) {
  switch (probabilities) {
    case Probabilities::kept:
      return e / sum;
    case Probabilities::rounded:
      return round_to<T>(e / sum);
    case Probabilities::rounded_undivided:
      return round_to<T>(e);
  }
  throw_not_an_enumerator("[attention] probabilities", probabilities);
}

/// Whether the keys are visited from the last to the first.
bool sums_backwards(linalg::Order order) {
  switch (order) {
    case linalg::Order::forward:
      return false;
    case linalg::Order::permuted:
    case linalg::Order::reversed:
      return true;
  }
  throw_not_an_enumerator("[attention] order", order);
}

/// One query of one head: q (d), its visible keys and values, out (d). `weights` is room for one number a key.
template <class T>
void attend(std::span<T> out, std::span<const T> q, const std::vector<std::span<const T>>& keys,
            const std::vector<std::span<const T>>& values, Probabilities probabilities,
            std::vector<compute_t<T>>& weights) {
  using C = compute_t<T>;
  const C scale = C(1) / sqrt(static_cast<C>(q.size()));
  // 1. scores
  for (std::size_t j = 0; j < keys.size(); ++j) weights[j] = dot(q, keys[j]) * scale;
  // 2. exponentials and their sum
  const C sum = softmax_in_place<T>(weights, probabilities);
  const bool divide_last = probabilities == Probabilities::rounded_undivided;
  // 3. weighted mean of the values
  for (std::size_t e = 0; e < out.size(); ++e) {
    C total = 0;
    for (std::size_t j = 0; j < values.size(); ++j) {
      total = multiply_add(total, weights[j], widen(values[j][e]));
    }
    out[e] = T(divide_last ? total / sum : total);
  }
}

}  // namespace

template <class T>
compute_t<T> softmax_in_place(std::span<compute_t<T>> weights, Probabilities probabilities) {
  using C = compute_t<T>;
  C maximum = static_cast<C>(-kInfinity);
  for (const C& score : weights) maximum = std::max(maximum, score);
  C sum = 0;
  for (C& weight : weights) {
    weight = exp(weight - maximum);
    sum += weight;
  }
  for (C& weight : weights) weight = probability<T>(weight, sum, probabilities);
  return sum;
}

template <class T>
Tensor<T> attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v, const AttentionMask& mask,
                    const Arithmetic& arithmetic) {
  const std::int64_t batch = q.dim(0), queries = q.dim(1), heads = q.dim(2), head_dim = q.dim(3);
  const std::int64_t keys = k.dim(1), kv_heads = k.dim(2);
  require_shape("[attention] v", v.shape, k.shape);
  require_shape("[attention] k", k.shape, {batch, keys, kv_heads, head_dim});
  require_shape("[attention] mask", mask.shape(), {batch, queries, keys});
  if (kv_heads == 0 || heads % kv_heads != 0) {
    throw ShapeError("[attention] " + std::to_string(heads) + " heads cannot share " +
                     std::to_string(kv_heads) + " key-value heads");
  }

  const bool backwards = sums_backwards(arithmetic.order);
  if constexpr (!std::is_same_v<compute_t<T>, Sampled>) {
    const auto is_finite = [](const T& value) { return std::isfinite(widen(value)); };
    if (q.size() * keys >= linalg::kThreadedWork && std::ranges::all_of(v.data, is_finite)) {
      return attention_in_blocks(q, k, v, mask, arithmetic.probabilities, backwards);
    }
  }
  Tensor<T> out({batch, queries, heads, head_dim});
  const auto attend_with_heads = [&](std::int64_t query) {  // of batch * queries
    const std::int64_t b = query / queries;
    std::vector<std::uint8_t> seen(static_cast<std::size_t>(keys));
    mask.read(query, seen);
    std::vector<std::int64_t> visible;
    for (std::int64_t step = 0; step < keys; ++step) {
      const std::int64_t j = backwards ? keys - 1 - step : step;
      if (seen[static_cast<std::size_t>(j)] != 0) visible.push_back(b * keys + j);
    }
    std::vector<std::span<const T>> its_keys(visible.size()), its_values(visible.size());
    std::vector<compute_t<T>> weights(visible.size());
    for (std::int64_t h = 0; h < heads; ++h) {
      const std::int64_t kv_head = h / (heads / kv_heads), row = query * heads + h;
      for (std::size_t j = 0; j < visible.size(); ++j) {
        its_keys[j] = k.row(visible[j] * kv_heads + kv_head);
        its_values[j] = v.row(visible[j] * kv_heads + kv_head);
      }
      attend(out.row(row), q.row(row), its_keys, its_values, arithmetic.probabilities, weights);
    }
  };
  linalg::share_by_threads(q.size() * keys, batch * queries, attend_with_heads);
  return std::move(out).reshaped({batch, queries, heads * head_dim});
}

#define INSTANTIATE(T) template compute_t<T> softmax_in_place<T>(std::span<compute_t<T>>, Probabilities);
FORGECHECK_FOR_EACH_FLOAT(INSTANTIATE)
#undef INSTANTIATE
FORGECHECK_INSTANTIATE(attention);

}  // namespace forgecheck
