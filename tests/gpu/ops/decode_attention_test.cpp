#include "gpu/ops/decode_attention.h"

#include "tests/gpu/ops/attention_test.h"

namespace forgecheck::gpu {
namespace {

/// Around the ends of splits, and of the keys that a block takes together.
const std::vector<std::int64_t> kLengths = {1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 300};

template <class T>
class GpuDecodeAttention : public AttentionTest<T> {
 protected:
  static constexpr auto op = [](Device& device, const auto& q, const auto& keys,
                                const Visibility& visibility) {
    return decode_attention(device, q, keys, visibility);
  };
};
TYPED_TEST_SUITE(GpuDecodeAttention, ElementTypes);

TYPED_TEST(GpuDecodeAttention, IsTheReferenceAtEveryLength) {
  for (const std::int64_t n : kLengths) {
    this->expect_reference(this->op, {.keys = n}, {});
    this->expect_reference(this->op, {.keys = n}, {.causal = true, .first_position = n - 1});
  }
}

TYPED_TEST(GpuDecodeAttention, EveryHeadSizeIsTheReference) {
  for (const std::int64_t d : {2, 4, 6, 10, 48, 62, 64, 66, 80, 128, 254, 256}) {
    this->expect_reference(this->op, {.keys = 70, .head_dim = d}, {});
  }
}

TYPED_TEST(GpuDecodeAttention, QueryHeadsShareKeyValueHeads) {
  for (const std::int64_t kv_heads : {1, 2, 3, 6}) {
    this->expect_reference(this->op, {.batch = 3, .keys = 9, .heads = 6, .kv_heads = kv_heads}, {});
  }
}

TYPED_TEST(GpuDecodeAttention, ReadsACacheUpToItsLength) {
  using T = TypeParam;
  for (const std::int64_t keys : {1, 63, 64, 65, 80}) {
    const auto heads = this->random_heads({.keys = keys, .heads = 4, .kv_heads = 2, .head_dim = 6});
    const DeviceTensor<T> k = this->cache_of(heads.k, 80), v = this->cache_of(heads.v, 80);
    const auto out = this->run(this->op, heads, key_values_of_cache(k, v, keys), {});
    this->expect_near(this->get(out), heads, {});
  }
}

// Splits without a visible key come first, in the middle and last.
TYPED_TEST(GpuDecodeAttention, MasksAreRead) {
  const Sizes sizes{.keys = 200};
  this->expect_reference(this->op, sizes, {.causal = true, .first_position = 70});
  this->expect_reference(this->op, sizes, {.key_mask = valid_keys(200, {{64, 130}, {3, 5}})});
  this->expect_reference(
      this->op, sizes,
      {.causal = true, .first_position = 190, .doc_ids = documents(200, {{60}, {140, 189}})});
}

TYPED_TEST(GpuDecodeAttention, AQueryThatWouldSeeNothingSeesEveryKey) {
  const auto valid = valid_keys(200, {{0, 0}, {100, 200}});
  this->expect_reference(this->op, {.keys = 200}, {.key_mask = valid});
  this->expect_reference(this->op, {.keys = 200}, {.causal = true, .first_position = 99, .key_mask = valid});
}

// NaN in a key or a value that no query may see: 0 * NaN would be NaN.
TYPED_TEST(GpuDecodeAttention, WhatIsNotSeenIsNotTouched) {
  const auto nan = this->element(std::numeric_limits<float>::quiet_NaN());
  const Masks masks{.causal = true, .first_position = 98, .key_mask = valid_keys(100, {{2, 99}, {2, 99}})};
  auto heads = this->random_heads({.keys = 100});
  const auto expected = this->get(this->run(this->op, heads, masks));
  for (std::int64_t b = 0; b < 2; ++b) {
    for (const std::int64_t j : {0, 1, 99}) {
      std::ranges::fill(heads.k.row(b * 100 + j), nan);
      std::ranges::fill(heads.v.row(b * 100 + j), nan);
    }
  }
  EXPECT_EQ(this->get(this->run(this->op, heads, masks)).data, expected.data);
}

// The maximum grows from split to split, then shrinks: each partial sum must be rescaled to the largest.
TYPED_TEST(GpuDecodeAttention, SplitsAreWeighedByTheirMaxima) {
  auto heads = this->random_heads({.keys = 300, .head_dim = 2});
  for (std::int64_t r = 0; r < heads.q.rows(); ++r)
    heads.q.row(r)[0] = this->element(1.0F), heads.q.row(r)[1] = this->element(0.0F);
  for (std::int64_t r = 0; r < heads.k.rows(); ++r) {
    heads.k.row(r)[0] = this->element(4.0F - std::abs(static_cast<float>(r % 300) - 150.0F) / 32.0F);
  }
  this->expect_near(this->get(this->run(this->op, heads, {})), heads, {});
  for (auto& value : heads.q.data)
    value = this->element(static_cast<float>(value) * 1e6F);  // one split has it all
  this->expect_near(this->get(this->run(this->op, heads, {})), heads, {});
}

TYPED_TEST(GpuDecodeAttention, ARowDoesNotDependOnTheBatchAround) {
  const Sizes sizes{.batch = 3, .keys = 150, .heads = 4, .kv_heads = 2, .head_dim = 10};
  const auto heads = this->random_heads(sizes);
  const auto all = this->get(this->run(this->op, heads, {}));
  for (std::int64_t b = 0; b < sizes.batch; ++b) {
    const auto alone = this->get(this->run(this->op, this->row_of(heads, b), {}));
    EXPECT_TRUE(std::equal(alone.data.begin(), alone.data.end(), all.data.begin() + b * alone.size()));
  }
}

TYPED_TEST(GpuDecodeAttention, EveryOrderGivesTheSameBits) {
  const auto heads = this->random_heads({.keys = 150, .head_dim = 10});
  expect_repeatable([&] { return this->bytes(this->run(this->op, heads, {})); });
}

TYPED_TEST(GpuDecodeAttention, NoRowsGiveNothingAndNoKeysGiveZero) {
  const auto none = this->run(this->op, this->random_heads({.batch = 0, .keys = 3}), {});
  EXPECT_EQ(none.shape, (Shape{0, 1, 16}));
  EXPECT_THAT(this->get(this->run(this->op, this->random_heads({.keys = 0}), {})).data, testing::Each(0.0));
}

TYPED_TEST(GpuDecodeAttention, TakesASingleQueryOnly) {
  EXPECT_EQ(this->error_of([&] { this->run(this->op, this->random_heads({.queries = 2, .keys = 2}), {}); }),
            "[decode_attention] q has shape 2x2x2x8, expected 2x1x2x8");
}

TYPED_TEST(GpuDecodeAttention, ShapesAreChecked) {
  auto wrong = this->random_heads({.keys = 3});
  wrong.q = Tensor<host_t<TypeParam>>({1, 1, 2, 8});
  EXPECT_EQ(this->error_of([&] { this->run(this->op, wrong, {}); }),
            "[decode_attention] k has shape 2x3x1x8, expected 1x3x1x8");
  EXPECT_EQ(this->error_of(
                [&] { this->run(this->op, this->random_heads({.keys = 3, .heads = 3, .kv_heads = 2}), {}); }),
            "[decode_attention] 3 heads cannot share 2 key-value heads");
}

}  // namespace
}  // namespace forgecheck::gpu
