// Whole traces: what is right matches, one wrong value anywhere is found in the tap where it is, and a trace
// that is vacuous is not trusted.
#include "harness/verdict/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::StartsWith;

class JudgeCase : public testing::TestWithParam<std::string> {};

std::string label(const testing::TestParamInfo<std::string>& info) {
  return info.param.substr(0, info.param.find('[')) + "_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Small, JudgeCase, testing::ValuesIn(small_cases()), label);

/// One value of a floating point tap off by a hundredth of its row's size (by a hundredth where that is
/// zero).
Array perturbed_float(const Array& value) {
  Tensor<double> values = value.to<double>();
  const std::int64_t row = values.rows() / 2, column = values.width() / 3;
  double squares = 0;
  for (const double x : values.row(row)) squares += x * x;
  const double size = std::sqrt(squares / static_cast<double>(values.width()));
  values.row(row)[static_cast<std::size_t>(column)] += size > 0 ? 0.01 * size : 0.01;
  return Array::from(values).cast(value.dtype());
}

/// The first choice of the first row replaced by the worst of all.
Array perturbed_choice(const Decision& decision) {
  Tensor<std::int64_t> chosen = decision.chosen;
  const auto scores = decision.scores.row(0);
  chosen[0] = std::ranges::min_element(scores) - scores.begin();
  return Array::from(chosen);
}

TEST_P(JudgeCase, AnotherOrderOfSummationMatches) {
  const Problem problem = small_problem(GetParam());
  const Judgement judgement = judge_float32(problem, run_permuted(problem, Dtype::f32));
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
  EXPECT_LE(judgement.used, 1.0);
  EXPECT_EQ(judgement.message, "");
}

TEST_P(JudgeCase, EveryTapIsJudgedInTheOrderOfExecution) {
  const Problem problem = small_problem(GetParam());
  const Trace trace = run_permuted(problem, Dtype::f32);
  const Judgement judgement = judge_float32(problem, trace);
  ASSERT_EQ(judgement.taps.size(), trace.entries().size());
  for (std::size_t i = 0; i < judgement.taps.size(); ++i) {
    EXPECT_EQ(judgement.taps[i].name, trace.entries()[i].first);
  }
}

TEST_P(JudgeCase, OneWrongValueIsAMismatchOfItsTap) {
  const Problem problem = small_problem(GetParam());
  const Trace right = run_permuted(problem, Dtype::f32);
  const auto decisions = oracle_decisions(problem);
  for (const auto& [name, value] : right.entries()) {
    SCOPED_TRACE(name);
    Array wrong;
    if (const auto decision = decisions.find(name); decision != decisions.end()) {
      wrong = perturbed_choice(decision->second);
    } else if (is_floating_point(value.dtype())) {
      wrong = perturbed_float(value);
    } else {
      Tensor<std::int64_t> integers = value.to_int64();
      integers[integers.size() - 1] += 1;
      wrong = Array::from(integers);
    }
    const Judgement judgement = judge(problem, with_tap(right, name, wrong), Dtype::f32, false);
    EXPECT_EQ(judgement.verdict, Verdict::mismatch);
    EXPECT_THAT(judgement.message, StartsWith(name + " "));
    const auto first = std::ranges::find_if(
        judgement.taps, [](const TapResult& tap) { return tap.verdict != Verdict::match; });
    ASSERT_NE(first, judgement.taps.end());
    EXPECT_EQ(first->name, name);
    ASSERT_TRUE(judgement.first_divergence.has_value());
    EXPECT_EQ(judgement.first_divergence->tap, name);
    EXPECT_GT(judgement.used, 1.0);
  }
}

TEST_P(JudgeCase, ATapOfZerosIsNotBelievedWhereTheOracleIsNotZero) {
  const Problem problem = small_problem(GetParam());
  const Trace right = run_permuted(problem, Dtype::f32);
  for (const auto& [name, value] : right.entries()) {
    if (!is_floating_point(value.dtype()) || name.ends_with("expert_counts")) continue;
    SCOPED_TRACE(name);
    const Tensor<float> zeros(value.shape());
    const Judgement judgement = judge(problem, with_tap(right, name, Array::from(zeros)), Dtype::f32, false);
    if (value.to<float>().data == zeros.data) {  // aux_loss of a model without experts
      EXPECT_EQ(judgement.verdict, Verdict::match);
    } else {
      EXPECT_FALSE(is_success(judgement.verdict));
      EXPECT_EQ(judgement.message, name + " is all zero");
      const auto tap = std::ranges::find(judgement.taps, name, &TapResult::name);
      ASSERT_NE(tap, judgement.taps.end());
      EXPECT_EQ(tap->verdict, Verdict::untrusted);
    }
  }
}

TEST_P(JudgeCase, TheOracleUsesNothing) {
  const Problem problem = small_problem(GetParam());
  Tracer tracer;
  run_reference(problem, Dtype::f64, kPlain, tracer);
  const Judgement judgement = judge(problem, tracer.trace(), Dtype::f64, false);
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
  EXPECT_EQ(judgement.used, 0.0);
}

TEST_P(JudgeCase, ThePlainReferenceIsNotComparedWithItself) {
  const Problem problem = small_problem(GetParam());
  Tracer tracer;
  run_reference(problem, Dtype::f32, kPlain, tracer);
  const Judgement judgement = judge(problem, tracer.trace(), Dtype::f32, true);
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
}

}  // namespace
}  // namespace forgecheck
