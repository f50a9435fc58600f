#include "reference/ops/expert_choice.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

TEST(TokensPerExpert, RoundsUp) {
  EXPECT_EQ(tokens_per_expert(10, 0.25), 3);
  EXPECT_EQ(tokens_per_expert(8, 0.25), 2);
}

// The product is 3 in double and just above 3 in float.
TEST(TokensPerExpert, OneSeventhOf21IsThree) {
  EXPECT_EQ(tokens_per_expert(21, 1.0 / 7), 3);
}

TEST(TokensPerExpert, IsAtLeastOneAndAtMostAll) {
  EXPECT_EQ(tokens_per_expert(5, 0.0), 1);
  EXPECT_EQ(tokens_per_expert(5, 1e-9), 1);
  EXPECT_EQ(tokens_per_expert(3, 2.0), 3);
  EXPECT_EQ(tokens_per_expert(3, 1e300), 3);
  EXPECT_EQ(tokens_per_expert(1, 0.1), 1);
}

TEST(TokensPerExpert, NoTokensMeanNone) {
  EXPECT_EQ(tokens_per_expert(0, 0.5), 0);
  EXPECT_EQ(tokens_per_expert(0, 0.0), 0);
}

TEST(ExpertChoiceScores, AreSigmoids) {
  const auto scores = expert_choice_scores<double>(doubles({2, 2}, {0, kLn3, -kLn3, -800}), nullptr);
  EXPECT_THAT(numbers(scores), AreNear({0.5, 0.75, 0.25, 0}));
}

TEST(ExpertChoiceScores, NoiseIsInsideTheSigmoid) {
  const auto noise = doubles({1, 2}, {kLn3, -2 * kLn3});
  EXPECT_THAT(numbers(expert_choice_scores(doubles({1, 2}, {0, kLn3}), &noise)), AreNear({0.75, 0.25}));
}

TEST(ExpertChoiceScores, Bfloat16RoundsTheNoisyLogit) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float logit = bf16(2.0F - 0.07F * static_cast<float>(i)), noise = bf16(0.0137F);
    const auto narrow_noise = tensor<Bfloat16>({1, 1}, {noise});
    const auto scores = expert_choice_scores(tensor<Bfloat16>({1, 1}, {logit}), &narrow_noise);
    EXPECT_EQ(numbers(scores), bf16_numbers({1.0F / (1.0F + std::exp(-bf16(logit + noise)))}));
    if (bf16(1.0F / (1.0F + std::exp(-(logit + noise)))) != numbers(scores)[0]) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

TEST(ExpertChoiceScores, NoiseMustFit) {
  const auto noise = doubles({1, 3}, {0, 0, 0});
  EXPECT_EQ(message_of([&] {
              expert_choice_scores(doubles({1, 2}, {0, 0}), &noise);
            }),
            "[expert_choice] noise has shape 1x3, expected 1x2");
}

TEST(Transpose, ExchangesRowsAndColumns) {
  const auto out = transpose(doubles({2, 3}, {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(out.shape, (Shape{3, 2}));
  EXPECT_EQ(numbers(out), (std::vector<double>{1, 4, 2, 5, 3, 6}));
}

TEST(ScatterAdd, AddsTheScoredOutputToEachToken) {
  auto out = doubles({3, 2}, {1, 1, 2, 2, 3, 3});
  const std::vector<double> scores = {0.5, 0.25};
  scatter_add<double>(out, doubles({2, 2}, {10, 20, 100, 200}), scores, {2, 0});
  EXPECT_EQ(numbers(out), (std::vector<double>{26, 51, 2, 2, 8, 13}));
}

TEST(ScatterAdd, Bfloat16RoundsTheProductThenTheSum) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float y = bf16(0.37F * static_cast<float>(i)), score = bf16(0.3F), before = bf16(-1.7F);
    auto out = tensor<Bfloat16>({1, 1}, {before});
    const std::vector<Bfloat16> scores = {Bfloat16(score)};
    scatter_add<Bfloat16>(out, tensor<Bfloat16>({1, 1}, {y}), scores, {0});
    EXPECT_EQ(numbers(out), bf16_numbers({before + bf16(score * y)}));
    if (bf16(before + bf16(score * y)) != bf16(before + score * y)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

}  // namespace
}  // namespace forgecheck
