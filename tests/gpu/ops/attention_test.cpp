#include "tests/gpu/ops/attention_test.h"
#include "gpu/ops/sight.cuh"

namespace forgecheck::gpu {
namespace {

/// Around the ends of tiles of keys and of queries.
const std::vector<std::int64_t> kLengths = {1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 129};

template <class T>
class GpuAttention : public AttentionTest<T> {
 protected:
  static constexpr auto op = [](Device& device, const auto& q, const auto& keys,
                                const Visibility& visibility) {
    return attention(device, q, keys, visibility);
  };
};
TYPED_TEST_SUITE(GpuAttention, ElementTypes);

TYPED_TEST(GpuAttention, CausalIsTheReferenceAtEveryLength) {
  for (const std::int64_t n : kLengths) {
    this->expect_reference(this->op, {.queries = n, .keys = n}, {.causal = true});
  }
}

TYPED_TEST(GpuAttention, CrossIsTheReferenceAtEveryLengthOfKeys) {
  for (const std::int64_t keys : kLengths) {
    for (const std::int64_t queries : {1, 5, 33}) {
      this->expect_reference(this->op, {.queries = queries, .keys = keys}, {});
    }
  }
}

TYPED_TEST(GpuAttention, EveryHeadSizeIsTheReference) {
  for (const std::int64_t d : {2, 4, 6, 10, 32, 34, 48, 64, 66, 80, 128, 130, 254, 256}) {
    this->expect_reference(this->op, {.queries = 35, .keys = 35, .head_dim = d}, {.causal = true});
  }
}

TYPED_TEST(GpuAttention, QueryHeadsShareKeyValueHeads) {
  for (const std::int64_t kv_heads : {1, 2, 3, 6}) {
    this->expect_reference(this->op, {.queries = 9, .keys = 9, .heads = 6, .kv_heads = kv_heads},
                           {.causal = true});
  }
}

// Documents that begin at, before and after the edges of tiles, and one with a single token.
TYPED_TEST(GpuAttention, DocumentsDoNotSeeEachOther) {
  const auto docs = documents(70, {{32, 64}, {1, 31, 33, 34, 63}});
  this->expect_reference(this->op, {.queries = 70, .keys = 70}, {.causal = true, .doc_ids = docs});
}

// Windows that end at, before and after the edges of tiles; one as long as the rows, and one with padding in it.
TYPED_TEST(GpuAttention, AWindowIsTheReference) {
  for (const std::int64_t window : {1, 2, 31, 32, 33, 69, 70, 71}) {
    this->expect_reference(this->op, {.queries = 70, .keys = 70}, {.causal = true, .window = window});
  }
  const auto valid = valid_keys(70, {{20, 70}, {0, 40}});
  this->expect_reference(this->op, {.queries = 70, .keys = 70},
                         {.causal = true, .key_mask = valid, .window = 9});
}

TYPED_TEST(GpuAttention, PaddingIsNotSeen) {
  for (const auto& ranges :
       {std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 33}, {0, 70}}, {{31, 70}, {40, 65}}}) {
    const auto valid = valid_keys(70, ranges);
    this->expect_reference(this->op, {.queries = 70, .keys = 70}, {.causal = true, .key_mask = valid});
    this->expect_reference(this->op, {.queries = 5, .keys = 70}, {.key_mask = valid});
  }
}

// Row 0 has no valid key; nor have the queries of row 1 before key 40, and those of a document
// that is all padding: they see every key, also later ones, in tiles that no other query needs.
TYPED_TEST(GpuAttention, AQueryThatWouldSeeNothingSeesEveryKey) {
  const auto valid = valid_keys(70, {{0, 0}, {40, 50}});
  this->expect_reference(this->op, {.queries = 70, .keys = 70}, {.causal = true, .key_mask = valid});
  this->expect_reference(this->op, {.queries = 5, .keys = 70}, {.key_mask = valid});
  const auto docs = documents(70, {{}, {45, 55}});
  this->expect_reference(this->op, {.queries = 70, .keys = 70},
                         {.causal = true, .doc_ids = docs, .key_mask = valid});
}

