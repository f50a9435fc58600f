#include "reference/ops/sampling.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

std::vector<double> probabilities(const std::vector<double>& logits, const SamplingOptions& options) {
  return sampling_probabilities(std::span<const double>(logits), options);
}

/// ln p: at temperature 1 the probabilities are p.
std::vector<double> logits_of(std::vector<double> p) {
  for (double& value : p) value = std::log(value);
  return p;
}

TEST(Argmax, TiesGoToTheLowerIndex) {
  const std::vector<double> logits = {-3, 2, 7, 7, 1};
  EXPECT_EQ(argmax(std::span<const double>(logits)), 2);
  const std::vector<double> equal(5, -1.0);
  EXPECT_EQ(argmax(std::span<const double>(equal)), 0);
}

TEST(Sampling, TemperatureDividesTheLogits) {
  EXPECT_THAT(probabilities({0, kLn3}, {.temperature = 1.0}), AreNear({0.25, 0.75}));
  EXPECT_THAT(probabilities({0, kLn3}, {.temperature = 0.5}), AreNear({0.1, 0.9}));
  EXPECT_THAT(probabilities({0, 2 * kLn3}, {.temperature = 2.0}), AreNear({0.25, 0.75}));
}

TEST(Sampling, TopKKeepsTheLargest) {
  const auto logits = logits_of({0.1, 0.4, 0.2, 0.3});
  EXPECT_THAT(probabilities(logits, {.temperature = 1.0, .top_k = 2}), AreNear({0, 4.0 / 7, 0, 3.0 / 7}));
  EXPECT_THAT(probabilities(logits, {.temperature = 1.0, .top_k = 9}), AreNear({0.1, 0.4, 0.2, 0.3}));
}

TEST(Sampling, TopKKeepsTiesAtTheThreshold) {
  EXPECT_THAT(probabilities({1, 2, 1, 1, 0}, {.temperature = 1.0, .top_k = 2}),
              AreNear({1 / (3 + std::exp(1.0)), std::exp(1.0) / (3 + std::exp(1.0)), 1 / (3 + std::exp(1.0)),
                       1 / (3 + std::exp(1.0)), 0}));
}

// Four times 1/4, exactly: the third token has mass 1/2 before it, which is not < 1/2.
TEST(Sampling, TopPKeepsATokenWhileTheMassBeforeItIsLessThanP) {
  EXPECT_EQ(probabilities({0, 0, 0, 0}, {.temperature = 1.0, .top_p = 0.5}),
            (std::vector<double>{0.5, 0.5, 0, 0}));
  EXPECT_THAT(probabilities({0, 0, 0, 0}, {.temperature = 1.0, .top_p = 0.51}),
              AreNear({1.0 / 3, 1.0 / 3, 1.0 / 3, 0}));
}

TEST(Sampling, TopPSortsByProbabilityAndKeepsTheFirstAlways) {
  const auto logits = logits_of({0.2, 0.5, 0.3});
  EXPECT_THAT(probabilities(logits, {.temperature = 1.0, .top_p = 1e-9}), AreNear({0, 1, 0}));
  EXPECT_THAT(probabilities(logits, {.temperature = 1.0, .top_p = 0.6}), AreNear({0, 0.625, 0.375}));
  EXPECT_THAT(probabilities(logits, {.temperature = 1.0, .top_p = 0.85}), AreNear({0.2, 0.5, 0.3}));
}

// After top-k the two tokens left have 4/7 and 3/7; of the original mass the first has only 0.4 < 0.5.
TEST(Sampling, TopPCountsTheMassThatTopKLeft) {
  EXPECT_THAT(probabilities(logits_of({0.4, 0.3, 0.2, 0.1}), {.temperature = 1.0, .top_k = 2, .top_p = 0.5}),
              AreNear({1, 0, 0, 0}));
}

