#include "reference/ops/attention_blocked.h"

#include <algorithm>
#include <cmath>

#include "reference/linalg/blocked.h"
#include "reference/linalg/parallel.h"

namespace forgecheck {

namespace {

/// Queries of one head that are attended together.
constexpr std::int64_t kQueries = 16;

/// One head's keys or values (T, d) as blocks for linalg::add_block().
template <class C>
class Blocks {
 public:
  /// Column c of block b is column b * kColumns + c of the matrix; those past the last are zero.
  Blocks(std::int64_t terms, std::int64_t columns)
      : terms_(terms), columns_(columns), data_(terms * count() * linalg::kColumns<C>) {}

  std::int64_t count() const { return (columns_ + linalg::kColumns<C> - 1) / linalg::kColumns<C>; }
  std::int64_t columns_of(std::int64_t block) const {
    return std::min(linalg::kColumns<C>, columns_ - block * linalg::kColumns<C>);
  }
  C& at(std::int64_t term, std::int64_t column) {
    const std::int64_t block = column / linalg::kColumns<C>;
    return data_.data()[(block * terms_ + term) * linalg::kColumns<C> + column % linalg::kColumns<C>];
  }
  const C* block(std::int64_t index) const { return data_.data() + index * terms_ * linalg::kColumns<C>; }

 private:
  std::int64_t terms_, columns_;
  linalg::Aligned<C> data_;
};

/// One key-value head of one sequence, its keys in the order in which they are visited.
template <class C>
struct Head {
  Blocks<C> keys;    // (d, T)
  Blocks<C> values;  // (T, d)
};

template <class T>
std::vector<Head<compute_t<T>>> heads_of(const Tensor<T>& k, const Tensor<T>& v, bool backwards) {
  using C = compute_t<T>;
  const std::int64_t length = k.dim(1), kv_heads = k.dim(2), head_dim = k.dim(3);
  std::vector<Head<C>> heads;
  for (std::int64_t at = 0; at < k.dim(0) * kv_heads; ++at) {
    Head<C> head{{head_dim, length}, {length, head_dim}};
    for (std::int64_t step = 0; step < length; ++step) {
      const std::int64_t j = backwards ? length - 1 - step : step;
      const std::int64_t row = (at / kv_heads * length + j) * kv_heads + at % kv_heads;
      for (std::int64_t e = 0; e < head_dim; ++e) {
        head.keys.at(e, step) = widen(k.row(row)[e]);
        head.values.at(step, e) = widen(v.row(row)[e]);
      }
    }
    heads.push_back(std::move(head));
  }
  return heads;
}

/// out (rows, columns) = x (rows, terms) times blocks.
template <class C>
void multiply(C* out, std::int64_t rows, std::int64_t columns, const C* x, std::int64_t terms,
              const Blocks<C>& blocks) {
  for (std::int64_t b = 0; b < blocks.count(); ++b) {
    linalg::Aligned<C> sums(rows * linalg::kColumns<C>);
    linalg::add_block(sums.data(), rows, x, terms, blocks.block(b), terms);
    for (std::int64_t r = 0; r < rows; ++r) {
      std::copy_n(sums.data() + r * linalg::kColumns<C>, blocks.columns_of(b),
                  out + r * columns + b * linalg::kColumns<C>);
    }
  }
}

}  // namespace

template <class T>
Tensor<T> attention_in_blocks(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                              const AttentionMask& mask, Probabilities probabilities, bool backwards) {
  using C = compute_t<T>;
  const std::int64_t batch = q.dim(0), queries = q.dim(1), heads = q.dim(2), head_dim = q.dim(3);
  const std::int64_t keys = k.dim(1), kv_heads = k.dim(2);
  const C scale = C(1) / std::sqrt(static_cast<C>(head_dim));
  const std::vector<Head<C>> kv = heads_of(k, v, backwards);
  const std::int64_t parts = (queries + kQueries - 1) / kQueries;
  Tensor<T> out({batch, queries, heads * head_dim});

  linalg::share_by_threads(q.size() * keys, batch * heads * parts, [&](std::int64_t piece) {
    const std::int64_t first = piece % parts * kQueries, rows = std::min(kQueries, queries - first);
    const std::int64_t h = piece / parts % heads, b = piece / parts / heads;
    const Head<C>& head = kv[static_cast<std::size_t>(b * kv_heads + h / (heads / kv_heads))];
    const auto row_of = [&](std::int64_t r) { return (b * queries + first + r) * heads + h; };
    // 1. scores of all keys
    std::vector<C> x(static_cast<std::size_t>(rows * head_dim)),
        weights(static_cast<std::size_t>(rows * keys)), context(x.size());
    for (std::int64_t r = 0; r < rows; ++r) {
      std::ranges::transform(q.row(row_of(r)), x.begin() + r * head_dim,
                             [](const T& element) { return widen(element); });
    }
    multiply(weights.data(), rows, keys, x.data(), head_dim, head.keys);
    // 2. weights of the visible ones, zero for the others
    std::vector<C> sums, visible;
    std::vector<std::uint8_t> seen(static_cast<std::size_t>(keys));
    for (std::int64_t r = 0; r < rows; ++r) {
      mask.read(b * queries + first + r, seen);
      if (backwards) std::ranges::reverse(seen);
      const auto is_seen = [&](std::int64_t step) { return seen[static_cast<std::size_t>(step)] != 0; };
      C* const row = weights.data() + r * keys;
      visible.clear();
      for (std::int64_t step = 0; step < keys; ++step) {
        if (is_seen(step)) visible.push_back(row[step] * scale);
      }
      sums.push_back(softmax_in_place<T>(visible, probabilities));
      auto next = visible.begin();
      for (std::int64_t step = 0; step < keys; ++step) row[step] = is_seen(step) ? *next++ : C(0);
    }
    // 3. the weighted mean of the values
    multiply(context.data(), rows, head_dim, weights.data(), keys, head.values);
    const bool divide_last = probabilities == Probabilities::rounded_undivided;
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t e = 0; e < head_dim; ++e) {
        const C total = context[static_cast<std::size_t>(r * head_dim + e)];
        out[row_of(r) * head_dim + e] = T(divide_last ? total / sums[static_cast<std::size_t>(r)] : total);
      }
    }
  });
  return out;
}

#define INSTANTIATE(T)                                                                         \
  template Tensor<T> attention_in_blocks(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, \
                                         const AttentionMask&, Probabilities, bool);
INSTANTIATE(double)
INSTANTIATE(float)
INSTANTIATE(Bfloat16)
#undef INSTANTIATE

}  // namespace forgecheck
