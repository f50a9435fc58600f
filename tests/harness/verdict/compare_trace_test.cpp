// Which of the baselines, and which spread, a tap is compared with: literal evidence of one tap.
#include "harness/verdict/compare_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using Indices = Tensor<std::int64_t>;

ReferenceRun run_with(const std::string& tap, const Tensor<double>& values) {
  ReferenceRun run;
  run.trace.add(tap, Array::from(values));
  return run;
}

// ---- numbers ----

Evidence numbers(const std::vector<std::vector<double>>& baselines) {
  Evidence evidence;
  evidence.oracle = run_with("norm", Tensor<double>({2, 2}, {1, 1, 1, 1}));
  for (const auto& values : baselines)
    evidence.baselines.push_back(run_with("norm", Tensor<double>({2, 2}, values)));
  return evidence;
}

TEST(FarthestBaseline, IsThatOfEachElementInWhateverOrderTheyRan) {
  const std::vector<double> one = {1.5, 1, 0.8, 1}, other = {1.25, 2, 1.1, 1};
  EXPECT_THAT(farthest_baseline(numbers({one, other}), "norm").data, ElementsAre(1.5, 2, 0.8, 1));
  EXPECT_THAT(farthest_baseline(numbers({other, one}), "norm").data, ElementsAre(1.5, 2, 0.8, 1));
}

// An oracle that is infinite is met by an infinity, and by no number.
TEST(FarthestBaseline, IsTheNumberWhereTheOracleIsNone) {
  const std::vector<double> number = {5, 1, 1, 1}, same = {kInfinity, 1, 1, 1};
  for (const auto& baselines : {std::vector{number, same}, std::vector{same, number}}) {
    Evidence evidence = numbers(baselines);
    evidence.oracle = run_with("norm", Tensor<double>({2, 2}, same));
    EXPECT_EQ(farthest_baseline(evidence, "norm")[0], 5);
  }
}

TEST(FarthestBaseline, IsNaNWhereAnyOfThemIs) {
  const std::vector<double> number = {9, 1, 1, 1}, none = {kNan, 1, 1, 1};
  for (const auto& baselines : {std::vector{number, none}, std::vector{none, number}}) {
    EXPECT_TRUE(std::isnan(farthest_baseline(numbers(baselines), "norm")[0]));
  }
}

TapResult compared(const std::string& tap, const Array& value, const Evidence& evidence,
                   const std::string& text, std::vector<UndecidedChoice>* undecided = nullptr) {
  Trace candidate;
  candidate.add(tap, value);
  const Comparison comparison =
      compare_trace(candidate, evidence, parse_case_text(text).architecture, Dtype::f32);
  if (undecided != nullptr) *undecided = comparison.undecided;
  return comparison.taps.at(0);
}

TEST(CompareTrace, NumbersAreJudgedByTheirFarthestBaselineAndTheirSpread) {
  const Array off = Array::from(Tensor<double>({2, 2}, {1 + 4e-3, 1, 1, 1}));  // 2 kappa times 1e-3 are 8e-3
  const std::vector<double> exact = {1, 1, 1, 1}, error = {1 + 1e-3, 1, 1, 1};
  const std::string text = small_cases()[0];
  EXPECT_EQ(compared("norm", off, numbers({exact}), text).verdict, Verdict::mismatch);
  EXPECT_EQ(compared("norm", off, numbers({exact, error}), text).verdict, Verdict::match);
  EXPECT_EQ(compared("norm", off, numbers({error, exact}), text).verdict, Verdict::match);
  Evidence sampled = numbers({exact});
  sampled.spreads["norm"] = {Tensor<double>({2, 2}, {5e-3, 0, 0, 0}), 0};
  EXPECT_EQ(compared("norm", off, sampled, text).verdict, Verdict::match);
  Evidence of_another;
  of_another = numbers({exact});
  of_another.spreads["logits"] = sampled.spreads["norm"];
  EXPECT_EQ(compared("norm", off, of_another, text).verdict, Verdict::mismatch);
}

TEST(CompareTrace, ATapThatTheOracleLacksIsNotCompared) {
  Trace candidate;
  candidate.add("layers.0", Array::from(Tensor<double>({2, 2}, {7, 7, 7, 7})));
  const Comparison comparison = compare_trace(candidate, numbers({{1, 1, 1, 1}}),
                                              parse_case_text(small_cases()[0]).architecture, Dtype::f32);
  EXPECT_TRUE(comparison.taps.empty());
}

/// A bfloat16 tap (2, 10) of ones, in which the given elements are the next number.
Array ones_but(const std::vector<std::int64_t>& next) {
  Tensor<double> values({2, 10}, std::vector<double>(20, 1.0));
  for (const std::int64_t i : next) values[i] += 0x1p-7;
  return Array::from(values).cast(Dtype::bf16);
}

ReferenceRun run_of_ones_but(const std::vector<std::int64_t>& next) {
  ReferenceRun run;
  run.trace.add("norm", ones_but(next));
  return run;
}

