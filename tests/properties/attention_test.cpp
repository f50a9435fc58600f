#include "reference/ops/attention.h"

#include <algorithm>

#include "reference/ops/rope.h"
#include "tests/properties/generators.h"

namespace forgecheck {
namespace {

Tensor<std::uint8_t> all_rows(const AttentionMask& mask) {
  Tensor<std::uint8_t> result(mask.shape());
  for (std::int64_t r = 0; r < result.rows(); ++r) mask.read(r, result.row(r));
  return result;
}

struct Case {
  std::int64_t queries = size_between(1, 4), keys = size_between(1, 5);
  std::int64_t kv_heads = size_between(1, 2), heads = kv_heads * size_between(1, 3);
  std::int64_t head_dim = 2 * size_between(1, 2);
  Tensor<double> q = random_tensor({1, queries, heads, head_dim});
  Tensor<double> k = random_tensor({1, keys, kv_heads, head_dim});
  Tensor<double> v = random_tensor({1, keys, kv_heads, head_dim});

  /// A random mask in which every query sees at least one key.
  Tensor<std::uint8_t> random_mask() const {
    Tensor<std::uint8_t> mask({1, queries, keys});
    for (std::int64_t i = 0; i < queries; ++i) {
      for (std::uint8_t& seen : mask.row(i)) seen = *rc::gen::arbitrary<bool>() ? 1 : 0;
      mask.row(i)[static_cast<std::size_t>(size_between(0, keys - 1))] = 1;
    }
    return mask;
  }
  double value(std::int64_t key, std::int64_t head, std::int64_t element) const {
    return v[(key * kv_heads + head / (heads / kv_heads)) * head_dim + element];
  }
};

RC_GTEST_PROP(AttentionProperties, OutputIsInTheHullOfTheVisibleValues, ()) {
  const Case c;
  const Tensor<std::uint8_t> mask = c.random_mask();
  const auto out = attention(c.q, c.k, c.v, mask);
  for (std::int64_t i = 0; i < c.queries; ++i) {
    for (std::int64_t h = 0; h < c.heads; ++h) {
      for (std::int64_t e = 0; e < c.head_dim; ++e) {
        double low = 1e9, high = -1e9;
        for (std::int64_t j = 0; j < c.keys; ++j) {
          if (mask[i * c.keys + j] == 0) continue;
          low = std::min(low, c.value(j, h, e));
          high = std::max(high, c.value(j, h, e));
        }
        const double result = out[(i * c.heads + h) * c.head_dim + e];
        RC_ASSERT(result >= low - 1e-12);
        RC_ASSERT(result <= high + 1e-12);
      }
    }
  }
}

RC_GTEST_PROP(AttentionProperties, InvisibleKeysDoNotChangeABit, ()) {
  Case c;
  Tensor<std::uint8_t> mask = c.random_mask();
  const std::int64_t hidden = size_between(0, c.keys - 1);
  for (std::int64_t i = 0; i < c.queries; ++i) mask[i * c.keys + hidden] = 0;
  const auto before = attention(c.q, c.k, c.v, mask);
  for (std::int64_t e = 0; e < c.kv_heads * c.head_dim; ++e) {
    c.k[hidden * c.kv_heads * c.head_dim + e] += 1;
    c.v[hidden * c.kv_heads * c.head_dim + e] -= 1;
  }
  RC_ASSERT(identical(attention(c.q, c.k, c.v, mask), before));
}

RC_GTEST_PROP(AttentionProperties, OrderOfTheKeysDoesNotMatter, ()) {
  const Case c;
  const Tensor<std::uint8_t> mask = c.random_mask();
  Tensor<std::uint8_t> reversed_mask = mask;
  for (std::int64_t i = 0; i < c.queries; ++i) std::ranges::reverse(reversed_mask.row(i));
  const auto reversed = [&](const Tensor<double>& x) {
    Tensor<double> out(x.shape);
    const std::int64_t width = c.kv_heads * c.head_dim;
    for (std::int64_t j = 0; j < c.keys; ++j) {
      std::copy_n(x.data.begin() + j * width, width, out.data.begin() + (c.keys - 1 - j) * width);
    }
    return out;
  };
  RC_ASSERT(all_within(numbers(attention(c.q, reversed(c.k), reversed(c.v), reversed_mask)),
                       numbers(attention(c.q, c.k, c.v, mask)), 1e-12));
}

RC_GTEST_PROP(AttentionProperties, EqualQueriesOfAGroupGetEqualResults, ()) {
  Case c;
  const std::int64_t group = c.heads / c.kv_heads;
  for (std::int64_t r = 0; r < c.q.rows(); ++r) {
    std::ranges::copy(c.q.row(r / group * group), c.q.row(r).begin());
  }
  const auto out = attention(c.q, c.k, c.v, c.random_mask()).reshaped({c.queries * c.heads, c.head_dim});
  for (std::int64_t r = 0; r < out.rows(); ++r) {
    RC_ASSERT(numbers_of_row(out, r) == numbers_of_row(out, r / group * group));
  }
}

RC_GTEST_PROP(MaskProperties, CausalMaskIsMonotone, ()) {
  const std::int64_t filled = size_between(0, 4), queries = size_between(1, 5), keys = filled + queries;
  const Tensor<std::uint8_t> mask = all_rows(causal_mask(1, queries, keys, filled, nullptr, nullptr));
  for (std::int64_t i = 0; i < queries; ++i) {
    RC_ASSERT(std::ranges::count(mask.row(i), 1) == filled + i + 1);
    RC_ASSERT(std::is_sorted(mask.row(i).rbegin(), mask.row(i).rend()));
  }
}

RC_GTEST_PROP(MaskProperties, EveryQuerySeesSomething, ()) {
  const std::int64_t length = size_between(1, 6);
  const Ids doc_ids = random_ids({2, length}, 0, 2), valid = random_ids({2, length}, 0, 1);
  const Tensor<std::uint8_t> mask = all_rows(causal_mask(2, length, length, 0, &doc_ids, &valid));
  for (std::int64_t r = 0; r < mask.rows(); ++r) {
    const std::int64_t b = r / length, i = r % length;
    bool something = false;
    for (std::int64_t j = 0; j <= i; ++j) {
      something = something || (doc_ids[b * length + j] == doc_ids[r] && valid[b * length + j] != 0);
    }
    if (!something) {
      RC_ASSERT(std::ranges::count(mask.row(r), 1) == length);
      continue;
    }
    for (std::int64_t j = 0; j < length; ++j) {
      if (mask[r * length + j] == 0) continue;
      RC_ASSERT(j <= i);
      RC_ASSERT(doc_ids[b * length + j] == doc_ids[r]);
      RC_ASSERT(valid[b * length + j] == 1);
    }
    RC_ASSERT(std::ranges::count(mask.row(r), 1) > 0);
  }
}

struct RopeCase {
  std::int64_t head_dim = 2 * size_between(1, 4);
  RopeTable<double> table = rope_table<double>(head_dim, 32, {10000.0});
  Tensor<double> x = random_tensor({1, 1, 1, head_dim});

