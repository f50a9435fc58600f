#include "reference/ops/loss.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

// Rows with probabilities (1/4, 3/4) and (1/2, 1/2).
const Tensor<double> kLogits = doubles({1, 2, 2}, {0, kLn3, 5, 5});

TEST(CrossEntropy, IsTheMeanNegativeLogProbability) {
  EXPECT_THAT(cross_entropy(kLogits, Ids({1, 2}, {1, 0})),
              testing::DoubleNear((0.2876820724517809 + kLn2) / 2, 1e-15));
  EXPECT_THAT(cross_entropy(kLogits, Ids({1, 2}, {0, 1})), testing::DoubleNear((2 * kLn2 + kLn2) / 2, 1e-15));
}

TEST(CrossEntropy, IgnoredLabelsLeaveTheMean) {
  EXPECT_THAT(cross_entropy(kLogits, Ids({1, 2}, {0, -100})), testing::DoubleNear(2 * kLn2, 1e-15));
  EXPECT_THAT(cross_entropy(kLogits, Ids({1, 2}, {-100, 0})), testing::DoubleNear(kLn2, 1e-15));
}

TEST(CrossEntropy, AllIgnoredIsZero) {
  EXPECT_EQ(cross_entropy(kLogits, Ids({1, 2}, {-100, -100})), 0.0);
}

TEST(CrossEntropy, LargeLogitsStayFinite) {
  EXPECT_EQ(cross_entropy(doubles({2, 2}, {1e5, -1e5, -1e5, 0}), Ids({2}, {0, 1})), 0.0);
  EXPECT_EQ(cross_entropy(doubles({1, 2}, {1e5, -1e5}), Ids({1}, {1})), 2e5);
}

TEST(CrossEntropy, LabelOutsideTheVocabularyIsAnError) {
  EXPECT_EQ(message_of([] {
              cross_entropy(kLogits, Ids({1, 2}, {0, 2}));
            }),
            "[cross_entropy] labels[1] = 2 is neither -100 nor in 0 .. 1");
  EXPECT_EQ(message_of([] {
              cross_entropy(kLogits, Ids({1, 2}, {-1, 0}));
            }),
            "[cross_entropy] labels[0] = -1 is neither -100 nor in 0 .. 1");
  EXPECT_EQ(message_of([] {
              cross_entropy(kLogits, Ids({3}, {0, 0, 0}));
            }),
            "[cross_entropy] labels has shape 3, expected 2");
}

TEST(CrossEntropy, Bfloat16LogitsAreSummedInFloat) {
  const float a = bf16(0.3F), b = bf16(1.7F);
  const float loss = cross_entropy(tensor<Bfloat16>({1, 2}, {a, b}), Ids({1}, {0}));
  EXPECT_EQ(loss, b + std::log(std::exp(a - b) + std::exp(b - b)) - a);
  EXPECT_NE(loss, bf16(loss));
}

// The mean is over all labels, not over the chunks' means: 3 and 1 labels in chunks of 3.
TEST(ChunkedCrossEntropy, IsTheSameNumberForEveryChunkSize) {
  const auto logits = doubles({4, 2}, {0, kLn3, 5, 5, 0, kLn3, kLn3, 0});
  const Ids labels({4}, {0, 0, 1, 0});
  const double expected = (2 * kLn2 + kLn2 + 2 * 0.2876820724517809) / 4;
  for (const std::int64_t chunk_size : {1, 2, 3, 4, 100}) {
    EXPECT_THAT(chunked_cross_entropy(logits, labels, chunk_size), testing::DoubleNear(expected, 1e-15));
  }
}

// Divergence D4: upstream returns NaN if one chunk holds every row.
TEST(ChunkedCrossEntropy, AllIgnoredIsZeroAndAnIgnoredChunkCountsNothing) {
  const Ids none({1, 2}, {-100, -100});
  EXPECT_EQ(chunked_cross_entropy(kLogits, none, 1), 0.0);
  EXPECT_EQ(chunked_cross_entropy(kLogits, none, 2), 0.0);
  EXPECT_EQ(chunked_cross_entropy(kLogits, none, 4096), 0.0);
  EXPECT_THAT(chunked_cross_entropy(kLogits, Ids({1, 2}, {-100, 0}), 1), testing::DoubleNear(kLn2, 1e-15));
}

TEST(ChunkedCrossEntropy, ChunkSizeMustBePositive) {
  EXPECT_EQ(message_of([] {
              chunked_cross_entropy(kLogits, Ids({1, 2}, {0, 0}), 0);
            }),
            "[cross_entropy] chunk_size = 0: must be positive");
}

TEST(LogitZLoss, IsTheWeightedMeanSquaredLogSumExp) {
  EXPECT_THAT(logit_z_loss(doubles({2, 2}, {0, 0, 0, kLn3}), 0.5),
              testing::DoubleNear(1.25 * kLn2 * kLn2, 1e-15));
  EXPECT_EQ(logit_z_loss(kLogits, 0.0), 0.0);
}

TEST(LogitZLoss, IsZeroAtWeightZeroWhateverTheLogits) {
  const Tensor<float> logits({1, 2}, {INFINITY, 0.0F});
  EXPECT_EQ(logit_z_loss(logits, 0.0), 0.0F);
  EXPECT_EQ(logit_z_loss(Tensor<float>({0, 2}), 0.0), 0.0F);
}

}  // namespace
}  // namespace forgecheck
