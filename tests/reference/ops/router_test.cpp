#include "reference/ops/router.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

TEST(SoftmaxScores, AreSharesOfTheExponentials) {
  const auto scores = softmax_scores(doubles({2, 3}, {0, kLn2, 2 * kLn2, 1000, 1000, -1000}));
  EXPECT_THAT(numbers(scores), AreNear({1.0 / 7, 2.0 / 7, 4.0 / 7, 0.5, 0.5, 0}));
}

TEST(SigmoidScores, BiasIsInsideTheSigmoid) {
  const auto scores = sigmoid_scores(doubles({2, 2}, {0, kLn3, -kLn3, 0}), doubles({2}, {kLn3, 0}));
  EXPECT_THAT(numbers(scores), AreNear({0.75, 0.75, 0.5, 0.5}));
  EXPECT_EQ(message_of([] {
              sigmoid_scores(doubles({1, 2}, {0, 0}), doubles({1}, {0}));
            }),
            "[router] expert_bias has shape 1, expected 2");
}

TEST(TopK, LargestComesFirst) {
  const Ids indices = top_k(doubles({2, 4}, {0.1, 0.4, 0.2, 0.3, -1, -2, -3, -0.5}), 3);
  EXPECT_EQ(indices.shape, (Shape{2, 3}));
  EXPECT_EQ(indices.data, (std::vector<std::int64_t>{1, 3, 2, 3, 0, 1}));
}

TEST(TopK, TiesGoToTheLowerIndex) {
  EXPECT_EQ(top_k(doubles({1, 5}, {0.2, 0.5, 0.2, 0.5, 0.2}), 4).data,
            (std::vector<std::int64_t>{1, 3, 0, 2}));
}

TEST(TopK, MoreThanThereAreIsAnError) {
  EXPECT_EQ(message_of([] { top_k(doubles({1, 2}, {1, 2}), 3); }), "[top_k] k = 3 of 2 scores");
}

TEST(RoutingWeights, AreTheChosenScoresOverTheirSum) {
  const auto scores = doubles({2, 3}, {1.0 / 7, 2.0 / 7, 4.0 / 7, 0.8, 0.1, 0.1});
  EXPECT_THAT(numbers(routing_weights(scores, Ids({2, 2}, {2, 1, 0, 2}))),
              AreNear({2.0 / 3, 1.0 / 3, 8.0 / 9, 1.0 / 9}));
  EXPECT_EQ(numbers(routing_weights(scores, Ids({2, 1}, {2, 0}))), (std::vector<double>{1, 1}));
}

// Scores (3/4, 1/2): without the bias both weights would be 1/2.
TEST(RoutingWeights, OfTheSigmoidRouterContainTheBias) {
  const auto scores = sigmoid_scores(doubles({1, 2}, {0, 0}), doubles({2}, {kLn3, 0}));
  EXPECT_THAT(numbers(routing_weights(scores, top_k(scores, 2))), AreNear({0.6, 0.4}));
}

TEST(RoutingWeights, Bfloat16RoundsTheSumThenEachQuotient) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float a = bf16(0.013F * static_cast<float>(i)), b = bf16(0.37F);
    const auto weights = routing_weights(tensor<Bfloat16>({1, 2}, {a, b}), Ids({1, 2}, {0, 1}));
    EXPECT_EQ(numbers(weights), bf16_numbers({a / bf16(a + b), b / bf16(a + b)}));
    if (bf16(a / bf16(a + b)) != bf16(a / (a + b))) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

TEST(SigmoidScores, Bfloat16RoundsTheBiasedLogit) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float logit = bf16(2.0F - 0.07F * static_cast<float>(i)), bias = bf16(0.0137F);
    const auto scores = sigmoid_scores(tensor<Bfloat16>({1, 1}, {logit}), tensor<Bfloat16>({1}, {bias}));
    EXPECT_EQ(numbers(scores), bf16_numbers({1.0F / (1.0F + std::exp(-bf16(logit + bias)))}));
    const float unrounded = 1.0F / (1.0F + std::exp(-(logit + bias)));
    if (bf16(unrounded) != numbers(scores)[0]) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

