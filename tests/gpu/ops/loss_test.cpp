// Losses against the reference in double: at odd vocabularies, with ignored labels, in any chunks.
#include "gpu/ops/loss.h"

#include "reference/ops/loss.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::gpu {
namespace {

constexpr double kFloatRounding = 0x1p-24;
constexpr std::int64_t kVocabularies[] = {1, 2, 3, 16, 17, 31, 33, 127, 129, 1001, 1025, 5003};

/// Labels in 0 .. vocab_size - 1; every `every`-th is ignored, none where it is 0.
Ids labels(std::int64_t rows, std::int64_t vocab_size, std::int64_t every) {
  std::mt19937_64 engine(7);
  Ids out({rows});
  for (std::int64_t r = 0; r < rows; ++r) {
    out[r] = static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(vocab_size));
    if (every != 0 && r % every == 0) out[r] = kIgnoreIndex;
  }
  return out;
}

template <class T>
class LossTest : public GpuTest {
 protected:
  DeviceTensor<T> on_device(const Tensor<host_t<T>>& x) { return this->template put<T>(x); }
  DeviceTensor<std::int64_t> ids(const Ids& x) { return this->template put<std::int64_t>(x); }
  double value(const DeviceTensor<float>& scalar) {
    EXPECT_EQ(scalar.shape, Shape{});
    return this->get(scalar)[0];
  }
};
TYPED_TEST_SUITE(LossTest, ElementTypes);

// Logits of deviation 3 and a logsumexp below 32: what 64 roundings of it can lose.
constexpr double kTolerance = 64 * 32 * kFloatRounding;

TYPED_TEST(LossTest, CrossEntropyMatchesTheReference) {
  using T = TypeParam;
  for (const std::int64_t vocab_size : kVocabularies) {
    for (const std::int64_t rows : {1, 2, 5, 31, 33}) {
      const auto logits = random_tensor<T>({rows, vocab_size}, 1, 3.0);
      const Ids wanted = labels(rows, vocab_size, rows > 1 ? 3 : 0);
      const double loss =
          this->value(cross_entropy(this->device, this->on_device(logits), this->ids(wanted)));
      EXPECT_NEAR(loss, forgecheck::cross_entropy(exact(logits), wanted), kTolerance)
          << rows << " rows of " << vocab_size;
    }
  }
}

TYPED_TEST(LossTest, CrossEntropyOfManyRowsMatchesTheReference) {
  using T = TypeParam;
  for (const std::int64_t rows : {255, 256, 257, 700}) {
    const auto logits = random_tensor<T>({rows, 3}, 2, 3.0);
    for (const std::int64_t every : {0, 2}) {
      const Ids wanted = labels(rows, 3, every);
      const double oracle = forgecheck::cross_entropy(exact(logits), wanted);
      EXPECT_NEAR(this->value(cross_entropy(this->device, this->on_device(logits), this->ids(wanted))),
                  oracle, kTolerance);
      for (const std::int64_t chunk_size :
           {std::int64_t{1}, std::int64_t{2}, std::int64_t{7}, std::int64_t{100}, rows - 1, rows, rows + 5}) {
        EXPECT_NEAR(this->value(chunked_cross_entropy(this->device, this->on_device(logits),
                                                      this->ids(wanted), chunk_size)),
                    oracle, kTolerance)
            << rows << " rows in chunks of " << chunk_size;
      }
    }
  }
}

// logsumexp of (0, 0, ln 2) is ln 4.
TYPED_TEST(LossTest, CrossEntropyTakesTheLabelsOwnLogit) {
  const auto logits = this->on_device(tensor<host_t<TypeParam>>({2, 3}, {0, 0, 0, 1000, 0, -1000}));
  EXPECT_NEAR(this->value(cross_entropy(this->device, logits, this->ids(Ids({2}, {1, 0})))), kLn3 / 2, 1e-7);
  EXPECT_NEAR(this->value(cross_entropy(this->device, logits, this->ids(Ids({2}, {-100, 2})))), 2000, 1e-4);
}

