#include "harness/fuzz/own_noise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/verdict/tolerance.h"
#include "reference/error.h"
#include "tests/harness/fuzz/told_backend.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

const std::string kCase = "dense[dim=4,n_layers=1,n_heads=1,vocab_size=5]/batch=1,text_len=3/seed=1";
const std::string kWeights = "output_head.proj.weight";

/// A backend whose "logits" are a weight as it gets it.
TEST(OwnNoise, MovesEveryWeightByAStepUpOrDown) {
  for (const auto& [dtype, step] : {std::pair("float32", 0x1p-21), {"bfloat16", 0x1p-7}}) {
    const Problem problem = small_problem(kCase + "/" + dtype);
    ToldBackend backend([](const Problem& asked) {
      Trace trace;
      for (const auto& [name, weights] : asked.parameters) trace.add(name, weights);
      return trace;
    });
    const OwnNoise noise = measure_own_noise(backend, problem, {});
    ASSERT_EQ(noise.moved.size(), 8U);
    std::int64_t up = 0, down = 0, all = 0;
    for (const Trace& moved : noise.moved) {
      for (const auto& [name, weights] : problem.parameters) {
        EXPECT_EQ(noise.plain.at(name).to<double>().data, weights.to<double>().data);
        EXPECT_EQ(moved.at(name).dtype(), weights.dtype());
        for (std::int64_t i = 0; i < weights.size(); ++i, ++all) {
          const double change = moved.at(name).at(i) / weights.at(i) - 1;
          if (weights.at(i) == 0) continue;
          EXPECT_NEAR(std::abs(change), step, step * 0.3) << name;
          (change > 0 ? up : down) += 1;
        }
      }
    }
    EXPECT_GT(up, all / 3);
    EXPECT_GT(down, all / 3);
    EXPECT_NE(noise.moved[0].at(kWeights).to<double>().data, noise.moved[1].at(kWeights).to<double>().data);
  }
}

/// Two rows of two values; the moved runs are off by at most 0.001 in the first row and by nothing in the second.
OwnNoise noise_of(const std::string& name = "logits") {
  OwnNoise noise;
  noise.plain.add(name, Array::from(Tensor<float>({2, 2}, {1.0F, 2.0F, 3.0F, 4.0F})));
  noise.moved.emplace_back().add(name, Array::from(Tensor<float>({2, 2}, {1.0005F, 2.0F, 3.0F, 4.0F})));
  noise.moved.emplace_back().add(name, Array::from(Tensor<float>({2, 2}, {1.0F, 1.999F, 3.0F, 4.0F})));
  return noise;
}

TapResult compared(std::vector<float> values, const std::function<bool(std::int64_t)>& rows = {}) {
  return compare_own("logits", Array::from(Tensor<float>({2, 2}, std::move(values))), noise_of(), Dtype::f32,
                     rows);
}

TEST(OwnNoise, AllowsEightTimesWhatTheRowMoved) {
  EXPECT_EQ(compared({1.0F, 2.0F, 3.0F, 4.0F}).used, 0);
  const TapResult right = compared({1.0079F, 2.0F, 3.0F, 4.0F});
  EXPECT_EQ(right.verdict, Verdict::match);
  EXPECT_NEAR(right.used, 0.9875, 1e-3);
  EXPECT_EQ(right.message, "");
  const TapResult wrong = compared({1.0F, 2.0081F, 3.0F, 4.0F});
  EXPECT_EQ(wrong.verdict, Verdict::mismatch);
  EXPECT_NEAR(wrong.used, 1.0125, 1e-3);
  EXPECT_NEAR(wrong.error, 0.0081, 1e-6);
  EXPECT_NEAR(wrong.tolerance, 0.008, 1e-6);
  EXPECT_THAT(wrong.message, HasSubstr("at [0, 1], expected 2 (difference 0.0081"));
}

TEST(OwnNoise, AllowsARowThatNothingMovedItsRoundingOnly) {
  EXPECT_EQ(compared({1.0F, 2.0F, 3.0F, std::nextafter(4.0F, 5.0F)}).verdict, Verdict::match);
  EXPECT_EQ(compared({1.0F, 2.0F, 3.0F, 4.000002F}).verdict, Verdict::mismatch);
}