TEST(AssignmentsPerExpert, CountsEverySlot) {
  EXPECT_EQ(assignments_per_expert(Ids({3, 2}, {0, 3, 0, 1, 3, 0}), 4),
            (std::vector<std::int64_t>{3, 1, 0, 2}));
}

// Mean scores (5/8, 3/8). All tokens to expert 0: f = (1, 0), so 2 * 5/8. One each: 2 * (5/16 + 3/16).
TEST(BalanceLoss, IsExpertsTimesShareTimesMeanScore) {
  const auto scores = doubles({2, 2}, {0.75, 0.25, 0.5, 0.5});
  EXPECT_THAT(balance_loss(scores, {2, 0}, 0.0), testing::DoubleNear(1.25, 1e-15));
  EXPECT_THAT(balance_loss(scores, {1, 1}, 0.0), testing::DoubleNear(1.0, 1e-15));
}

// Shares are of all N k assignments: with two choices per token an even load still gives 1.
TEST(BalanceLoss, SharesAreOfAllAssignments) {
  const auto scores = doubles({2, 4}, {0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25});
  EXPECT_THAT(balance_loss(scores, {1, 1, 1, 1}, 0.0), testing::DoubleNear(1.0, 1e-15));
}

TEST(BalanceLoss, EpsilonIsAddedToTheAssignments) {
  const auto scores = doubles({2, 2}, {0.75, 0.25, 0.5, 0.5});
  EXPECT_THAT(balance_loss(scores, {2, 0}, 2.0), testing::DoubleNear(0.625, 1e-15));
}

// logsumexp of (0, 0) is ln 2, of (0, ln 3) ln 4 = 2 ln 2: the mean square is (1 + 4) / 2 ln^2 2.
TEST(RouterZLoss, IsTheMeanSquaredLogSumExp) {
  EXPECT_THAT(router_z_loss(doubles({2, 2}, {0, 0, 0, kLn3})), testing::DoubleNear(2.5 * kLn2 * kLn2, 1e-15));
  EXPECT_THAT(router_z_loss(doubles({1, 2}, {2000, 2000})),
              testing::DoubleNear((2000 + kLn2) * (2000 + kLn2), 1e-9));
}

