#include "harness/verdict/spread.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

/// An oracle of ones in rows of `width`, and a baseline that is exact.
TapValues ones(const Shape& shape, Dtype type) {
  Tensor<double> oracle(shape);
  for (double& value : oracle.data) value = 1;
  return {oracle, oracle, type};
}

/// A spread in which only element 0 may be off.
Spread reaching(const TapValues& tap, double reach, double whole = 0) {
  Spread spread{Tensor<double>(tap.oracle.shape), whole};
  spread.reach[0] = reach;
  return spread;
}

Verdict verdict_of(const TapValues& tap, std::int64_t i, double error, const Spread& spread) {
  Tensor<double> candidate = tap.oracle;
  candidate[i] += error;
  return compare_floating("tap", Array::from(candidate), tap.oracle, tap.baseline, tap.type, &spread).verdict;
}

TEST(SpreadBound, IsTheReachOfEachElement) {
  const TapValues tap = ones({4, 8}, Dtype::f32);
  const Spread spread = reaching(tap, 1e-3);
  EXPECT_EQ(verdict_of(tap, 0, 0.99 * 1e-3, spread), Verdict::match);
  EXPECT_EQ(verdict_of(tap, 0, 1.01 * 1e-3, spread), Verdict::mismatch);
  EXPECT_EQ(verdict_of(tap, 1, 0.1 * 1e-3, spread), Verdict::mismatch) << "another element of the row";
}

TEST(SpreadBound, HalfAUnitInTheLastPlaceIsGrantedBeside) {
  const TapValues tap = ones({4, 8}, Dtype::bf16);
  const Spread spread = reaching(tap, 1e-2);
  EXPECT_EQ(verdict_of(tap, 0, 0x1p-8 + 0.99 * 1e-2, spread), Verdict::match);
  EXPECT_EQ(verdict_of(tap, 0, 0x1p-8 + 1.01 * 1e-2, spread), Verdict::mismatch);
}

TEST(SpreadBound, DoesNotTakeAwayWhatTheBaselineGrants) {
  const TapValues tap = ones({4, 8}, Dtype::f32);
  const double granted = 2 * 4 * 4 * 0x1p-24;  // kOutlier kappa kFloor u
  EXPECT_EQ(verdict_of(tap, 0, 0.99 * granted, reaching(tap, 1e-12)), Verdict::match);
  EXPECT_EQ(verdict_of(tap, 0, 1.05 * granted, reaching(tap, 1e-12)), Verdict::mismatch);
}

TEST(SpreadBound, OfTheWholeIsTwiceTheFarthestRun) {
  const TapValues tap = ones({8, 8}, Dtype::f32);
  Spread spread{Tensor<double>(tap.oracle.shape), 1e-3};
  for (double& value : spread.reach.data) value = 1;
  Tensor<double> candidate = tap.oracle;
  const auto verdict = [&](double error) {
    for (std::int64_t i = 0; i < candidate.size(); ++i) candidate[i] = 1 + error;
    return compare_floating("tap", Array::from(candidate), tap.oracle, tap.baseline, tap.type, &spread)
        .verdict;
  };
  EXPECT_EQ(verdict(0.99 * 2e-3), Verdict::match);
  EXPECT_EQ(verdict(1.01 * 2e-3), Verdict::mismatch);
}

/// The spreads over so many runs.
Spreads spreads_over(int draws, const Problem& problem, const Trace& candidate, const ReferenceRun& oracle,
                     const std::set<std::string>& names, Dtype type) {
  Spreads result;
  measure_spreads(problem, candidate, oracle, names, type, [&](const Spreads& spreads, int so_far) {
    result = spreads;
    return so_far == draws ? Draws::enough : Draws::more;
  });
  return result;
}

/// A trace and the oracle forced to it.
struct Judged {
  Problem problem;
  Dtype type;
  Trace candidate = run_permuted(problem, type);
  ReferenceRun oracle = run_forced(problem, Dtype::f64, kPlain, candidate, Forcing::everything);

  Spreads measure(const std::set<std::string>& names, int draws = kDraws) const {
    return spreads_over(draws, problem, candidate, oracle, names, type);
  }
};

const Judged& float32() {
  static const Judged judged{small_problem(small_cases()[0]), Dtype::f32};
  return judged;
}

const Judged& bfloat16() {
  static const Judged judged{small_problem(small_cases()[0] + "/bfloat16"), Dtype::bf16};
  return judged;
}

