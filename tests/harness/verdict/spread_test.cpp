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

TEST(SpreadBound, OfTheWholeDoesNotTakeAwayWhatTheBaselineGrants) {
  TapValues tap = ones({8, 8}, Dtype::f32);
  for (double& value : tap.baseline.data) value += 1e-3;
  const Spread spread{Tensor<double>(tap.oracle.shape), 1e-6};
  for (const double share : {0.99, 1.01}) {
    Tensor<double> candidate = tap.oracle;
    for (double& value : candidate.data) value += share * 4 * 1e-3;  // kappa
    EXPECT_EQ(
        compare_floating("tap", Array::from(candidate), tap.oracle, tap.baseline, tap.type, &spread).verdict,
        share < 1 ? Verdict::match : Verdict::mismatch);
  }
}

/// The spreads over so many runs.
Spreads spreads_over(int draws, const Problem& problem, const Trace& candidate, const ReferenceRun& oracle,
                     const std::set<std::string>& names, Dtype type) {
  Spreads result;
  measure_spreads(problem, candidate, oracle, names, {}, type, [&](const Spreads& spreads, int so_far) {
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

const std::string kContext = "layers.0.attention.context";

/// The spread of attention's context by its definition, over 16 runs that take `orders` orders of rounding in
/// turn, two runs each.
Spread spread_by_definition(const Judged& judged, std::size_t orders) {
  const Tensor<double> oracle = judged.oracle.trace.at(kContext).to<double>();
  std::vector<Tensor<double>> squares(orders, Tensor<double>(oracle.shape));
  std::vector<int> runs(orders);
  Spread spread{Tensor<double>(oracle.shape), 0.0};
  double largest_mean = 0;
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    const ReferenceRun run = sampled_forced(judged.problem, judged.type, seed, judged.candidate, {kContext});
    const Tensor<double> values = run.trace.at(kContext).to<double>();
    const std::size_t order = seed / 2 % 3 % orders;
    ++runs[order];
    double mean = 0;
    for (std::int64_t i = 0; i < oracle.size(); ++i) {
      const double square = std::pow(values[i] - oracle[i], 2);
      squares[order][i] += square;
      spread.reach[i] = std::max(spread.reach[i], std::abs(values[i] - oracle[i]));
      mean += square / static_cast<double>(oracle.size());
    }
    largest_mean = std::max(largest_mean, mean);
  }
  for (std::int64_t i = 0; i < oracle.size(); ++i) {
    for (std::size_t order = 0; order < orders; ++order) {
      spread.reach[i] = std::max(spread.reach[i], 3 * std::sqrt(squares[order][i] / runs[order]));
    }
  }
  const double stored = root_mean_square(half_units(oracle, judged.type).data);
  spread.whole = std::sqrt(largest_mean + stored * stored / 3);
  return spread;
}

void expect_equal(const Spread& spread, const Spread& expected) {
  for (std::int64_t i = 0; i < expected.reach.size(); ++i)
    EXPECT_DOUBLE_EQ(spread.reach[i], expected.reach[i]);
  EXPECT_DOUBLE_EQ(spread.whole, expected.whole);
}

// Of three orders of rounding an implementation has one.
TEST(MeasuredSpreads, ReachThreeTimesTheRootMeanSquareOfOneOrderAndAsFarAsAnyRun) {
  expect_equal(bfloat16().measure({kContext}).at(kContext), spread_by_definition(bfloat16(), 3));
}

TEST(MeasuredSpreads, InFloat32AreOfOneOrder) {
  expect_equal(float32().measure({kContext}).at(kContext), spread_by_definition(float32(), 1));
}

TEST(MeasuredSpreads, EndEarlyWhereThatIsEnough) {
  EXPECT_NE(float32().measure({"logits"}, kFirstDraws).at("logits").reach.data,
            float32().measure({"logits"}, kDraws).at("logits").reach.data);
}

TEST(MeasuredSpreads, AreShownAfterFourRunsSixteenAndFourTimesAsManyUpTo256) {
  std::vector<int> shown;
  measure_spreads(float32().problem, float32().candidate, float32().oracle, {"logits"}, {}, Dtype::f32,
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
