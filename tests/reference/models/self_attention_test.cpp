#include "reference/models/self_attention.h"

#include "reference/ops/embedding.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

/// One head of size 2, and projections that pass x through.
Architecture one_head() {
  Architecture architecture = small_text();
  architecture.model.dim = 2;
  architecture.model.n_heads = 1;
  return architecture;
}

Weights<double> passing_projections() {
  Weights<double> weights;
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    weights.set("a." + std::string(name) + ".weight", diagonal(2, 1));
  }
  return weights;
}

TEST(ProjectQkv, RotatesQueriesAndKeysButNotValues) {
  Module parts(one_head(), passing_projections());
  const auto qkv = project_qkv(parts.run, "a.", "", doubles({1, 2, 2}, {1, 0, 1, 0}), 0);
  EXPECT_EQ(qkv.q.shape, (Shape{1, 2, 1, 2}));
  EXPECT_THAT(numbers(qkv.q), AreNear({1, 0, kCos1, kSin1}));
  EXPECT_THAT(numbers(qkv.k), AreNear({1, 0, kCos1, kSin1}));
  EXPECT_EQ(numbers(qkv.v), (std::vector<double>{1, 0, 1, 0}));
}

TEST(ProjectQkv, PositionsBeginAtTheFirst) {
  Module parts(one_head(), passing_projections());
  const auto qkv = project_qkv(parts.run, "a.", "", doubles({1, 1, 2}, {1, 0}), 3);
  EXPECT_THAT(numbers(qkv.k), AreNear({std::cos(3.0), std::sin(3.0)}));
}

TEST(ProjectQkv, SuffixNamesTheModality) {
  Weights<double> weights;
  weights.set("a.q_proj.image.weight", diagonal(2, 2));
  weights.set("a.k_proj.image.weight", diagonal(2, 3));
  weights.set("a.v_proj.image.weight", diagonal(2, 5));
  Module parts(one_head(), weights);
  const auto qkv = project_qkv(parts.run, "a.", ".image", doubles({1, 1, 2}, {1, 0}), 0);
  EXPECT_EQ(qkv.q[0] * 100 + qkv.k[0] * 10 + qkv.v[0], 235);
  EXPECT_NE(parts.tracer.trace().find("a.k_proj.image"), nullptr);
}

// (3, 4) has the mean square 12.5. The weight (2, 1/2) makes normalising before and after the rotation
// differ.
TEST(ProjectQkv, QkNormComesBeforeTheRotation) {
  Architecture architecture = one_head();
  architecture.model.qk_norm = true;
  architecture.model.qk_norm_eps = 1e-30;
  Weights<double> weights = passing_projections();
  weights.set("a.q_norm.weight", doubles({2}, {2, 0.5}));
  weights.set("a.k_norm.weight", doubles({2}, {1, 1}));
  Module parts(architecture, weights);
  const auto qkv = project_qkv(parts.run, "a.", "", doubles({1, 1, 2}, {3, 4}), 1);
  const double q1 = 1.697056274847714, q2 = 0.565685424949238, k1 = q1 / 2, k2 = q2 * 2;
  EXPECT_THAT(numbers(qkv.q), AreNear({q1 * kCos1 - q2 * kSin1, q2 * kCos1 + q1 * kSin1}));
  EXPECT_THAT(numbers(qkv.k), AreNear({k1 * kCos1 - k2 * kSin1, k2 * kCos1 + k1 * kSin1}));
  EXPECT_EQ(numbers(qkv.v), (std::vector<double>{3, 4}));
}