TYPED_TEST(GpuAttention, AChunkReadsTheCacheBehindWhichItWasAppended) {
  using T = TypeParam;
  for (const std::int64_t seq_len : {1, 31, 32, 33, 65}) {
    for (const std::int64_t queries : {1, 4, 9}) {
      const Sizes sizes{
          .queries = queries, .keys = seq_len + queries, .heads = 4, .kv_heads = 2, .head_dim = 6};
      const auto heads = this->random_heads(sizes);
      const Masks masks{.causal = true, .first_position = seq_len};
      const DeviceTensor<T> k = this->cache_of(heads.k, 80), v = this->cache_of(heads.v, 80);
      const auto out = this->run(this->op, heads, key_values_of_cache(k, v, sizes.keys), masks);
      this->expect_near(this->get(out), heads, masks);
    }
  }
}

// NaN in a key or a value that no query may see: 0 * NaN would be NaN.
TYPED_TEST(GpuAttention, WhatIsNotSeenIsNotTouched) {
  const auto nan = this->element(std::numeric_limits<float>::quiet_NaN());
  const Masks masks{.causal = true, .key_mask = valid_keys(40, {{2, 40}, {2, 40}})};
  auto heads = this->random_heads({.queries = 40, .keys = 40});
  // Queries 0 and 1 have no valid key, so they see everything.
  const auto expected = this->get(this->run(this->op, heads, masks));
  for (std::int64_t b = 0; b < 2; ++b) {
    for (const std::int64_t j : {0, 1, 39}) {
      std::ranges::fill(heads.k.row(b * 40 + j), nan);
      std::ranges::fill(heads.v.row(b * 40 + j), nan);
    }
  }
  const auto out = this->get(this->run(this->op, heads, masks));
  for (std::int64_t b = 0; b < 2; ++b) {
    for (std::int64_t i = 2; i < 39; ++i) {
      EXPECT_TRUE(std::ranges::equal(out.row(b * 40 + i), expected.row(b * 40 + i))) << "query " << i;
    }
    EXPECT_TRUE(std::isnan(out.row(b * 40 + 39)[0]));
  }
}

// Scores of 1e8: exp without the maximum would be infinite.
TYPED_TEST(GpuAttention, LargeScoresStayFinite) {
  auto heads = this->random_heads({.queries = 40, .keys = 40});
  for (auto* tensor : {&heads.q, &heads.k}) {
    for (auto& value : tensor->data) value = this->element(static_cast<float>(value) * 1e4F);
  }
  // Every query is decided by its largest score, which float finds as well as double does.
  this->expect_near(this->get(this->run(this->op, heads, {.causal = true})), heads, {.causal = true});
}

// The maximum grows from tile to tile: all sums so far must be rescaled to it.
TYPED_TEST(GpuAttention, ALaterMaximumShrinksWhatWasSummed) {
  auto heads = this->random_heads({.queries = 100, .keys = 100, .head_dim = 2});
  for (std::int64_t r = 0; r < heads.q.rows(); ++r)
    heads.q.row(r)[0] = this->element(1.0F), heads.q.row(r)[1] = this->element(0.0F);
  for (std::int64_t r = 0; r < heads.k.rows(); ++r) {
    heads.k.row(r)[0] = this->element(static_cast<float>(r % 100) / 32.0F);
  }
  this->expect_near(this->get(this->run(this->op, heads, {.causal = true})), heads, {.causal = true});
}

TYPED_TEST(GpuAttention, ARowDoesNotDependOnTheBatchAround) {
  const Sizes sizes{.batch = 3, .queries = 37, .keys = 37, .heads = 4, .kv_heads = 2, .head_dim = 10};
  const auto heads = this->random_heads(sizes);
  const auto all = this->get(this->run(this->op, heads, {.causal = true}));
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    const auto alone = this->get(this->run(this->op, this->row_of(heads, b), {.causal = true}));
    EXPECT_TRUE(std::equal(alone.data.begin(), alone.data.end(), all.data.begin() + b * alone.size()));
  }
}