TEST(MeasuredSpreads, AreThoseOfTheNamedTaps) {
  const Spreads spreads = float32().measure({"layers.0.attention.context", "logits"});
  ASSERT_EQ(spreads.size(), 2U);
  const Spread& spread = spreads.at("logits");
  EXPECT_EQ(spread.reach.shape, float32().candidate.at("logits").shape());
  // 16 products and sums of values near 1, each off by up to one or two u.
  EXPECT_GT(spread.whole, 0x1p-24);
  EXPECT_LT(spread.whole, 50 * 0x1p-24);
}

TEST(MeasuredSpreads, AreTheSameAtEachCall) {
  EXPECT_EQ(float32().measure({"logits"}).at("logits").reach.data,
            float32().measure({"logits"}).at("logits").reach.data);
}

// Three orders of rounding in turn, two runs each: an implementation has one of them.
TEST(MeasuredSpreads, ReachThreeTimesTheRootMeanSquareOfOneOrderAndAsFarAsAnyRun) {
  const std::string context = "layers.0.attention.context";
  const Tensor<double> oracle = bfloat16().oracle.trace.at(context).to<double>();
  std::vector<Tensor<double>> squares(3, Tensor<double>(oracle.shape));
  std::vector<int> runs(3);
  Tensor<double> farthest(oracle.shape);
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    const ReferenceRun run =
        sampled_forced(bfloat16().problem, Dtype::bf16, seed, bfloat16().candidate, {context});
    const Tensor<double> values = run.trace.at(context).to<double>();
    const std::size_t order = seed / 2 % 3;
    ++runs[order];
    for (std::int64_t i = 0; i < oracle.size(); ++i) {
      squares[order][i] += std::pow(values[i] - oracle[i], 2);
      farthest[i] = std::max(farthest[i], std::abs(values[i] - oracle[i]));
    }
  }
  const Tensor<double> reach = bfloat16().measure({context}).at(context).reach;
  for (std::int64_t i = 0; i < oracle.size(); ++i) {
    double expected = farthest[i];
    for (std::size_t order = 0; order < 3; ++order) {
      expected = std::max(expected, 3 * std::sqrt(squares[order][i] / runs[order]));
    }
    EXPECT_DOUBLE_EQ(reach[i], expected) << i;
  }
}

TEST(MeasuredSpreads, EndEarlyWhereThatIsEnough) {
  EXPECT_NE(float32().measure({"logits"}, kFirstDraws).at("logits").reach.data,
            float32().measure({"logits"}, kDraws).at("logits").reach.data);
}

TEST(MeasuredSpreads, AreShownAfterFourRunsSixteenAndFourTimesAsManyUpTo256) {
  std::vector<int> shown;
  measure_spreads(float32().problem, float32().candidate, float32().oracle, {"logits"}, Dtype::f32,
                  [&](const Spreads&, int draws) {
                    shown.push_back(draws);
                    return Draws::more;
                  });
  EXPECT_EQ(shown, (std::vector<int>{4, 16, 64, 256}));
}

// The result of a matrix product is rounded once: before that, right implementations differ by float32's
// error.
TEST(MeasuredSpreads, LeaveOutTheLastRounding) {
  const Spread spread = bfloat16().measure({"layers.0.attention.q_proj"}).at("layers.0.attention.q_proj");
  for (const double reach : spread.reach.data) EXPECT_LT(reach, 0x1p-16);
}

TEST(MeasuredSpreads, ShowRoundingsInside) {
  const Spread spread = bfloat16().measure({"layers.0.attention.context"}).at("layers.0.attention.context");
  EXPECT_GT(root_mean_square(spread.reach.data), 0x1p-12);
}

const std::string kContext = "layers.0.attention.context";

Trace with_first(const Trace& trace, const std::string& tap, double first) {
  Tensor<double> values = trace.at(tap).to<double>();
  values[0] = first;
  return with_value(trace, tap, Array::from(values));
}

/// The spread of attention's context.
Spreads measure_context(const Trace& candidate, const ReferenceRun& oracle) {
  return spreads_over(kDraws, float32().problem, candidate, oracle, {kContext}, Dtype::f32);
}

TEST(MeasuredSpreads, AnElementThatTheOracleLeavesInfiniteHasNoError) {
  ReferenceRun oracle = float32().oracle;
  oracle.trace = with_first(oracle.trace, kContext, kInfinity);
  const Spreads spreads = measure_context(float32().candidate, oracle);
  ASSERT_TRUE(spreads.contains(kContext));
  EXPECT_EQ(spreads.at(kContext).reach[0], 0);
}

TEST(MeasuredSpreads, OfATapThatARunLeavesNaNThereIsNone) {
  const Trace broken = with_first(float32().candidate, "layers.0.attention.v_proj", kNan);
  EXPECT_FALSE(measure_context(broken, float32().oracle).contains(kContext));
}

}  // namespace
}  // namespace forgecheck
