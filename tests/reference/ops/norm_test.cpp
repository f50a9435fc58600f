#include "reference/ops/norm.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

// mean(3^2, 4^2) = 12.5.
TEST(RmsNorm, DividesByTheRootMeanSquare) {
  const auto out = rms_norm(doubles({1, 2}, {3, 4}), doubles({2}, {2, 0.5}), 0.0);
  EXPECT_THAT(numbers(out), AreNear({1.697056274847714, 0.565685424949238}));
}

// mean(x^2) = 1e-6 and eps = 3e-6: the root is 2e-3. With eps outside the root the result would be 0.997.
TEST(RmsNorm, EpsIsInsideTheRoot) {
  const auto out = rms_norm(doubles({2}, {1e-3, -1e-3}), doubles({2}, {1, 1}), 3e-6);
  EXPECT_THAT(numbers(out), AreNear({0.5, -0.5}));
}

TEST(RmsNorm, SubtractsNoMean) {
  const auto out = rms_norm(doubles({2}, {7, 7}), doubles({2}, {1, 1}), 0.0);
  EXPECT_THAT(numbers(out), AreNear({1, 1}));
}

TEST(RmsNorm, ZeroRowStaysZeroAndRowsAreIndependent) {
  const auto out = rms_norm(doubles({3, 2}, {0, 0, 6, 8, 3, 4}), doubles({2}, {1, 1}), 0.0);
  const auto with_eps = rms_norm(doubles({1, 2}, {0, 0}), doubles({2}, {1, 1}), 1e-5);
  EXPECT_EQ(numbers(with_eps), (std::vector<double>{0, 0}));
  EXPECT_THAT(numbers_of_row(out, 1), AreNear({0.848528137423857, 1.131370849898476}));
  EXPECT_THAT(numbers_of_row(out, 2), AreNear({0.848528137423857, 1.131370849898476}));
}

TEST(RmsNorm, WeightMustFitTheLastAxis) {
  EXPECT_EQ(message_of([] {
              rms_norm(doubles({1, 2}, {3, 4}), doubles({3}, {1, 1, 1}), 1e-5);
            }),
            "[rms_norm] weight has shape 3, expected 2");
}

TEST(RmsNorm, Bfloat16MultipliesByWeightBeforeRounding) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float x1 = bf16(0.1F * static_cast<float>(i)), x2 = bf16(1.0F - 0.03F * static_cast<float>(i));
    const float w1 = bf16(0.77F), w2 = bf16(1.31F);
    const auto out = rms_norm(tensor<Bfloat16>({2}, {x1, x2}), tensor<Bfloat16>({2}, {w1, w2}), 1e-5);
    const float scale = 1.0F / std::sqrt((x1 * x1 + x2 * x2) / 2.0F + 1e-5F);
    EXPECT_EQ(numbers(out), bf16_numbers({x1 * scale * w1, x2 * scale * w2}));
    if (bf16(x1 * scale * w1) != bf16(bf16(x1 * scale) * w1)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

// Mean 3, squared distances 4, 1, 0, 9: the biased variance is 3.5 (the unbiased one would be 4.667).
TEST(LayerNorm, VarianceIsBiased) {
  const auto out =
      layer_norm(doubles({4}, {1, 2, 3, 6}), doubles({4}, {1, 1, 1, 1}), doubles({4}, {0, 0, 0, 0}), 0.0);
  const double root = 1.8708286933869707;  // sqrt 3.5
  EXPECT_THAT(numbers(out), AreNear({-2 / root, -1 / root, 0, 3 / root}));
}

TEST(LayerNorm, EpsIsInsideTheRoot) {
  const auto out = layer_norm(doubles({2}, {0, 2}), doubles({2}, {1, 1}), doubles({2}, {0, 0}), 3.0);
  EXPECT_THAT(numbers(out), AreNear({-0.5, 0.5}));
}

TEST(LayerNorm, WeightMultipliesAndBiasAdds) {
  const auto out = layer_norm(doubles({2}, {4, 8}), doubles({2}, {10, 3}), doubles({2}, {0.5, -7}), 0.0);
  EXPECT_THAT(numbers(out), AreNear({-9.5, -4}));
}

TEST(LayerNorm, ConstantRowGivesTheBias) {
  const auto out = layer_norm(doubles({2}, {9, 9}), doubles({2}, {2, 3}), doubles({2}, {0.25, -1}), 1e-5);
  EXPECT_EQ(numbers(out), (std::vector<double>{0.25, -1}));
}

TEST(LayerNorm, WeightAndBiasMustFit) {
  const auto x = doubles({2}, {1, 2}), one = doubles({1}, {1}), two = doubles({2}, {1, 1});
  EXPECT_EQ(message_of([&] { layer_norm(x, one, two, 1e-5); }),
            "[layer_norm] weight has shape 1, expected 2");
  EXPECT_EQ(message_of([&] { layer_norm(x, two, one, 1e-5); }), "[layer_norm] bias has shape 1, expected 2");
}

TEST(LayerNorm, Bfloat16RoundsOnce) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float x1 = bf16(0.1F * static_cast<float>(i)), x2 = bf16(1.0F - 0.3F * static_cast<float>(i));
    const float x3 = bf16(0.5F), weight = bf16(0.77F), bias = bf16(-0.3F);
    const auto out = layer_norm(tensor<Bfloat16>({3}, {x1, x2, x3}), tensor<Bfloat16>({3}, {weight, 1, 1}),
                                tensor<Bfloat16>({3}, {bias, 0, 0}), 1e-5);
    const float mean = (x1 + x2 + x3) / 3.0F;
    const float a = x1 - mean, b = x2 - mean, c = x3 - mean;
    const float scale = 1.0F / std::sqrt((a * a + b * b + c * c) / 3.0F + 1e-5F);
    EXPECT_EQ(numbers(out), bf16_numbers({a * scale * weight + bias, b * scale, c * scale}));
    if (bf16(a * scale * weight + bias) != bf16(bf16(a * scale) * weight + bias)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

}  // namespace
}  // namespace forgecheck
