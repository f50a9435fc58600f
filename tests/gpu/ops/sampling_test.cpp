// The greedy choice of a token.
#include "gpu/ops/sampling.h"

#include "reference/ops/sampling.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::gpu {
namespace {

template <class T>
class SamplingTest : public GpuTest {
 protected:
  using H = host_t<T>;
  DeviceTensor<T> on_device(const Tensor<H>& x) { return this->template put<T>(x); }
  std::vector<std::int64_t> chosen(const Tensor<H>& logits) {
    const auto tokens = argmax(this->device, on_device(logits));
    EXPECT_EQ(tokens.shape, (Shape{logits.dim(0)}));
    return this->device.download(tokens).to_int64().data;
  }
  /// By the reference, of the last position of each sample.
  static std::vector<std::int64_t> oracle(const Tensor<H>& logits) {
    std::vector<std::int64_t> tokens;
    for (std::int64_t b = 0; b < logits.dim(0); ++b) {
      tokens.push_back(forgecheck::argmax(logits.row((b + 1) * logits.dim(1) - 1)));
    }
    return tokens;
  }
};
TYPED_TEST_SUITE(SamplingTest, ElementTypes);

TYPED_TEST(SamplingTest, ArgmaxOfTheLastPositionIsTheReferences) {
  for (const std::int64_t vocab_size : {1, 2, 31, 32, 33, 127, 257, 1001, 5003}) {
    for (const std::int64_t length : {1, 3}) {
      const auto logits = random_tensor<TypeParam>({4, length, vocab_size}, 1);
      EXPECT_EQ(this->chosen(logits), this->oracle(logits)) << vocab_size;
    }
  }
}

// The largest in any position, among others of both signs.
TYPED_TEST(SamplingTest, ArgmaxFindsTheLargestAtEveryPlace) {
  for (const std::int64_t vocab_size : {33, 300}) {
    Tensor<host_t<TypeParam>> logits({vocab_size, 1, vocab_size});
    std::vector<std::int64_t> places;
    for (std::int64_t b = 0; b < vocab_size; ++b) {
      for (auto& logit : logits.row(b)) logit = host_t<TypeParam>(-2.0F);
      logits.row(b)[static_cast<std::size_t>(b)] = host_t<TypeParam>(b % 2 == 0 ? 0.5F : -0.5F);
      places.push_back(b);
    }
    EXPECT_EQ(this->chosen(logits), places);
  }
}

TYPED_TEST(SamplingTest, ArgmaxOfEqualLogitsIsTheLowestIndex) {
  for (const std::int64_t vocab_size : {33, 129, 700}) {
    auto logits = random_tensor<TypeParam>({5, 1, vocab_size}, 2);
    for (auto& logit : logits.data) {
      logit = host_t<TypeParam>(std::round(static_cast<float>(logit)));
    }
    EXPECT_EQ(this->chosen(logits), this->oracle(logits)) << vocab_size;
  }
  EXPECT_EQ(this->chosen(tensor<host_t<TypeParam>>({3, 1, 3}, {-1, -0.0, 0.0, -1, 0.0, -0.0, -3, -3, -3})),
            (std::vector<std::int64_t>{1, 1, 0}));
}

TYPED_TEST(SamplingTest, ArgmaxPutsNanBehindEveryNumber) {
  const auto logits = tensor<host_t<TypeParam>>(
      {4, 1, 3}, {NAN, -INFINITY, -INFINITY, 1, NAN, 2, NAN, NAN, NAN, INFINITY, 3, INFINITY});
  EXPECT_EQ(this->chosen(logits), (std::vector<std::int64_t>{1, 2, 0, 0}));
}

TYPED_TEST(SamplingTest, EveryRunHasTheSameBits) {
  const auto logits = this->on_device(random_tensor<TypeParam>({3, 2, 1000}, 3));
  expect_repeatable([&] { return this->bytes(argmax(this->device, logits)); });
}

}  // namespace
}  // namespace forgecheck::gpu
