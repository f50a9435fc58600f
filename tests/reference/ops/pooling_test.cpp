#include "reference/ops/pooling.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

const std::vector<double> kOneToNine = {1, 2, 3, 4, 5, 6, 7, 8, 9};

TEST(AveragePool, AveragesEachWindow) {
  // 4 x 4 grid, windows of 2 x 2: rows 0 1 2 3 / 4 5 6 7 / ...
  std::vector<double> cells(16);
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = static_cast<double>(i);
  const auto out = average_pool(doubles({1, 16, 1}, cells), 2);
  EXPECT_EQ(out.shape, (Shape{1, 4, 1}));
  EXPECT_EQ(numbers(out), (std::vector<double>{2.5, 4.5, 10.5, 12.5}));
}

// 3 x 3 grid, windows of 2 x 2: {1 2 4 5} {3 6} / {7 8} {9}. Divided by 4 the edges would be too small.
TEST(AveragePool, RaggedEdgeAveragesTheCellsItHas) {
  const auto out = average_pool(doubles({1, 9, 1}, kOneToNine), 2);
  EXPECT_EQ(numbers(out), (std::vector<double>{3, 4.5, 7.5, 9}));
}

TEST(AveragePool, WindowLargerThanTheGridAveragesAll) {
  EXPECT_EQ(numbers(average_pool(doubles({1, 9, 1}, kOneToNine), 5)), (std::vector<double>{5}));
}

TEST(AveragePool, WindowOneIsIdentity) {
  const auto x = doubles({1, 9, 1}, kOneToNine);
  EXPECT_TRUE(identical(average_pool(x, 1), x));
}

TEST(AveragePool, ChannelsAndSamplesStayApart) {
  const auto x = doubles({2, 4, 2}, {1, 10, 2, 20, 3, 30, 6, 40, -1, 0, -1, 0, -1, 0, -1, 8});
  EXPECT_EQ(numbers(average_pool(x, 2)), (std::vector<double>{3, 25, -1, 2}));
}

TEST(AveragePool, GridMustBeSquare) {
  EXPECT_EQ(message_of([] {
              average_pool(Tensor<double>({1, 8, 1}), 2);
            }),
            "[pool] 8 patches are not a square grid");
}

TEST(AveragePool, Bfloat16RoundsTheSumThenTheQuotient) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float a = bf16(0.37F * static_cast<float>(i)), b = bf16(1.9F), c = bf16(-0.07F);
    // 3 x 3 grid, one window.
    const auto out = average_pool(tensor<Bfloat16>({1, 9, 1}, {a, b, c, a, b, c, a, b, c}), 3);
    const float sum = a + b + c + a + b + c + a + b + c;
    EXPECT_EQ(numbers(out), bf16_numbers({bf16(sum) / 9.0F}));
    if (bf16(bf16(sum) / 9.0F) != bf16(sum / 9.0F)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

TEST(PoolWindows, PutsThePatchesOfAWindowTogether) {
  std::vector<double> cells(32);
  for (std::size_t i = 0; i < cells.size(); ++i) cells[i] = static_cast<double>(i);
  const auto out = pool_windows(doubles({2, 16, 1}, cells), 2);
  EXPECT_EQ(out.shape, (Shape{8, 4, 1}));
  std::vector<double> expected = {0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15};
  for (std::size_t i = 0; i < 16; ++i) expected.push_back(expected[i] + 16);
  EXPECT_EQ(numbers(out), expected);
}

TEST(PoolWindows, KeepsChannelsTogether) {
  const auto x = doubles({1, 4, 2}, {1, 10, 2, 20, 3, 30, 4, 40});
  const auto out = pool_windows(x, 1);
  EXPECT_EQ(out.shape, (Shape{4, 1, 2}));
  EXPECT_EQ(numbers(out), numbers(x));
}

TEST(PoolWindows, GridMustDivide) {
  EXPECT_EQ(message_of([] {
              pool_windows(Tensor<double>({1, 9, 1}), 2);
            }),
            "[attentional_pool] the 3x3 grid does not divide by pool_window = 2");
}

TEST(WindowMean, AveragesThePatches) {
  const auto out = window_mean(doubles({2, 2, 2}, {1, 10, 3, 20, 5, 50, 6, 60}));
  EXPECT_EQ(out.shape, (Shape{2, 1, 2}));
  EXPECT_EQ(numbers(out), (std::vector<double>{2, 15, 5.5, 55}));
}

TEST(WindowMean, Bfloat16RoundsOnce) {
  // 256 + 1 + 1 = 258 is a bfloat16, 257 is not: the mean of the float sum is 86.
  EXPECT_EQ(numbers(window_mean(tensor<Bfloat16>({1, 3, 1}, {256, 1, 1}))), (std::vector<double>{86}));
  const float sum = bf16(3.3F) + bf16(1.1F) + bf16(0.07F);
  EXPECT_EQ(numbers(window_mean(tensor<Bfloat16>({1, 3, 1}, {3.3, 1.1, 0.07}))), bf16_numbers({sum / 3.0F}));
}

}  // namespace
}  // namespace forgecheck