// eps is qk_norm_eps, regardless of norm_eps: the mean square 1e-6 with eps 3e-6 gives 1/2.
TEST(ProjectQkv, QkNormHasAnEpsOfItsOwn) {
  Architecture architecture = one_head();
  EXPECT_EQ(architecture.model.qk_norm_eps, 1e-5);
  architecture.model.qk_norm = true;
  architecture.model.norm_eps = 1.0;
  architecture.model.qk_norm_eps = 3e-6;
  Weights<double> weights = passing_projections();
  weights.set("a.q_norm.weight", doubles({2}, {1, 1}));
  weights.set("a.k_norm.weight", doubles({2}, {1, 1}));
  Module parts(architecture, weights);
  const auto qkv = project_qkv(parts.run, "a.", "", doubles({1, 1, 2}, {1e-3, -1e-3}), 0);
  EXPECT_THAT(numbers(qkv.q), AreNear({0.5, -0.5}));
}

// Two tokens (1, 0) and (0, 1), values passed through, o_proj 10: the first sees only itself.
TEST(SelfAttention, MixesTheVisibleValues) {
  Weights<double> weights = passing_projections();
  weights.set("a.q_proj.weight", diagonal(2, 0));  // every score 0
  weights.set("a.o_proj.weight", diagonal(2, 10));
  Module parts(one_head(), weights);
  const auto out =
      self_attention<double>(parts.run, "a", doubles({1, 2, 2}, {1, 0, 0, 1}), nullptr, nullptr, nullptr);
  EXPECT_THAT(numbers(out), AreNear({10, 0, 5, 5}));
  EXPECT_THAT(numbers(parts.tracer.trace().at("a.context").to<double>()), AreNear({1, 0, 0.5, 0.5}));
}

KvCache<double> empty_cache(std::int64_t batch, std::int64_t kv_heads, std::int64_t positions) {
  const Shape shape{batch, kv_heads, positions, 2};
  return {Tensor<double>(shape), Tensor<double>(shape)};
}

TEST(KvCacheAppend, StoresByHeadThenPosition) {
  KvCache<double> cache = empty_cache(1, 2, 3);
  // (B 1, S 2, K 2, d 2): token 0 has heads (1, 2) and (3, 4).
  append(cache, doubles({1, 2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8}), Tensor<double>({1, 2, 2, 2}));
  EXPECT_EQ(cache.seq_len, 2);
  EXPECT_EQ(numbers(cache.k), (std::vector<double>{1, 2, 5, 6, 0, 0, 3, 4, 7, 8, 0, 0}));
  append(cache, doubles({1, 1, 2, 2}, {9, 10, 11, 12}), doubles({1, 1, 2, 2}, {1, 1, 2, 2}));
  EXPECT_EQ(numbers(cache.k), (std::vector<double>{1, 2, 5, 6, 9, 10, 3, 4, 7, 8, 11, 12}));
  EXPECT_EQ(numbers(cache.v), (std::vector<double>{0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2, 2}));
}

TEST(KvCacheAppend, OverflowLeavesTheCacheAsItWas) {
  KvCache<double> cache = empty_cache(1, 1, 3);
  append(cache, doubles({1, 2, 1, 2}, {1, 2, 3, 4}), doubles({1, 2, 1, 2}, {5, 6, 7, 8}));
  const KvCache<double> before = cache;
  const Tensor<double> two = doubles({1, 2, 1, 2}, {9, 9, 9, 9});
  EXPECT_EQ(message_of([&] { append(cache, two, two); }),
            "[kv_cache] 2 more positions do not fit: 2 of 3 are filled");
  EXPECT_EQ(cache.seq_len, 2);
  EXPECT_EQ(cache.k.data, before.k.data);
  EXPECT_EQ(cache.v.data, before.v.data);
}

TEST(KvCacheAppend, BatchAndHeadsMustFit) {
  KvCache<double> cache = empty_cache(1, 2, 3);
  const Tensor<double> other({2, 1, 2, 2});
  EXPECT_EQ(message_of([&] { append(cache, other, other); }), "[kv_cache] keys has shape 2x2, expected 1x2");
  EXPECT_EQ(cache.seq_len, 0);
}

TEST(KvCacheFilled, CutsTheTailOfEveryHead) {
  const auto cached = doubles({1, 2, 3, 1}, {1, 2, 0, 3, 4, 0});
  const auto out = filled(cached, 2);
  EXPECT_EQ(out.shape, (Shape{1, 2, 2, 1}));
  EXPECT_EQ(numbers(out), (std::vector<double>{1, 2, 3, 4}));
}