// A query's bits are the same in a whole sequence and in a chunk after a cache, in whatever tile it lands,
// and whether or not its neighbours see further than it does.
TYPED_TEST(GpuAttention, AQueryDoesNotDependOnTheQueriesAround) {
  using T = TypeParam;
  const Sizes sizes{.batch = 1, .queries = 70, .keys = 70, .heads = 2, .kv_heads = 2, .head_dim = 6};
  const auto heads = this->random_heads(sizes);
  const auto all = this->get(this->run(this->op, heads, {.causal = true}));
  const DeviceTensor<T> k = this->cache_of(heads.k, 70), v = this->cache_of(heads.v, 70);
  for (const auto& [first, count] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 5}, {31, 2}, {60, 10}}) {
    const std::int64_t size = sizes.heads * sizes.head_dim;
    auto chunk = heads;
    chunk.q = Tensor<host_t<T>>(
        {1, count, sizes.heads, sizes.head_dim},
        {heads.q.data.begin() + first * size, heads.q.data.begin() + (first + count) * size});
    const auto out = this->get(this->run(this->op, chunk, key_values_of_cache(k, v, first + count),
                                         {.causal = true, .first_position = first}));
    EXPECT_TRUE(std::equal(out.data.begin(), out.data.end(), all.data.begin() + first * size)) << first;
  }
}

TYPED_TEST(GpuAttention, EveryOrderGivesTheSameBits) {
  for (const std::int64_t d : {6, 130}) {
    const auto heads = this->random_heads({.queries = 35, .keys = 35, .head_dim = d});
    expect_repeatable([&] { return this->bytes(this->run(this->op, heads, {.causal = true})); });
  }
}

TYPED_TEST(GpuAttention, NoQueriesGiveNothingAndNoKeysGiveZero) {
  const auto none = this->run(this->op, this->random_heads({.queries = 0, .keys = 3}), {});
  EXPECT_EQ(none.shape, (Shape{2, 0, 16}));
  const auto zero = this->get(this->run(this->op, this->random_heads({.queries = 3, .keys = 0}), {}));
  EXPECT_EQ(zero.shape, (Shape{2, 3, 16}));
  EXPECT_THAT(zero.data, testing::Each(0.0));
}

// 64 rows of 8 heads of 128 and 2^17 keys: 2^33 elements in all, more than 32 bits count.
TYPED_TEST(GpuAttention, OffsetsGoPast32Bits) {
  constexpr std::int64_t kKeys = 1 << 17;
  const KeyValues<TypeParam> keys{nullptr, nullptr, 64, kKeys, 8, 128, kKeys * 8 * 128, 128, kKeys * 128};
  EXPECT_EQ(key_offset(keys, 63, 7, kKeys - 1), (std::int64_t{1} << 33) - 128);
}

TYPED_TEST(GpuAttention, ShapesAreChecked) {
  const auto heads = this->random_heads({.queries = 3, .keys = 3});
  auto wrong = heads;
  wrong.v = Tensor<host_t<TypeParam>>({2, 4, 1, 8});
  EXPECT_EQ(this->error_of([&] { this->run(this->op, wrong, {}); }),
            "[attention] v has shape 2x4x1x8, expected 2x3x1x8");
  wrong = heads;
  wrong.q = Tensor<host_t<TypeParam>>({1, 3, 2, 8});
  EXPECT_EQ(this->error_of([&] { this->run(this->op, wrong, {}); }),
            "[attention] k has shape 2x3x1x8, expected 1x3x1x8");
  EXPECT_EQ(this->error_of([&] { this->run(this->op, this->random_heads({.heads = 3, .kv_heads = 2}), {}); }),
            "[attention] 3 heads cannot share 2 key-value heads");
  EXPECT_EQ(this->error_of([&] { this->run(this->op, this->random_heads({.head_dim = 258}), {}); }),
            "[attention] head_dim 258: the CUDA backend supports at most 256");
  EXPECT_EQ(this->error_of([&] {
    this->run(this->op, heads, {.causal = true, .first_position = 1, .doc_ids = documents(3, {{}, {}})});
  }),
            "[attention] doc_ids of 3 keys do not cover position 3");
  const auto cache = this->cache_of(heads.k, 5);
  EXPECT_EQ(this->error_of([&] { key_values_of_cache(cache, cache, 6); }),
            "[attention] a cache of 5 positions has no 6 keys");
}

}  // namespace
}  // namespace forgecheck::gpu