// As in torch.logsumexp: x - max, exp, the sum, its logarithm and the result are bfloat16 tensors.
TEST(RouterZLoss, Bfloat16RoundsEveryStep) {
  const auto log_sum_exp = [](float x, float y) {
    const float most = std::max(x, y);
    const float sum = bf16(bf16(std::exp(bf16(x - most))) + bf16(std::exp(bf16(y - most))));
    return bf16(bf16(std::log(sum)) + most);
  };
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float a = bf16(0.37F * static_cast<float>(i)), b = bf16(1.9F), c = bf16(-0.7F);
    const auto loss = router_z_loss(tensor<Bfloat16>({2, 2}, {a, b, b, c}));
    const float first = log_sum_exp(a, b), second = log_sum_exp(b, c);
    EXPECT_EQ(loss, bf16((bf16(first * first) + bf16(second * second)) / 2.0F));
    const float once = bf16(b + std::log(1.0F + std::exp(c - b)));
    if (once != second || bf16(std::log(std::exp(a) + std::exp(b))) != first) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

TEST(BiasRate, ConstantStaysAtOneThousandth) {
  EXPECT_EQ(effective_bias_rate(BiasSchedule::constant, {0, 100}), 0.001);
  EXPECT_EQ(effective_bias_rate(BiasSchedule::constant, {100, 100}), 0.001);
}

TEST(BiasRate, CosineFallsToHalfThenZero) {
  EXPECT_THAT(effective_bias_rate(BiasSchedule::cosine_decay, {0, 100}), testing::DoubleNear(1e-3, 1e-18));
  EXPECT_THAT(effective_bias_rate(BiasSchedule::cosine_decay, {50, 100}), testing::DoubleNear(5e-4, 1e-18));
  // cos(pi / 4) = 1 / sqrt 2
  EXPECT_THAT(effective_bias_rate(BiasSchedule::cosine_decay, {25, 100}),
              testing::DoubleNear(0.0005 * 1.7071067811865475, 1e-18));
  EXPECT_THAT(effective_bias_rate(BiasSchedule::cosine_decay, {100, 100}), testing::DoubleNear(0, 1e-18));
}

TEST(BiasRate, WarmupTakesATenthOfTheSteps) {
  EXPECT_EQ(effective_bias_rate(BiasSchedule::linear_warmup, {0, 100}), 0.0);
  EXPECT_THAT(effective_bias_rate(BiasSchedule::linear_warmup, {5, 100}), testing::DoubleNear(5e-4, 1e-18));
  EXPECT_EQ(effective_bias_rate(BiasSchedule::linear_warmup, {10, 100}), 0.001);
  EXPECT_EQ(effective_bias_rate(BiasSchedule::linear_warmup, {90, 100}), 0.001);
}

TEST(BiasRate, MaxStepsIsAtLeastOne) {
  EXPECT_EQ(effective_bias_rate(BiasSchedule::linear_warmup, {0, 0}), 0.0);
  EXPECT_EQ(effective_bias_rate(BiasSchedule::linear_warmup, {5, 0}), 0.001);
  EXPECT_THAT(effective_bias_rate(BiasSchedule::cosine_decay, {1, -3}), testing::DoubleNear(0, 1e-18));
}

// u = (3/4, 1/4) up to 1e-8. ema: 1/2 + 0.01 (u - 1/2) = (0.5025, 0.4975); bias: rate times (1/2 - new ema).
TEST(RouterState, MovesTheAverageThenTheBiasByTheNewAverage) {
  const std::pair<BiasSchedule, double> steps[] = {{BiasSchedule::constant, 2.5e-6},
                                                   {BiasSchedule::cosine_decay, 1.25e-6},
                                                   {BiasSchedule::linear_warmup, 2.5e-6}};
  for (const auto& [schedule, change] : steps) {
    auto ema = doubles({2}, {0.5, 0.5}), bias = doubles({2}, {0, 0.25});
    update_router_state(ema, bias, {3, 1}, effective_bias_rate(schedule, {50, 100}));
    EXPECT_THAT(numbers(ema), AreNear({0.5025, 0.4975}, 1e-10));
    EXPECT_THAT(numbers(bias), AreNear({-change, 0.25 + change}, 1e-13));
  }
}

TEST(RouterState, AssignmentsHaveAnEpsilon) {
  auto ema = doubles({2}, {0.5, 0.5}), bias = doubles({2}, {0, 0});
  update_router_state(ema, bias, {0, 0}, 0.001);  // u = 0 / 1e-8
  EXPECT_THAT(numbers(ema), AreNear({0.495, 0.495}, 1e-16));
  EXPECT_THAT(numbers(bias), AreNear({5e-6, 5e-6}, 1e-18));
  update_router_state(ema = doubles({1}, {0}), bias = doubles({1}, {0}), {1}, 0.0);
  EXPECT_LT(ema[0], 0.01);
  EXPECT_THAT(ema[0], testing::DoubleNear(0.01 * (1 - 1e-8), 1e-16));
}

TEST(RouterState, Bfloat16RoundsShareAverageAndBias) {
  for (std::int64_t count = 0; count <= 7; ++count) {
    auto ema = tensor<Bfloat16>({2}, {0.3, 0.3}), bias = tensor<Bfloat16>({2}, {0.01, 0.01});
    update_router_state(ema, bias, {count, 7 - count}, 0.001);
    const float share = bf16(static_cast<float>(count) / (7.0F + 1e-8F));
    const float old_ema = bf16(0.3F), old_bias = bf16(0.01F);
    const float new_ema = bf16(old_ema + (share - old_ema) * static_cast<float>(1.0 - 0.99));
    EXPECT_EQ(numbers(ema)[0], new_ema);
    EXPECT_EQ(numbers(bias)[0], bf16(old_bias + 0.001F * (0.5F - new_ema)));
  }
}

}  // namespace
}  // namespace forgecheck