TEST(SwapMiddle, ExchangesSequenceAndHeads) {
  const auto x = doubles({2, 2, 3, 1}, {1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16});
  const auto out = swap_middle(x);
  EXPECT_EQ(out.shape, (Shape{2, 3, 2, 1}));
  EXPECT_EQ(numbers(out), (std::vector<double>{1, 4, 2, 5, 3, 6, 11, 14, 12, 15, 13, 16}));
  EXPECT_TRUE(identical(swap_middle(out), x));
}

class SmallModelCache : public testing::Test {
 protected:
  const Architecture architecture_ = small_text();
  Weights<double> weights_ = seeded_weights<double>(architecture_);
  const std::vector<std::int64_t> tokens_ = {3, 1, 4, 1, 5, 9};

  Tensor<double> append_tokens(std::vector<KvCache<double>>& caches, std::size_t begin, std::size_t end) {
    const std::vector<std::int64_t> chunk(tokens_.begin() + static_cast<std::ptrdiff_t>(begin),
                                          tokens_.begin() + static_cast<std::ptrdiff_t>(end));
    const Inputs inputs = token_inputs({1, static_cast<std::int64_t>(chunk.size())}, chunk);
    return run_model(architecture_, weights_, inputs, {}, &caches).logits;
  }
};

// Divergence D1: also for chunks of several tokens on a filled cache, bit for bit.
TEST_F(SmallModelCache, ChunksGiveTheLogitsOfTheWholeSequence) {
  const Tensor<double> whole = run_model(architecture_, weights_, token_inputs({1, 6}, tokens_)).logits;
  const std::vector<std::vector<std::size_t>> cuts = {{0, 6}, {0, 3, 6}, {0, 1, 2, 3, 4, 5, 6}, {0, 1, 5, 6}};
  for (const auto& cut : cuts) {
    auto caches = make_kv_caches<double>(architecture_.model, 1, 6);
    Tensor<double> joined = append_tokens(caches, cut[0], cut[1]);
    for (std::size_t i = 1; i + 1 < cut.size(); ++i) {
      joined = concat_sequence(joined, append_tokens(caches, cut[i], cut[i + 1]));
    }
    EXPECT_TRUE(identical(joined, whole)) << cut.size() - 1 << " chunks";
  }
}

TEST_F(SmallModelCache, HasTheKeyValueHeadsOfEveryLayerThenZeros) {
  auto caches = make_kv_caches<double>(architecture_.model, 1, 5);
  ASSERT_EQ(caches.size(), 3U);
  append_tokens(caches, 0, 4);
  for (const KvCache<double>& cache : caches) {
    EXPECT_EQ(cache.k.shape, (Shape{1, 1, 5, 4}));  // not the 2 query heads
    EXPECT_EQ(cache.seq_len, 4);
    EXPECT_EQ(numbers_of_row(cache.k, 4), (std::vector<double>(4)));
    EXPECT_NE(numbers_of_row(cache.k, 3), (std::vector<double>(4)));
  }
}

TEST_F(SmallModelCache, OverflowInAForwardCallLeavesEveryLayerAsItWas) {
  auto caches = make_kv_caches<double>(architecture_.model, 1, 4);
  append_tokens(caches, 0, 3);
  const auto before = caches;
  EXPECT_EQ(message_of([&] { append_tokens(caches, 3, 6); }),
            "[kv_cache] 3 more positions do not fit: 3 of 4 are filled");
  for (std::size_t i = 0; i < caches.size(); ++i) {
    EXPECT_EQ(caches[i].seq_len, 3);
    EXPECT_EQ(caches[i].k.data, before[i].k.data);
    EXPECT_EQ(caches[i].v.data, before[i].v.data);
  }
  EXPECT_NO_THROW(append_tokens(caches, 3, 4));
}

}  // namespace
}  // namespace forgecheck
