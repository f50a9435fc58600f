#include "reference/ops/attention.h"

#include <cmath>
#include <cstdlib>
#include <limits>

#include "reference/sampled.h"
#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

AttentionMask all_visible(std::int64_t batch, std::int64_t queries, std::int64_t keys) {
  return cross_mask(batch, queries, keys, nullptr);
}

TEST(Attention, SingleKeyGivesItsValue) {
  const auto q = doubles({1, 1, 1, 2}, {3, -4});
  const auto k = doubles({1, 1, 1, 2}, {0.5, 7});
  const auto v = doubles({1, 1, 1, 2}, {0.3, -0.1});
  EXPECT_EQ(numbers(attention(q, k, v, all_visible(1, 1, 1))), (std::vector<double>{0.3, -0.1}));
}

// d = 4: scores 2 ln 3 / sqrt 4 = ln 3 and 0, so p = (3/4, 1/4). Without the root p would be (0.9, 0.1).
TEST(Attention, ScoresAreDividedByTheRootOfTheHeadSize) {
  const auto q = doubles({1, 1, 1, 4}, {2, 0, 0, 0});
  const auto k = doubles({1, 2, 1, 4}, {kLn3, 0, 0, 0, 0, 5, 0, 0});
  const auto v = doubles({1, 2, 1, 4}, {1, 0, 8, 0, 0, 1, 0, 4});
  EXPECT_THAT(numbers(attention(q, k, v, all_visible(1, 1, 2))), AreNear({0.75, 0.25, 6, 1}));
}

TEST(Attention, EqualScoresAverageTheVisibleValues) {
  const Tensor<double> q({1, 2, 1, 2});
  const Tensor<double> k({1, 3, 1, 2});
  const auto v = doubles({1, 3, 1, 2}, {3, 0, 5, 2, 100, 100});
  const Tensor<std::uint8_t> mask({1, 2, 3}, {1, 1, 0, 0, 0, 1});
  EXPECT_THAT(numbers(attention(q, k, v, mask)), AreNear({4, 1, 100, 100}));
}

// H = 4, K = 2: heads 0 and 1 read key-value head 0, heads 2 and 3 read head 1 (repeat-interleave).
TEST(Attention, NeighbouringQueryHeadsShareAKeyValueHead) {
  const Tensor<double> q({1, 1, 4, 2});
  const Tensor<double> k({1, 1, 2, 2});
  const auto v = doubles({1, 1, 2, 2}, {10, 11, 20, 21});
  const auto out = attention(q, k, v, all_visible(1, 1, 1));
  EXPECT_EQ(out.shape, (Shape{1, 1, 8}));
  EXPECT_EQ(numbers(out), (std::vector<double>{10, 11, 10, 11, 20, 21, 20, 21}));
}

// Keys also differ from head to head: head 0 prefers key 0, head 1 prefers key 1, by ln 3 each.
TEST(Attention, EveryHeadReadsItsOwnKeysAndValues) {
  const double a = kLn3 * std::sqrt(2.0);
  const auto q = doubles({1, 1, 2, 2}, {1, 0, 0, 1});
  const auto k = doubles({1, 2, 2, 2}, {a, 0, 0, 0, 0, 0, 0, a});
  const auto v = doubles({1, 2, 2, 2}, {4, 0, 8, 0, 0, 4, 0, 8});
  EXPECT_THAT(numbers(attention(q, k, v, all_visible(1, 1, 2))), AreNear({3, 1, 2, 6}));
}

TEST(Attention, BatchRowsDoNotMix) {
  const Tensor<double> q({2, 1, 1, 2});
  const Tensor<double> k({2, 2, 1, 2});
  const auto v = doubles({2, 2, 1, 2}, {1, 2, 3, 4, 10, 20, 30, 40});
  EXPECT_THAT(numbers(attention(q, k, v, all_visible(2, 1, 2))), AreNear({2, 3, 20, 30}));
}

