#include "harness/verdict/vacuity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "harness/verdict/judge.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::StartsWith;

Judgement judged_run(const Problem& problem) {
  return judge(problem, run_permuted(problem, Dtype::f32), Dtype::f32, false);
}

constexpr const char* kDenseOfVacuity = "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=6/seed=7";

TEST(Vacuity, LogitsThatAreOneNumberShowNothing) {
  Problem problem = small_problem(kDenseOfVacuity);
  const Shape shape = problem.parameters.at("output_head.proj.weight").shape();
  problem.parameters.insert_or_assign("output_head.proj.weight", Array::from(Tensor<float>(shape)));
  const Judgement judgement = judged_run(problem);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_EQ(judgement.message, "logits are the same number everywhere, in the oracle too");
}

std::string vacuity_of(const std::vector<double>& logits) {
  ReferenceRun oracle;
  oracle.trace.add("logits", Array::from(Tensor<double>({1, 1, std::ssize(logits)}, logits)));
  return vacuity(oracle);
}

TEST(Vacuity, OneLogitIsNoNumberEverywhere) {
  EXPECT_EQ(vacuity_of({7}), "");
  EXPECT_NE(vacuity_of({7, 7}), "");
  EXPECT_EQ(vacuity_of({7, 7, 8}), "");
  EXPECT_EQ(vacuity(ReferenceRun()), "");
}

TEST(Emptiness, SaysWhatATapHoldsInsteadOfResults) {
  const Tensor<double> oracle({4}, {1, 2, 3, 4});
  const auto held = [&](std::vector<float> values) {
    return emptiness(Array::from(Tensor<float>({4}, std::move(values))), oracle);
  };
  EXPECT_EQ(held({0, 0, 0, 0}), "is all zero");
  EXPECT_THAT(held({7, 7, 7, 7}), StartsWith("is one number everywhere: 7"));
  EXPECT_EQ(held({1, 2, 3, 5}), "");
  EXPECT_EQ(held({NAN, NAN, NAN, NAN}), "");  // a NaN that was computed
  const float poison = std::bit_cast<float>(0xFFFFFFFFU);
  EXPECT_EQ(held({1, poison, 3, poison}), "was not written: every bit is set in 2 of 4 elements");
}

TEST(Emptiness, AConstantThatIsRightIsNoFinding) {
  EXPECT_EQ(emptiness(Array::from(Tensor<float>({2}, {3, 3})), Tensor<double>({2}, {3, 3})), "");
  EXPECT_EQ(emptiness(Array::from(Tensor<float>({2}, {3, 3})), Tensor<double>({2}, {4, 4})), "");
  EXPECT_EQ(emptiness(Array::from(Tensor<float>({1}, {3})), Tensor<double>({1}, {4})), "");
}

TEST(Emptiness, UnwrittenMemoryIsNotTrusted) {
  const Problem problem = small_problem(kDenseOfVacuity);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> values = right.at("logits").to<float>();
  values[3] = std::bit_cast<float>(0xFFFFFFFFU);
  const Judgement judgement =
      judge(problem, with_value(right, "logits", Array::from(values)), Dtype::f32, false);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_THAT(judgement.message, StartsWith("logits was not written: every bit is set in 1 of"));
}

}  // namespace
}  // namespace forgecheck
