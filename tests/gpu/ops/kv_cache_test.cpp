#include "gpu/ops/kv_cache.h"

#include "reference/error.h"
#include "reference/models/self_attention.h"
#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {
namespace {

constexpr std::int64_t kBatch = 2, kHeads = 3, kMax = 12, kHeadDim = 6;

template <class T>
class GpuKvCache : public GpuTest {
 protected:
  DeviceTensor<T> random(const Shape& shape, std::uint64_t seed) {
    return put<T>(random_tensor<T>(shape, seed));
  }
  DeviceTensor<T> zeros() { return put<T>(Tensor<host_t<T>>({kBatch, kHeads, kMax, kHeadDim})); }
};
TYPED_TEST_SUITE(GpuKvCache, ElementTypes);

// Chunks of several lengths, one after the other; what was there before must stay.
TYPED_TEST(GpuKvCache, ChunksLieBehindEachOtherAsInTheReference) {
  using T = TypeParam;
  const auto cache_k = this->zeros(), cache_v = this->zeros();
  forgecheck::KvCache<double> oracle{Tensor<double>(cache_k.shape), Tensor<double>(cache_v.shape)};
  std::int64_t seq_len = 0;
  for (const std::int64_t length : {4, 1, 0, 7}) {
    const Shape shape{kBatch, length, kHeads, kHeadDim};
    const auto seed = static_cast<std::uint64_t>(length);
    const auto k = random_tensor<T>(shape, seed), v = random_tensor<T>(shape, seed + 100);
    append_to_cache(this->device, cache_k, cache_v, this->template put<T>(k), this->template put<T>(v),
                    seq_len);
    forgecheck::append(oracle, exact(k), exact(v));
    seq_len += length;
    EXPECT_EQ(this->get(cache_k).data, oracle.k.data);
    EXPECT_EQ(this->get(cache_v).data, oracle.v.data);
    const auto filled_k = this->get(filled(this->device, cache_k, seq_len));
    EXPECT_EQ(filled_k.shape, (Shape{kBatch, kHeads, seq_len, kHeadDim}));
    EXPECT_EQ(filled_k.data, forgecheck::filled(oracle.k, seq_len).data);
  }
  EXPECT_EQ(seq_len, kMax);
}

TYPED_TEST(GpuKvCache, OverflowIsAnErrorAndLeavesTheCacheAsItWas) {
  const auto cache = this->zeros();
  const auto x = this->random({kBatch, 3, kHeads, kHeadDim}, 1);
  try {
    append_to_cache(this->device, cache, cache, x, x, 10);
    FAIL() << "no error";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "[kv_cache] 3 more positions do not fit: 10 of 12 are filled");
  }
  EXPECT_THAT(this->get(cache).data, testing::Each(0.0));
}

TYPED_TEST(GpuKvCache, ShapesAreChecked) {
  const auto cache = this->zeros();
  const auto x = this->random({kBatch, 1, kHeads, kHeadDim}, 1),
             fewer_heads = this->random({kBatch, 1, kHeads - 1, kHeadDim}, 1);
  EXPECT_THROW(append_to_cache(this->device, cache, cache, fewer_heads, fewer_heads, 0), ShapeError);
  EXPECT_THROW(append_to_cache(this->device, cache, cache, x, fewer_heads, 0), ShapeError);
  EXPECT_THROW(append_to_cache(this->device, cache, filled(this->device, cache, 3), x, x, 0), ShapeError);
  EXPECT_THROW(filled(this->device, cache, 13), ShapeError);
}

TYPED_TEST(GpuKvCache, AnEmptyCacheHasNoFilledPart) {
  EXPECT_EQ(filled(this->device, this->zeros(), 0).shape, (Shape{kBatch, kHeads, 0, kHeadDim}));
  this->device.synchronize();
}

}  // namespace
}  // namespace forgecheck::gpu