// At temperature 1/2 the mass is (0.9, 0.1), at 1 it would be (0.75, 0.25).
TEST(Sampling, TopPCountsTheMassAfterTheTemperature) {
  EXPECT_THAT(probabilities({kLn3, 0}, {.temperature = 0.5, .top_p = 0.8}), AreNear({1, 0}));
  EXPECT_THAT(probabilities({kLn3, 0}, {.temperature = 1.0, .top_p = 0.8}), AreNear({0.75, 0.25}));
}

TEST(Draw, TakesTheTokenAtWhichTheMassExceedsTheUniformNumber) {
  const std::vector<double> p = {0.25, 0.5, 0.25};
  EXPECT_EQ(draw(p, 0.0), 0);
  EXPECT_EQ(draw(p, 0.2499), 0);
  EXPECT_EQ(draw(p, 0.25), 1);
  EXPECT_EQ(draw(p, 0.7499), 1);
  EXPECT_EQ(draw(p, 0.75), 2);
  EXPECT_EQ(draw(p, 0.9999), 2);
}

TEST(Draw, NeverTakesAnImpossibleToken) {
  EXPECT_EQ(draw({0, 1, 0}, 0.0), 1);
  EXPECT_EQ(draw({0, 1, 0}, 0.9999), 1);
  EXPECT_EQ(draw({0.5, 0, 0.5}, 0.5), 2);
  EXPECT_EQ(draw({0.3, 0.6, 0}, 0.95), 1);  // a sum that rounding left below 1
}

TEST(DrawScores, AreMinusTheDistanceFromWhereEachTokenIsDrawn) {
  const std::vector<double> probabilities{0.25, 0.5, 0.0, 0.25};
  const auto near = [](double value) { return testing::DoubleNear(value, 1e-12); };
  EXPECT_THAT(draw_scores(probabilities, 0.3),
              testing::ElementsAre(near(-0.05), near(0.0), near(-0.45), near(-0.45)));
  EXPECT_THAT(draw_scores(probabilities, 0.9),
              testing::ElementsAre(near(-0.65), near(-0.15), near(-0.15), near(0.0)));
  EXPECT_THAT(draw_scores(probabilities, 0.0),
              testing::ElementsAre(near(0.0), near(-0.25), near(-0.75), near(-0.75)));
}

/// The token that is drawn is the one with the best score.
TEST(DrawScores, TheBestIsDrawn) {
  const std::vector<double> probabilities{0.1, 0.0, 0.3, 0.2, 0.4};
  for (double uniform = 0.01; uniform < 1; uniform += 0.02) {
    const std::vector<double> scores = draw_scores(probabilities, uniform);
    EXPECT_EQ(scores[static_cast<std::size_t>(draw(probabilities, uniform))], 0.0) << uniform;
    EXPECT_EQ(std::ranges::count(scores, 0.0), 1) << uniform;
  }
}

TEST(SamplingOptions, WrongOnesAreNamed) {
  const auto rejection = [](const SamplingOptions& options) {
    return message_of<ConfigError>([&] { validate(options); });
  };
  EXPECT_EQ(rejection({}), "");
  EXPECT_EQ(rejection({.temperature = 2.0, .top_k = 5, .top_p = 0.1}), "");
  EXPECT_THAT(rejection({.temperature = -1.0}), testing::StartsWith("generate.temperature = -1"));
  EXPECT_THAT(rejection({.temperature = std::numeric_limits<double>::quiet_NaN()}),
              testing::StartsWith("generate.temperature = "));
  EXPECT_THAT(rejection({.temperature = std::numeric_limits<double>::infinity()}),
              testing::StartsWith("generate.temperature = inf"));
  EXPECT_THAT(rejection({.top_k = -2}), testing::StartsWith("generate.top_k = -2: "));
  EXPECT_THAT(rejection({.top_p = 0.0}), testing::StartsWith("generate.top_p = 0"));
  EXPECT_THAT(rejection({.top_p = 1.5}), testing::StartsWith("generate.top_p = 1.5"));
}

}  // namespace
}  // namespace forgecheck
