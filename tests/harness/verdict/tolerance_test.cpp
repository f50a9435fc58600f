// What the comparator lets through and what it does not, on finite values: errors of float32's size pass, and
// the mistakes that implementations make do not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "reference/error.h"
#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

double row_rms(const Tensor<double>& x, std::int64_t r) {
  double squares = 0;
  for (const double value : x.row(r)) squares += value * value;
  return std::sqrt(squares / static_cast<double>(x.width()));
}

/// O + factor * (B - O).
Tensor<double> with_baseline_error(const TapValues& tap, double factor) {
  Tensor<double> values = tap.oracle;
  for (std::int64_t i = 0; i < values.size(); ++i) values[i] += factor * (tap.baseline[i] - tap.oracle[i]);
  return values;
}

/// Every value of a right candidate put through `change`.
template <class Change>
Tensor<double> changed(const TapValues& tap, const Change& change) {
  Tensor<double> values = right_candidate(tap);
  for (double& value : values.data) value = change(value);
  return values;
}

// ---- what passes ----

TEST(CompareFloating, TheBaselineItselfPasses) {
  const TapValues tap = tap_values({64, 32});
  EXPECT_EQ(tap.verdict(tap.baseline), Verdict::match);
}

TEST(CompareFloating, AnotherRightImplementationPasses) {
  const TapValues tap = tap_values({64, 32});
  const TapResult result = tap.compare(right_candidate(tap));
  EXPECT_EQ(result.verdict, Verdict::match);
  EXPECT_GT(result.used, 0.0);
  EXPECT_LT(result.used, 0.5);
}

TEST(CompareFloating, TwiceTheBaselinesErrorPassesAndTwentyTimesFails) {
  for (const Dtype type : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    const TapValues tap = tap_values({64, 32}, type);
    EXPECT_EQ(tap.verdict(with_baseline_error(tap, 2)), Verdict::match) << torch_name(type);
    EXPECT_EQ(tap.verdict(with_baseline_error(tap, -2)), Verdict::match) << torch_name(type);
    EXPECT_EQ(tap.verdict(with_baseline_error(tap, 20)), Verdict::mismatch) << torch_name(type);
  }
}

TEST(CompareFloating, TheOracleItselfUsesNothing) {
  const TapValues tap = tap_values({8, 8});
  EXPECT_EQ(tap.compare(tap.oracle).used, 0.0);
}

TEST(CompareFloating, AnExactBaselineLeavesAFewUnitsInTheLastPlace) {
  const Tensor<double> values = draws("oracle", {8, 8}, 1.7);
  const TapValues tap{values, values};
  EXPECT_EQ(tap.verdict(with_error(values, "candidate", 0x1p-24)), Verdict::match);
  EXPECT_EQ(tap.verdict(with_error(values, "candidate", 1e-5)), Verdict::mismatch);
}

TEST(CompareFloating, ZerosWhereTheOracleIsZeroPass) {
  const TapValues tap{Tensor<double>({3, 4}), Tensor<double>({3, 4})};
  const TapResult result = tap.compare(Tensor<double>({3, 4}));
  EXPECT_EQ(result.verdict, Verdict::match);
  EXPECT_EQ(result.used, 0.0);
}

// ---- single elements and rows ----

TEST(CompareFloating, OneWrongElementOfManyIsFoundAtItsIndex) {
  const TapValues tap = tap_values({1000, 512});
  Tensor<double> values = right_candidate(tap);
  values[700 * 512 + 13] += 0.01 * row_rms(tap.oracle, 700);
  const TapResult result = tap.compare(values);
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_GT(result.used, 1.0);
  EXPECT_THAT(result.message, HasSubstr("at [700, 13]"));
}

TEST(CompareFloating, OneWrongRowIsFound) {
  const TapValues tap = tap_values({1000, 64});
  Tensor<double> values = right_candidate(tap);
  for (double& value : values.row(345)) value *= 1.001;
  const TapResult result = tap.compare(values);
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_THAT(result.message, HasSubstr("at [345, "));
}

TEST(CompareFloating, ASmallRowIsHeldToItsNeighboursRounding) {
  // The row is a thousand times smaller than the others and wrong by a tenth of its own size.
  TapValues tap = tap_values({100, 64});
  for (double& value : tap.oracle.row(50)) value *= 1e-3;
  for (double& value : tap.baseline.row(50)) value *= 1e-3;
  Tensor<double> values = right_candidate(tap);
  EXPECT_EQ(tap.verdict(values), Verdict::match);
  values.row(50)[7] += 0.1 * row_rms(tap.oracle, 50);
  const TapResult result = tap.compare(values);
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_THAT(result.message, HasSubstr("at [50, 7]"));
}