TEST(Attention, LargeScoresStayFinite) {
  const auto q = doubles({1, 1, 1, 2}, {1e4, 0});
  const auto k = doubles({1, 2, 1, 2}, {1e4, 0, -1e4, 0});
  const auto v = doubles({1, 2, 1, 2}, {1, 2, 3, 4});
  EXPECT_EQ(numbers(attention(q, k, v, all_visible(1, 1, 2))), (std::vector<double>{1, 2}));
}

// Scores, softmax and sum in float32; nothing is rounded to bfloat16 in between.
TEST(Attention, Bfloat16RoundsTheOutputOnly) {
  int rounded_differently = 0;
  for (int i = 0; i < 32; ++i) {
    const float q = bf16(0.3F + 0.17F * static_cast<float>(i)), k0 = bf16(1.7F), k1 = bf16(-0.6F);
    const float v0 = bf16(3.3F), v1 = bf16(-1.9F - static_cast<float>(i) * 0.11F);
    const auto out = attention(tensor<Bfloat16>({1, 1, 1, 1}, {q}), tensor<Bfloat16>({1, 2, 1, 1}, {k0, k1}),
                               tensor<Bfloat16>({1, 2, 1, 1}, {v0, v1}), all_visible(1, 1, 2));
    const float s0 = q * k0, s1 = q * k1, maximum = std::max(s0, s1);
    const float e0 = std::exp(s0 - maximum), e1 = std::exp(s1 - maximum), sum = e0 + e1;
    EXPECT_EQ(numbers(out), bf16_numbers({e0 / sum * v0 + e1 / sum * v1}));
    const float rounded_weights = bf16(e0 / sum) * v0 + bf16(e1 / sum) * v1;
    if (bf16(rounded_weights) != bf16(e0 / sum * v0 + e1 / sum * v1)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

/// Attention of 2^22 multiply-adds and more, in a sampled run, on some number of threads.
template <class T>
std::vector<double> large_attention(const char* threads) {
  setenv("OMP_NUM_THREADS", threads, 1);
  const auto wave = [](Shape shape, double frequency) {
    std::vector<double> values(static_cast<std::size_t>(element_count(shape)));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(frequency * static_cast<double>(i));
    return tensor<T>(std::move(shape), values);
  };
  const Sampling sampling(5);
  const auto out = attention(wave({2, 70, 4, 64}, 0.1), wave({2, 130, 2, 64}, 0.2),
                             wave({2, 130, 2, 64}, 0.3), all_visible(2, 70, 130));
  unsetenv("OMP_NUM_THREADS");
  std::vector<double> values;
  for (const T& element : out.data) values.push_back(to_double(element));
  return values;
}

TEST(Attention, HasTheSameBitsOnAnyNumberOfThreads) {
  EXPECT_EQ(large_attention<float>("1"), large_attention<float>("3"));
  EXPECT_EQ(large_attention<SampledFloat>("1"), large_attention<SampledFloat>("3"));
}

/// Queries, keys and values of more than 2^22 multiply-adds, with a mask of every kind of row: of no key, of one, of all.
template <class T>
struct Large {
  std::int64_t queries = 75, keys = 133, heads = 6, kv_heads = 3, head_dim = 40;
  Tensor<T> q = wave({2, queries, heads, head_dim}, 0.11), k = wave({2, keys, kv_heads, head_dim}, 0.23),
            v = wave({2, keys, kv_heads, head_dim}, 0.37);
  Tensor<std::uint8_t> mask{{2, queries, keys}};

  Large() {
    for (std::int64_t i = 0; i < mask.size(); ++i) {
      const std::int64_t query = i / keys, j = i % keys;
      mask[i] = query % 7 == 0 ? 0 : query % 7 == 1 ? j == 50 : query % 7 == 2 ? 1 : (i * i) % 5 < 2;
    }
  }

  static Tensor<T> wave(Shape shape, double frequency) {
    std::vector<double> values(static_cast<std::size_t>(element_count(shape)));
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = 3 * std::sin(frequency * static_cast<double>(i));
    return tensor<T>(std::move(shape), values);
  }

  /// One query by itself, which is small: the plain loops.
  std::vector<double> query(std::int64_t b, std::int64_t i, const Arithmetic& arithmetic) const {
    const auto part = [](const auto& x, std::int64_t first, std::int64_t count, Shape shape) {
      auto result = x.data;
      const std::int64_t size = element_count(shape) / count;
      result.assign(x.data.begin() + first * size, x.data.begin() + (first + count) * size);
      return Tensor<std::decay_t<decltype(x[0])>>(std::move(shape), std::move(result));
    };
    return numbers(attention(part(q, b * queries + i, 1, {1, 1, heads, head_dim}),
                             part(k, b * keys, keys, {1, keys, kv_heads, head_dim}),
                             part(v, b * keys, keys, {1, keys, kv_heads, head_dim}),
                             part(mask, b * queries + i, 1, {1, 1, keys}), arithmetic));
  }
};

template <class T>
void expect_the_bits_of_single_queries(const Large<T>& large, const Arithmetic& arithmetic) {
  const auto whole = numbers(attention(large.q, large.k, large.v, large.mask, arithmetic));
  const std::int64_t width = large.heads * large.head_dim;
  for (std::int64_t query = 0; query < 2 * large.queries; ++query) {
    const std::vector<double> expected =
        large.query(query / large.queries, query % large.queries, arithmetic);
    for (std::int64_t e = 0; e < width; ++e) {
      const double found = whole[static_cast<std::size_t>(query * width + e)],
                   single = expected[static_cast<std::size_t>(e)];
      ASSERT_TRUE(found == single || (std::isnan(found) && std::isnan(single)))
          << found << " is not " << single << " at query " << query << ", element " << e;
    }
  }
}

TEST(Attention, OfManyQueriesHasTheBitsOfEach) {
  for (const linalg::Order order : {linalg::Order::forward, linalg::Order::reversed}) {
    for (const Named<Probabilities>& probabilities : kProbabilities) {
      SCOPED_TRACE(probabilities.name);
      const Arithmetic arithmetic{.order = order, .probabilities = probabilities.value};
      expect_the_bits_of_single_queries(Large<float>(), arithmetic);
      expect_the_bits_of_single_queries(Large<double>(), arithmetic);
      expect_the_bits_of_single_queries(Large<Bfloat16>(), arithmetic);
    }
  }
}

// A hidden value that is not finite touches nothing.
TEST(Attention, OfManyQueriesHidesWhatIsNotFinite) {
  for (const float value :
       {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    Large<float> large;
    for (float& element : large.v.row(2 * large.kv_heads)) element = value;
    for (std::int64_t query = 0; query < 2 * large.queries; ++query)
      large.mask[query * large.keys + 2] = query == 4;
    expect_the_bits_of_single_queries(large, kPlain);
  }
}

TEST(Attention, ShapesAreChecked) {
  const Tensor<double> q({1, 1, 3, 2}), k({1, 2, 2, 2}), wide({1, 2, 3, 4}), fitting({1, 2, 3, 2});
  const AttentionMask mask = all_visible(1, 1, 2);
  EXPECT_EQ(message_of([&] { attention(q, k, k, mask); }),
            "[attention] 3 heads cannot share 2 key-value heads");
  EXPECT_EQ(message_of([&] { attention(q, fitting, k, mask); }),
            "[attention] v has shape 1x2x2x2, expected 1x2x3x2");
  EXPECT_EQ(message_of([&] { attention(q, wide, wide, mask); }),
            "[attention] k has shape 1x2x3x4, expected 1x2x3x2");
  EXPECT_EQ(message_of([&] { attention(q, fitting, fitting, all_visible(1, 2, 2)); }),
            "[attention] mask has shape 1x2x2, expected 1x1x2");
}

}  // namespace
}  // namespace forgecheck