  std::vector<double> at(const Tensor<double>& vector, std::int64_t position) const {
    return numbers(apply_rope(vector, table, position));
  }
};

RC_GTEST_PROP(RopeProperties, LengthOfEveryPairIsKept, ()) {
  const RopeCase c;
  const auto rotated = c.at(c.x, size_between(0, 31));
  const auto half = static_cast<std::size_t>(c.head_dim / 2);
  for (std::size_t j = 0; j < half; ++j) {
    RC_ASSERT(within(std::hypot(rotated[j], rotated[j + half]), std::hypot(c.x.data[j], c.x.data[j + half]),
                     1e-13));
  }
}

RC_GTEST_PROP(RopeProperties, ScoresDependOnTheDistanceOnly, ()) {
  const RopeCase c;
  const Tensor<double> key = random_tensor({1, 1, 1, c.head_dim});
  const std::int64_t i = size_between(0, 15), j = size_between(0, 15), shift = size_between(0, 16);
  const auto score = [&](std::int64_t query_position, std::int64_t key_position) {
    const auto a = c.at(c.x, query_position), b = c.at(key, key_position);
    double sum = 0;
    for (std::size_t e = 0; e < a.size(); ++e) sum += a[e] * b[e];
    return sum;
  };
  RC_ASSERT(within(score(i, j), score(i + shift, j + shift), 1e-11));
}

}  // namespace
}  // namespace forgecheck