TYPED_TEST(LossTest, AnIgnoredRowMayHoldAnything) {
  const auto logits =
      this->on_device(tensor<host_t<TypeParam>>({3, 2}, {NAN, NAN, 0, 0, INFINITY, -INFINITY}));
  const auto wanted = this->ids(Ids({3}, {-100, 1, -100}));
  EXPECT_NEAR(this->value(cross_entropy(this->device, logits, wanted)), kLn2, 1e-7);
  EXPECT_NEAR(this->value(chunked_cross_entropy(this->device, logits, wanted, 1)), kLn2, 1e-7);
}

TYPED_TEST(LossTest, NanInARowThatCountsIsSeen) {
  const auto logits = this->on_device(tensor<host_t<TypeParam>>({2, 2}, {0, 0, 0, NAN}));
  EXPECT_TRUE(std::isnan(this->value(cross_entropy(this->device, logits, this->ids(Ids({2}, {0, 0}))))));
}

TYPED_TEST(LossTest, WithEveryLabelIgnoredTheLossIsZero) {
  using T = TypeParam;
  const auto logits = this->on_device(random_tensor<T>({40, 5}, 3));
  const auto none = this->ids(labels(40, 5, 1));
  EXPECT_EQ(this->value(cross_entropy(this->device, logits, none)), 0.0);
  EXPECT_EQ(this->value(chunked_cross_entropy(this->device, logits, none, 7)), 0.0);
  const auto nothing = this->on_device(Tensor<host_t<T>>({0, 5}));
  EXPECT_EQ(this->value(cross_entropy(this->device, nothing, this->ids(Ids({0})))), 0.0);
}

TYPED_TEST(LossTest, LogitZLossMatchesTheReference) {
  using T = TypeParam;
  for (const std::int64_t vocab_size : kVocabularies) {
    for (const std::int64_t rows : {1, 33, 300}) {
      if (rows * vocab_size > 40'000) continue;
      const auto logits = random_tensor<T>({rows, vocab_size}, 4, 3.0);
      const double oracle = forgecheck::logit_z_loss(exact(logits), 0.25);
      // A square of at most 32 doubles the error of its root; the sum's terms are positive.
      EXPECT_NEAR(this->value(logit_z_loss(this->device, this->on_device(logits), 0.25)), oracle,
                  0.25 * 2 * 32 * kTolerance / 8 + oracle * 32 * kFloatRounding)
          << rows << " rows of " << vocab_size;
    }
  }
}

TYPED_TEST(LossTest, LogitZLossKeepsFloatWhateverTheLogitsAre) {
  const auto logits = this->on_device(tensor<host_t<TypeParam>>({1, 2}, {0, 0}));
  EXPECT_NEAR(this->value(logit_z_loss(this->device, logits, 1.0)), kLn2 * kLn2, 1e-7);
}

TYPED_TEST(LossTest, LogitZLossOfWeightZeroIsZeroWhateverTheLogits) {
  const auto logits = this->on_device(tensor<host_t<TypeParam>>({1, 2}, {NAN, INFINITY}));
  EXPECT_EQ(this->value(logit_z_loss(this->device, logits, 0.0)), 0.0);
}

TEST_F(GpuTest, LossChecksItsArguments) {
  const auto logits = put<float>(Tensor<float>({2, 3, 5}));
  EXPECT_EQ(message_of([&] { cross_entropy(device, logits, put<std::int64_t>(Ids({5}))); }),
            "[cross_entropy] labels has shape 5, expected 6");
  EXPECT_EQ(message_of([&] {
              chunked_cross_entropy(device, logits, put<std::int64_t>(Ids({2, 3})), 0);
            }),
            "[cross_entropy] chunk_size = 0: must be positive");
}

TYPED_TEST(LossTest, EveryRunHasTheSameBits) {
  using T = TypeParam;
  for (const std::int64_t vocab_size : {33, 1100}) {
    const std::int64_t rows = vocab_size > 1000 ? 9 : 290;
    const auto logits = this->on_device(random_tensor<T>({rows, vocab_size}, 5, 3.0));
    const auto wanted = this->ids(labels(rows, vocab_size, 4));
    expect_repeatable([&] { return this->bytes(cross_entropy(this->device, logits, wanted)); });
    expect_repeatable([&] { return this->bytes(chunked_cross_entropy(this->device, logits, wanted, 2)); });
    expect_repeatable([&] { return this->bytes(logit_z_loss(this->device, logits, 0.1)); });
  }
}

}  // namespace
}  // namespace forgecheck::gpu
