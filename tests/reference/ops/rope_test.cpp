#include "reference/ops/rope.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

const double kCosCenti = 0.9999500004166653;    // cos 0.01
const double kSinCenti = 0.009999833334166664;  // sin 0.01

TEST(Rope, PositionZeroIsIdentity) {
  const Tensor<double> x = doubles({1, 1, 2, 4}, {1, 2, 3, 4, -5, 6, -7, 8});
  EXPECT_TRUE(identical(apply_rope(x, rope_table<double>(4, 3, {10000.0}), 0), x));
}

// d = 4, theta = 10^4: the pairs (0, 2) and (1, 3) turn by 1 and 0.01.
TEST(Rope, ElementTurnsWithTheOneHalfAWidthAway) {
  const Tensor<double> x = doubles({1, 1, 1, 4}, {1, 2, 3, 4});
  const Tensor<double> out = apply_rope(x, rope_table<double>(4, 2, {10000.0}), 1);
  EXPECT_THAT(numbers(out), AreNear({kCos1 - 3 * kSin1, 2 * kCosCenti - 4 * kSinCenti, 3 * kCos1 + kSin1,
                                     4 * kCosCenti + 2 * kSinCenti}));
}

// theta = 8, d = 6: 8^(-2j/6) = 1, 1/2, 1/4.
TEST(Rope, FrequencyIsThetaToTheMinusTwoJOverD) {
  const RopeTable<double> table = rope_table<double>(6, 4, {8.0});
  EXPECT_EQ(table.cos.shape, (Shape{4, 3}));
  EXPECT_THAT(numbers_of_row(table.cos, 3), AreNear({std::cos(3.0), std::cos(1.5), std::cos(0.75)}));
  EXPECT_THAT(numbers_of_row(table.sin, 3), AreNear({std::sin(3.0), std::sin(1.5), std::sin(0.75)}));
  EXPECT_THAT(numbers_of_row(table.sin, 2), AreNear({std::sin(2.0), std::sin(1.0), std::sin(0.5)}));
}

// d = 16, theta = 10^4, a context of 128: transformers 5.24 gives these, _compute_llama3_parameters. The waves of
// the first two are shorter than 32 positions, the third is between 32 and 128, the others are longer.
TEST(Rope, LlamaThreeStretchesLongWavesAndLeavesShortOnes) {
  const RopeOptions rope{10000.0, RopeScaling::llama3, 8.0, 1.0, 4.0, 128};
  const RopeTable<float> table = rope_table<float>(16, 2, rope);
  const std::vector<float> frequencies = {1.0F,
                                          0.3162277638912201F,
                                          0.04275117814540863F,
                                          0.0039528473280370235F,
                                          0.0012499999720603228F,
                                          0.00039528473280370235F,
                                          0.0001250000059371814F,
                                          3.9528473280370235e-05F};
  for (std::int64_t j = 0; j < 8; ++j) {
    EXPECT_EQ(table.sin[8 + j], std::sin(frequencies[static_cast<std::size_t>(j)])) << "pair " << j;
  }
}

TEST(Rope, LinearScalingDividesEveryFrequency) {
  const RopeTable<double> table = rope_table<double>(6, 4, {8.0, RopeScaling::linear, 2.0});
  EXPECT_THAT(numbers_of_row(table.cos, 3), AreNear({std::cos(1.5), std::cos(0.75), std::cos(0.375)}));
}

TEST(Rope, PositionsCountAlongTheSequenceInEveryBatchRowAndHead) {
  const RopeTable<double> table = rope_table<double>(2, 3, {10000.0});
  // (B 2, S 3, H 2, d 2), all vectors (1, 0): the result is (cos p, sin p).
  Tensor<double> x({2, 3, 2, 2});
  for (std::int64_t r = 0; r < x.rows(); ++r) x.row(r)[0] = 1;
  const Tensor<double> out = apply_rope(x, table, 0);
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    const double position = static_cast<double>(r / 2 % 3);
    EXPECT_THAT(numbers_of_row(out, r), AreNear({std::cos(position), std::sin(position)})) << "row " << r;
  }
}

TEST(Rope, FirstPositionShiftsTheSequence) {
  const RopeTable<double> table = rope_table<double>(4, 5, {100.0});
  const Tensor<double> last = doubles({1, 2, 1, 4}, {0.5, -1, 2, 3, 4, -5, 6, 7});
  Tensor<double> whole({1, 5, 1, 4});
  std::copy(last.data.begin(), last.data.end(), whole.data.begin() + 12);
  const Tensor<double> rotated = apply_rope(whole, table, 0);
  const Tensor<double> shifted = apply_rope(last, table, 3);
  EXPECT_EQ(numbers_of_row(shifted, 0), numbers_of_row(rotated, 3));
  EXPECT_EQ(numbers_of_row(shifted, 1), numbers_of_row(rotated, 4));
}

TEST(Rope, PastMaxSeqLenIsAnError) {
  const RopeTable<double> table = rope_table<double>(2, 4, {10000.0});
  const Tensor<double> x({1, 2, 1, 2});
  EXPECT_NO_THROW(apply_rope(x, table, 2));
  EXPECT_EQ(message_of([&] { apply_rope(x, table, 3); }),
            "[rope] position 4 is past the last of max_seq_len = 4");
}

// In float32 the angle itself is a float32 product: 4999 * (float)0.01 is not 49.99.
TEST(Rope, FloatTableRoundsTheAngle) {
  const RopeTable<float> table = rope_table<float>(4, 5000, {10000.0});
  const float frequency = 1.0F / std::pow(10000.0F, 0.5F);
  const float angle = 4999.0F * frequency;
  EXPECT_EQ(table.cos[4999 * 2 + 1], std::cos(angle));
  EXPECT_EQ(table.sin[4999 * 2 + 1], std::sin(angle));
  EXPECT_NE(table.sin[4999 * 2 + 1], static_cast<float>(std::sin(4999.0 * 0.01)));
}

TEST(Rope, Bfloat16TableIsTheRoundedFloatTable) {
  const RopeTable<float> floats = rope_table<float>(8, 9, {10000.0});
  const RopeTable<Bfloat16> table = rope_table<Bfloat16>(8, 9, {10000.0});
  EXPECT_EQ(numbers(table.cos), bf16_numbers(floats.cos.data));
  EXPECT_EQ(numbers(table.sin), bf16_numbers(floats.sin.data));
}

TEST(Rope, Bfloat16RoundsEachProductThenTheSum) {
  const float cos = bf16(std::cos(1.0F)), sin = bf16(std::sin(1.0F));
  int rounded_differently = 0;
  for (int i = 0; i < 64; ++i) {
    const float x1 = bf16(1.0F + static_cast<float>(i) * 0.37F),
                x2 = bf16(3.0F - static_cast<float>(i) * 0.21F);
    const auto x = tensor<Bfloat16>({1, 1, 1, 2}, {x1, x2});
    const auto out = apply_rope(x, rope_table<Bfloat16>(2, 2, {10000.0}), 1);
    EXPECT_EQ(numbers(out), bf16_numbers({bf16(x1 * cos) - bf16(x2 * sin), bf16(x2 * cos) + bf16(x1 * sin)}));
    if (bf16(bf16(x1 * cos) - bf16(x2 * sin)) != bf16(x1 * cos - x2 * sin)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

}  // namespace
}  // namespace forgecheck
