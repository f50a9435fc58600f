#include "reference/ops/embedding.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

const Tensor<double> kTable = doubles({3, 2}, {0, 1, 10, 11, 20, 21});

TEST(Embedding, TakesTheRowOfEachToken) {
  const auto out = embedding<double>(Ids({2, 2}, {2, 0, 1, 2}), kTable);
  EXPECT_EQ(out.shape, (Shape{2, 2, 2}));
  EXPECT_EQ(numbers(out), (std::vector<double>{20, 21, 0, 1, 10, 11, 20, 21}));
}

TEST(Embedding, TokenOutsideTheVocabularyIsAnError) {
  EXPECT_EQ(message_of([] {
              embedding<double>(Ids({1, 2}, {0, 3}), kTable);
            }),
            "[embedding] tokens[1] = 3 is outside 0 .. 2");
  EXPECT_EQ(message_of([] {
              embedding<double>(Ids({1, 1}, {-1}), kTable);
            }),
            "[embedding] tokens[0] = -1 is outside 0 .. 2");
}

// 2^33 elements, which are made when they are read.
TEST(Embedding, ATableMayHaveMoreThan2To32Elements) {
  const std::int64_t vocab_size = std::int64_t{1} << 32;
  const Array table = Array::made(Dtype::f32, {vocab_size, 2}, [](std::int64_t first, std::span<float> out) {
    for (float& element : out) element = static_cast<float>(first++ >> 10);
  });
  const auto out =
      embedding(Ids({1, 2}, {vocab_size - 1, (std::int64_t{1} << 30) + 512}), WeightView<float>(table));
  EXPECT_EQ(numbers(out), (std::vector<double>{8388607, 8388607, 2097153, 2097153}));
}

TEST(ConcatSequence, FirstStandsBeforeSecondInEverySample) {
  const auto out = concat_sequence(doubles({2, 1, 1}, {1, 2}), doubles({2, 2, 1}, {10, 11, 20, 21}));
  EXPECT_EQ(out.shape, (Shape{2, 3, 1}));
  EXPECT_EQ(numbers(out), (std::vector<double>{1, 10, 11, 2, 20, 21}));
}

TEST(ConcatSequence, AnEmptyPartAddsNothing) {
  const auto x = doubles({2, 1, 2}, {1, 2, 3, 4});
  EXPECT_TRUE(identical(concat_sequence(Tensor<double>({2, 0, 2}), x), x));
  EXPECT_TRUE(identical(concat_sequence(x, Tensor<double>({2, 0, 2})), x));
}

TEST(ConcatSequence, BatchAndWidthMustAgree) {
  EXPECT_EQ(message_of([] {
              concat_sequence(Tensor<double>({2, 1, 2}), Tensor<double>({1, 1, 2}));
            }),
            "[concat] 2x1x2 and 1x1x2 do not join along the sequence");
  EXPECT_NE(message_of([] { concat_sequence(Tensor<double>({2, 1, 2}), Tensor<double>({2, 1, 3})); }), "");
  EXPECT_NE(message_of([] { concat_sequence(Tensor<double>({2, 2}), Tensor<double>({2, 2})); }), "");
}

TEST(SliceSequence, KeepsPositionsFromBeginToBeforeEnd) {
  const auto x = doubles({2, 3, 1}, {0, 1, 2, 10, 11, 12});
  EXPECT_EQ(numbers(slice_sequence(x, 1, 3)), (std::vector<double>{1, 2, 11, 12}));
  EXPECT_EQ(slice_sequence(x, 2, 2).shape, (Shape{2, 0, 1}));
}

TEST(SliceSequence, UndoesConcatSequence) {
  const auto a = doubles({2, 1, 2}, {1, 2, 3, 4});
  const auto b = doubles({2, 2, 2}, {5, 6, 7, 8, 9, 10, 11, 12});
  const auto joined = concat_sequence(a, b);
  EXPECT_TRUE(identical(slice_sequence(joined, 0, 1), a));
  EXPECT_TRUE(identical(slice_sequence(joined, 1, 3), b));
}

TEST(GatherRows, FollowsTheOrderOfTheRowsAndRepeats) {
  const auto out = gather_rows(kTable, {2, 0, 2});
  EXPECT_EQ(out.shape, (Shape{3, 2}));
  EXPECT_EQ(numbers(out), (std::vector<double>{20, 21, 0, 1, 20, 21}));
  EXPECT_EQ(gather_rows(kTable, {}).shape, (Shape{0, 2}));
}

}  // namespace
}  // namespace forgecheck