TEST(OwnNoise, TheWorstElementIsTheOneThatIsShown) {
  EXPECT_THAT(compared({1.1F, 2.5F, 3.0F, 4.0F}).message, HasSubstr("at [0, 1]"));
  EXPECT_THAT(compared({1.5F, 2.1F, 3.0F, 4.0F}).message, HasSubstr("at [0, 0]"));
}

TEST(OwnNoise, ARowMayBeLeftOut) {
  const auto second = [](std::int64_t row) { return row == 1; };
  EXPECT_EQ(compared({9.0F, 9.0F, 3.0F, 4.0F}, second).verdict, Verdict::match);
  EXPECT_EQ(compared({1.0F, 2.0F, 9.0F, 4.0F}, second).verdict, Verdict::mismatch);
}

TEST(OwnNoise, ANumberIsNotNaN) {
  EXPECT_EQ(compared({1.0F, NAN, 3.0F, 4.0F}).verdict, Verdict::mismatch);
}

TEST(OwnNoise, ShapesAndKindsAreNamed) {
  const Array longer = Array::from(Tensor<float>(Shape{2, 3}));
  EXPECT_THAT(compare_own("logits", longer, noise_of(), Dtype::f32).message,
              HasSubstr("is float32 2x3, expected float32 2x2"));
  const Array integers = Array::from(Tensor<std::int64_t>(Shape{2, 2}));
  EXPECT_EQ(compare_own("logits", integers, noise_of(), Dtype::f32).verdict, Verdict::mismatch);
}

TEST(OwnNoise, AnotherChoiceIsUndecidedOnlyWhereAMovedRunChoosesOtherwiseToo) {
  const auto choices = [](std::vector<std::int64_t> values) {
    return Array::from(Tensor<std::int64_t>({1, 2}, std::move(values)));
  };
  OwnNoise noise;
  noise.plain.add("indices", choices({0, 1}));
  noise.moved.emplace_back().add("indices", choices({1, 0}));
  const auto verdict = [&](std::vector<std::int64_t> values) {
    return compare_own("indices", choices(std::move(values)), noise, Dtype::f32, {}, false).verdict;
  };
  EXPECT_EQ(verdict({0, 1}), Verdict::match);
  EXPECT_EQ(verdict({1, 0}), Verdict::match);
  EXPECT_EQ(verdict({0, 2}), Verdict::mismatch);
  noise.moved.emplace_back().add("indices", choices({0, 3}));
  EXPECT_EQ(verdict({0, 2}), Verdict::undecided);
  EXPECT_EQ(verdict({0, 1}), Verdict::match);
}

TEST(OwnNoise, TokensHaveAnOrderAndALength) {
  const auto tokens = [](Shape shape, std::vector<std::int64_t> values) {
    return Array::from(Tensor<std::int64_t>(std::move(shape), std::move(values)));
  };
  OwnNoise noise;
  noise.plain.add("tokens", tokens({1, 3}, {4, 5, 6}));
  noise.moved.emplace_back().add("tokens", tokens({1, 3}, {4, 5, 6}));
  const auto verdict = [&](const Array& other) {
    return compare_own("tokens", other, noise, Dtype::f32).verdict;
  };
  EXPECT_EQ(verdict(tokens({1, 3}, {4, 5, 6})), Verdict::match);
  EXPECT_EQ(verdict(tokens({1, 3}, {4, 6, 5})), Verdict::mismatch);
  EXPECT_EQ(verdict(tokens({1, 2}, {4, 5})), Verdict::mismatch);
  noise.moved.emplace_back().add("tokens", tokens({1, 2}, {4, 5}));  // an end token came earlier
  EXPECT_EQ(verdict(tokens({1, 2}, {4, 5})), Verdict::undecided);
}

TEST(OwnNoise, AnotherFormWithOtherWeightsIsAFailureOfTheBackend) {
  for (const bool is_longer : {true, false}) {
    int runs = 0;
    ToldBackend backend([&](const Problem&) {
      Trace trace;
      if (++runs == 1 || is_longer)
        trace.add("logits", Array::from(Tensor<float>(Shape{runs == 1 ? 2 : 3, 2})));
      return trace;
    });
    EXPECT_THROW(measure_own_noise(backend, small_problem(kCase), {}), BackendError);
  }
}

}  // namespace
}  // namespace forgecheck
