#include "reference/ops/linear.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

// weight (out 3, in 2).
TEST(Linear, MultipliesByTheTransposedWeight) {
  const auto out = linear(doubles({2, 2}, {1, 2, 3, 4}), doubles({3, 2}, {1, 0, 0, 1, 10, 100}), kPlain);
  EXPECT_EQ(out.shape, (Shape{2, 3}));
  EXPECT_EQ(numbers(out), (std::vector<double>{1, 2, 210, 3, 4, 430}));
}

TEST(Linear, KeepsTheLeadingAxes) {
  const auto weight = doubles({1, 2}, {1, -1});
  EXPECT_EQ(linear(Tensor<double>({2, 3, 4, 2}), weight, kPlain).shape, (Shape{2, 3, 4, 1}));
  EXPECT_EQ(linear(doubles({2}, {5, 3}), weight, kPlain).shape, (Shape{1}));
}

TEST(Linear, NoRowsGiveNoRows) {
  EXPECT_EQ(linear(Tensor<double>({2, 0, 2}), doubles({3, 2}, {1, 2, 3, 4, 5, 6}), kPlain).shape,
            (Shape{2, 0, 3}));
}

TEST(Linear, BiasIsAddedToEveryRow) {
  const auto out =
      linear(doubles({2, 1}, {1, 2}), doubles({2, 1}, {10, 20}), doubles({2}, {0.5, -0.5}), kPlain);
  EXPECT_EQ(numbers(out), (std::vector<double>{10.5, 19.5, 20.5, 39.5}));
}

// 256 + 1 is not a bfloat16: a sum kept in bfloat16 would lose the 1.
TEST(Linear, Bfloat16SumsInFloat) {
  const auto out =
      linear(tensor<Bfloat16>({1, 3}, {256, 1, -256}), tensor<Bfloat16>({1, 3}, {1, 1, 1}), kPlain);
  EXPECT_EQ(numbers(out), (std::vector<double>{1}));
}

// 1 + 2^-8 is a tie that goes to 1; with the bias 2^-8 before the rounding it is 1 + 2^-7 exactly.
TEST(Linear, Bfloat16AddsTheBiasBeforeRounding) {
  const auto x = tensor<Bfloat16>({1, 2}, {1, 0x1p-8});
  const auto weight = tensor<Bfloat16>({1, 2}, {1, 1});
  EXPECT_EQ(numbers(linear(x, weight, kPlain)), (std::vector<double>{1}));
  EXPECT_EQ(numbers(linear(x, weight, tensor<Bfloat16>({1}, {0x1p-8}), kPlain)),
            (std::vector<double>{1 + 0x1p-7}));
}

TEST(Linear, EveryArithmeticComputesTheSameProduct) {
  const auto x = tensor<float>({2, 2}, {1, 2, 3, 4});
  const auto weight = tensor<float>({3, 2}, {1, 0, 0, 1, 10, 100});
  for (const Arithmetic& arithmetic : {kPlain, kPermuted, Arithmetic{.library = linalg::Library::openblas},
                                       Arithmetic{.library = linalg::Library::onednn}}) {
    EXPECT_EQ(numbers(linear(x, weight, arithmetic)), (std::vector<double>{1, 2, 210, 3, 4, 430}));
  }
}

TEST(Linear, ShapesAreChecked) {
  const auto weight = doubles({1, 2}, {1, 1});
  EXPECT_EQ(message_of([&] {
              linear(Tensor<double>({4, 3}), weight, kPlain);
            }),
            "[linear] input 4x3 does not fit weight 1x2");
  EXPECT_EQ(message_of([&] {
              linear(Tensor<double>({4, 2}), Tensor<double>({1, 2, 2}), kPlain);
            }),
            "[linear] input 4x2 does not fit weight 1x2x2");
  EXPECT_EQ(message_of([&] {
              linear(Tensor<double>({4, 2}), weight, Tensor<double>({2}), kPlain);
            }),
            "[linear] bias has shape 2, expected 1");
}

// weight (E 2, in 2, out 3): expert 1 is the matrix of rows (1, 2, 3) and (4, 5, 6), not transposed.
TEST(PackedLinear, MultipliesByOneExpertAsItLies) {
  const auto weight = doubles({2, 2, 3}, {9, 9, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6});
  const auto out = packed_linear(doubles({2, 2}, {1, 10, 0, 1}), weight, 1, kPlain);
  EXPECT_EQ(out.shape, (Shape{2, 3}));
  EXPECT_EQ(numbers(out), (std::vector<double>{41, 52, 63, 4, 5, 6}));
}

// 2^33 elements, which are made when they are read.
TEST(PackedLinear, ExpertsMayBeginPast32Bits) {
  const std::int64_t experts = std::int64_t{1} << 31;
  const Array weight = Array::made(Dtype::f32, {experts, 2, 2}, [](std::int64_t first, std::span<float> out) {
    for (float& element : out) element = static_cast<float>((first++ >> 2) - (std::int64_t{1} << 30));
  });
  const auto x = Tensor<float>({1, 2}, {1, 0});
  const std::int64_t last = experts - 128;
  EXPECT_EQ(numbers(packed_linear(x, WeightView<float>(weight), last, kPlain)),
            std::vector<double>(2, static_cast<double>(last - (std::int64_t{1} << 30))));
}

TEST(PackedLinear, ExpertAndShapesAreChecked) {
  const Tensor<double> x({1, 2}), weight({2, 2, 3});
  EXPECT_EQ(message_of([&] { packed_linear(x, weight, 2, kPlain); }),
            "[packed_linear] input 1x2 does not fit expert 2 of weight 2x2x3");
  EXPECT_NE(message_of([&] { packed_linear(x, weight, -1, kPlain); }), "");
  EXPECT_NE(message_of([&] { packed_linear(Tensor<double>({1, 3}), weight, 0, kPlain); }), "");
  EXPECT_NE(message_of([&] { packed_linear(x, Tensor<double>({2, 3}), 0, kPlain); }), "");
}

TEST(Add, AddsElementwiseAndRoundsOnce) {
  EXPECT_EQ(numbers(add(doubles({2}, {1, 2}), doubles({2}, {10, -20}))), (std::vector<double>{11, -18}));
  const auto sum = add(tensor<Bfloat16>({2}, {256, 256}), tensor<Bfloat16>({2}, {1, 3}));
  EXPECT_EQ(numbers(sum), (std::vector<double>{256, 260}));  // 257 and 259 are ties
  EXPECT_EQ(message_of([] {
              add(doubles({2}, {1, 2}), doubles({1, 2}, {1, 2}));
            }),
            "[add] second term has shape 1x2, expected 2");
}

}  // namespace
}  // namespace forgecheck