// Else one flip would be excused wherever an order of rounding changes nothing.
TEST(CompareTrace, AnOrderOfRoundingThatIsABaselinesExcusesNothing) {
  Evidence evidence;
  evidence.oracle = run_of_ones_but({});
  evidence.baselines = {run_of_ones_but({}), run_of_ones_but({0})};
  Trace candidate;
  candidate.add("norm", ones_but({0, 13}));
  const auto verdict = [&] {
    return compare_trace(candidate, evidence, parse_case_text(small_cases()[0]).architecture, Dtype::bf16)
        .taps.at(0)
        .verdict;
  };
  EXPECT_EQ(verdict(), Verdict::mismatch);
  for (const std::vector<std::int64_t>& known : {std::vector<std::int64_t>{}, {0}}) {
    evidence.other_rounding = {run_of_ones_but(known)};
    EXPECT_EQ(verdict(), Verdict::mismatch);
  }
  evidence.other_rounding = {run_of_ones_but({}), run_of_ones_but({0, 17})};
  EXPECT_EQ(verdict(), Verdict::match) << "two flips of twenty from an order of its own";
}

// ---- choices ----

/// One token that chooses the first of two experts, whose scores differ by 1e-3; each baseline's are off by
/// so much.
Evidence choices(const std::vector<double>& errors) {
  const std::string tap = "layers.0.mlp.router.indices";
  const auto run = [&](double error) {
    ReferenceRun result;
    result.trace.add(tap, Array::from(Indices({1, 1}, {0})));
    result.decisions[tap] = {Indices({1, 1}, {0}), Tensor<double>({1, 2}, {0.5 + 1e-3 + error, 0.5})};
    return result;
  };
  Evidence evidence;
  evidence.oracle = run(0);
  for (const double error : errors) evidence.baselines.push_back(run(error));
  return evidence;
}

Verdict verdict_of_other_choice(const Evidence& evidence) {
  return compared("layers.0.mlp.router.indices", Array::from(Indices({1, 1}, {1})), evidence,
                  small_cases()[1])
      .verdict;
}

TEST(CompareTrace, ChoicesAreJudgedByTheFarthestScores) {
  EXPECT_EQ(verdict_of_other_choice(choices({0})), Verdict::mismatch);
  EXPECT_EQ(verdict_of_other_choice(choices({1e-3})), Verdict::undecided);
  EXPECT_EQ(verdict_of_other_choice(choices({0, -1e-3})), Verdict::undecided);
  EXPECT_EQ(verdict_of_other_choice(choices({1e-3, 0})), Verdict::undecided);
}

TEST(CompareTrace, ChoicesAreJudgedByTheSpreadOfTheirScores) {
  Evidence evidence = choices({0});
  evidence.spreads["layers.0.mlp.router.indices"] = {Tensor<double>({1, 2}, {6e-4, 6e-4}), 0};
  EXPECT_EQ(verdict_of_other_choice(evidence), Verdict::undecided);
}

// ---- generated tokens ----

/// Two prompts of one token, each continued by two of a vocabulary of three. The two best scores of
/// sequence 1's first new token, which is row 1 of the choices, nearly tie.
Evidence generated() {
  const auto run = [] {
    ReferenceRun result;
    result.trace.add("tokens", Array::from(Indices({2, 3}, {2, 0, 1, 2, 1, 0})));
    result.decisions["tokens"] = {Indices({4, 1}, {0, 1, 1, 0}),
                                  Tensor<double>({4, 3}, {0.9, 0.1, 0.2, 0.5, 0.5 + 1e-3, 0.1,  //
                                                          0.1, 0.9, 0.2, 0.9, 0.1, 0.2})};
    return result;
  };
  Evidence evidence;
  evidence.oracle = run();
  evidence.baselines.push_back(run());
  Tensor<double> reach({4, 3});
  for (double& value : reach.data) value = 6e-4;
  evidence.spreads["tokens"] = {reach, 0};
  return evidence;
}

TapResult with_tokens(const std::vector<std::int64_t>& tokens, const Evidence& evidence,
                      std::vector<UndecidedChoice>* undecided = nullptr) {
  return compared("tokens", Array::from(Indices({2, 3}, tokens)), evidence, small_cases()[8], undecided);
}

TEST(CompareTrace, GeneratedTokensAreChoicesStepByStep) {
  const Evidence evidence = generated();
  EXPECT_EQ(with_tokens({2, 0, 1, 2, 1, 0}, evidence).verdict, Verdict::match);
  std::vector<UndecidedChoice> undecided;
  EXPECT_EQ(with_tokens({2, 0, 1, 2, 0, 0}, evidence, &undecided).verdict, Verdict::undecided);
  ASSERT_EQ(undecided.size(), 1U);
  EXPECT_EQ(undecided[0].row, 1);
  for (const auto& wrong :
       {std::vector<std::int64_t>{2, 1, 1, 2, 1, 0}, {2, 0, 0, 2, 1, 0}, {2, 0, 1, 2, 1, 1}}) {
    EXPECT_EQ(with_tokens(wrong, evidence).verdict, Verdict::mismatch) << testing::PrintToString(wrong);
  }
}

TEST(CompareTrace, GeneratedTokensAreJudgedByTheSpreadOfTheirScores) {
  Evidence evidence = generated();
  evidence.spreads.clear();
  EXPECT_EQ(with_tokens({2, 0, 1, 2, 0, 0}, evidence).verdict, Verdict::mismatch);
}

TEST(CompareTrace, AnotherPromptIsAMismatchInEverySequence) {
  for (const auto& other : {std::vector<std::int64_t>{1, 0, 1, 2, 1, 0}, {2, 0, 1, 1, 1, 0}}) {
    const TapResult result = with_tokens(other, generated());
    EXPECT_EQ(result.verdict, Verdict::mismatch);
    EXPECT_THAT(result.message, testing::StartsWith("is 1 at ["));
  }
}

}  // namespace
}  // namespace forgecheck