TEST(CompareFloating, ARowOfZerosMustNotBeWrittenTo) {
  TapValues tap = tap_values({10, 16});
  std::ranges::fill(tap.oracle.row(4), 0.0);
  std::ranges::fill(tap.baseline.row(4), 0.0);
  Tensor<double> values = right_candidate(tap);
  EXPECT_EQ(tap.verdict(values), Verdict::match);
  values.row(4)[2] = 1e-30;
  const TapResult result = tap.compare(values);
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_THAT(result.message, HasSubstr("at [4, 2]"));
}

TEST(CompareFloating, TwoSwappedRowsAreAMismatch) {
  const TapValues tap = tap_values({100, 16});
  Tensor<double> values = right_candidate(tap);
  std::ranges::swap_ranges(values.row(20), values.row(21));
  EXPECT_EQ(tap.verdict(values), Verdict::mismatch);
}

TEST(CompareFloating, SaysWhichElementIsWorstAndByHowMuch) {
  Tensor<double> values({2, 8}, std::vector<double>(16, 1.0));
  const TapValues tap{values, values, Dtype::f32};
  values[3] += 0.25;
  values[9] += 0.5;
  values[12] += 0.5;
  const TapResult result = tap.compare(values);
  EXPECT_EQ(result.name, "tap");
  EXPECT_EQ(result.error, 0.5);
  EXPECT_DOUBLE_EQ(result.tolerance, 33 * 0x1p-24);
  EXPECT_DOUBLE_EQ(result.used, (0.5 - 0x1p-24) / (32 * 0x1p-24));
  EXPECT_EQ(result.message, "is 1.5 at [1, 1], the oracle is 1 (error 0.5, tolerance 1.96695328e-06)");
}

TEST(CompareFloating, SaysThatATapIsOffAsAWhole) {
  const Tensor<double> oracle({8, 8}, std::vector<double>(64, 1.0));
  const TapValues tap{oracle, Tensor<double>({8, 8}, std::vector<double>(64, 1.05)), Dtype::f32};
  const TapResult result = tap.compare(Tensor<double>({8, 8}, std::vector<double>(64, 1.25)));
  EXPECT_DOUBLE_EQ(result.error, 0.25);
  EXPECT_DOUBLE_EQ(result.tolerance, 0.2);
  EXPECT_DOUBLE_EQ(result.used, 1.25);
  EXPECT_EQ(result.message, "is off as a whole: root mean square error 0.25, tolerance 0.2");
  Tensor<double> uneven({8, 8}, std::vector<double>(64, 1.24));
  for (std::int64_t i = 0; i < 32; ++i) uneven[i] = 1.26;
  EXPECT_DOUBLE_EQ(tap.compare(uneven).error, std::sqrt((0.26 * 0.26 + 0.24 * 0.24) / 2));
  const TapResult right = tap.compare(Tensor<double>({8, 8}, std::vector<double>(64, 1.1)));
  EXPECT_DOUBLE_EQ(right.used, 0.5);
  EXPECT_EQ(right.message, "");
}

// ---- mistakes that leave every value plausible ----

TEST(CompareFloating, AUniformScaleIsAMismatch) {
  const TapValues tap = tap_values({64, 32});
  EXPECT_EQ(tap.verdict(changed(tap, [](double x) { return x * (1 + 1e-4); })), Verdict::mismatch);
  EXPECT_EQ(tap.verdict(changed(tap, [](double x) { return x * (1 - 1e-5); })), Verdict::mismatch);
}

TEST(CompareFloating, AnOffsetIsAMismatch) {
  const TapValues tap = tap_values({64, 32});
  EXPECT_EQ(tap.verdict(changed(tap, [](double x) { return x + 1e-5; })), Verdict::mismatch);
}

TEST(CompareFloating, AFlippedSignIsAMismatch) {
  const TapValues tap = tap_values({64, 32});
  EXPECT_EQ(tap.verdict(changed(tap, [](double x) { return -x; })), Verdict::mismatch);
}

TEST(CompareFloating, ValuesOffByOnePositionAreAMismatch) {
  const TapValues tap = tap_values({64, 32});
  Tensor<double> values = right_candidate(tap);
  std::ranges::rotate(values.data, values.data.begin() + 1);
  EXPECT_EQ(tap.verdict(values), Verdict::mismatch);
  std::ranges::rotate(values.data, values.data.begin() + 31);  // a whole row
  EXPECT_EQ(tap.verdict(values), Verdict::mismatch);
}

TEST(CompareFloating, ATransposedSquareMatrixIsAMismatch) {
  const TapValues tap = tap_values({32, 32});
  Tensor<double> values = right_candidate(tap);
  for (std::int64_t r = 0; r < 32; ++r) {
    for (std::int64_t c = 0; c < r; ++c) std::swap(values[r * 32 + c], values[c * 32 + r]);
  }
  EXPECT_EQ(tap.verdict(values), Verdict::mismatch);
}

TEST(CompareFloating, AllZeroIsAMismatch) {
  const TapValues tap = tap_values({64, 32});
  EXPECT_EQ(tap.verdict(Tensor<double>({64, 32})), Verdict::mismatch);
}

TEST(CompareFloating, ManySmallErrorsAreAMismatchThoughNoRowAloneIs) {
  // Six times the baseline's error in every row: within the factor of a single row, not within the whole's.
  const TapValues tap = tap_values({64, 32});
  EXPECT_EQ(tap.verdict(with_baseline_error(tap, 6)), Verdict::mismatch);
}

TEST(CompareFloating, AFloat32ErrorIsAMismatchInFloat64) {
  const TapValues tap = tap_values({64, 32}, Dtype::f64);
  EXPECT_EQ(tap.verdict(right_candidate(tap)), Verdict::match);
  EXPECT_EQ(tap.verdict(right_candidate(tap_values({64, 32}, Dtype::f32))), Verdict::mismatch);
}

TEST(Kappa, OnlyComputingTypesHaveOne) {
  for (const Dtype type : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    EXPECT_GE(kappa(type), 2.0);
    EXPECT_LE(kappa(type), 4.0);
  }
  EXPECT_THROW(kappa(Dtype::i64), ConfigError);
  EXPECT_THROW(kappa(Dtype::f16), ConfigError);
}

TEST(ElementTolerances, AreAFewRoundingsOfTheRow) {
  const TapValues tap = tap_values({5, 4});
  const Tensor<double> tolerances = element_tolerances(tap.oracle, tap.baseline, Dtype::f32);
  EXPECT_EQ(tolerances.shape, tap.oracle.shape);
  for (const double tolerance : tolerances.data) {
    EXPECT_GT(tolerance, 1e-7);
    EXPECT_LT(tolerance, 1e-4);
  }
}

/// Values rounded once to bfloat16, and a baseline that is one of them: what is left to an element is its own
/// rounding, so one more unit in the last place is too much wherever it is.
TEST(CompareFloating, StoringInBfloat16CostsHalfAUnitOfEachElementAndNoMore) {
  const Tensor<double> oracle = draws("oracle", {16, 32}, 1.7);
  const auto rounded = [&](double units) {
    Tensor<double> values = Array::from(oracle).cast(Dtype::bf16).to<double>();
    int exponent = 0;
    std::frexp(oracle[37], &exponent);
    values[37] += units * std::ldexp(1.0, exponent - 8);
    return values;
  };
  const TapValues tap{oracle, rounded(0), Dtype::bf16};
  EXPECT_EQ(tap.compare(rounded(0)).verdict, Verdict::match);
  EXPECT_EQ(tap.compare(rounded(1)).verdict, Verdict::mismatch);
  EXPECT_EQ(tap.compare(rounded(-1)).verdict, Verdict::mismatch);
}

TEST(CompareFloating, OneBadBaselineRowDoesNotLoosenTheOthers) {
  TapValues tap = tap_values({100, 64});
  for (double& value : tap.baseline.row(3)) value *= 1.01;
  Tensor<double> values = right_candidate(tap);
  values.row(50)[0] += 0.01;
  EXPECT_EQ(tap.verdict(values), Verdict::mismatch);
}
TEST(CompareFloating, AVerySmallRowOfTheWrongSignIsFound) {
  TapValues tap = tap_values({100, 64});
  for (double& value : tap.oracle.row(50)) value *= 1e-6;
  for (double& value : tap.baseline.row(50)) value *= 1e-6;
  Tensor<double> values = right_candidate(tap);
  for (double& value : values.row(50)) value = -value;
  EXPECT_EQ(tap.verdict(values), Verdict::mismatch);
}

}  // namespace
}  // namespace forgecheck
