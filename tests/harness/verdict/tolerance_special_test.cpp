// The comparator on values that are not numbers, on wrong shapes and types, and on nothing at all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

/// Both sides of one element of a right tap of 3 x 4: the oracle's, its baseline's and the candidate's value.
TapResult with_element(double oracle, double baseline, double candidate) {
  constexpr std::int64_t kAt = 6;  // [1, 2]
  TapValues tap = tap_values({3, 4});
  Tensor<double> values = right_candidate(tap);
  tap.oracle[kAt] = oracle;
  tap.baseline[kAt] = baseline;
  values[kAt] = candidate;
  return tap.compare(values);
}

TEST(CompareSpecial, NanWhereTheOracleIsFiniteIsAMismatchAtItsIndex) {
  const TapResult result = with_element(0.5, 0.5, kNan);
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_EQ(result.used, kInfinity);
  EXPECT_THAT(result.message, HasSubstr("nan at [1, 2]"));
  EXPECT_THAT(result.message, HasSubstr("the oracle is 0.5"));
}

TEST(CompareSpecial, FiniteWhereTheOracleIsNanIsAMismatch) {
  EXPECT_EQ(with_element(kNan, kNan, 0.5).verdict, Verdict::mismatch);
}

TEST(CompareSpecial, NanOnBothSidesIsEqual) {
  EXPECT_EQ(with_element(kNan, kNan, kNan).verdict, Verdict::match);
}

TEST(CompareSpecial, NanDoesNotHideAWrongElementBesideIt) {
  TapValues tap = tap_values({2, 4});
  Tensor<double> values = right_candidate(tap);
  tap.oracle[0] = tap.baseline[0] = values[0] = kNan;
  values[1] += 0.01;
  const TapResult result = tap.compare(values);
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_THAT(result.message, HasSubstr("at [0, 1]"));
}

TEST(CompareSpecial, InfinitiesOfOneSignAreEqual) {
  EXPECT_EQ(with_element(kInfinity, kInfinity, kInfinity).verdict, Verdict::match);
  EXPECT_EQ(with_element(-kInfinity, -kInfinity, -kInfinity).verdict, Verdict::match);
}

TEST(CompareSpecial, InfinitiesOfOppositeSignsAreAMismatch) {
  EXPECT_EQ(with_element(kInfinity, kInfinity, -kInfinity).verdict, Verdict::mismatch);
  EXPECT_EQ(with_element(-kInfinity, -kInfinity, kInfinity).verdict, Verdict::mismatch);
}

TEST(CompareSpecial, InfiniteOnOneSideIsAMismatch) {
  EXPECT_EQ(with_element(0.5, 0.5, kInfinity).verdict, Verdict::mismatch);
  EXPECT_EQ(with_element(0.5, 0.5, -kInfinity).verdict, Verdict::mismatch);
  EXPECT_EQ(with_element(kInfinity, kInfinity, 1e300).verdict, Verdict::mismatch);
  EXPECT_EQ(with_element(kInfinity, kInfinity, kNan).verdict, Verdict::mismatch);
  EXPECT_EQ(with_element(kNan, kNan, kInfinity).verdict, Verdict::mismatch);
}

TEST(CompareSpecial, AnInfiniteBaselineDoesNotMakeAnInfiniteTolerance) {
  // A right candidate cannot be told from a wrong one here, and neither may pass as a match.
  const TapResult right = with_element(0.5, kInfinity, 0.5);
  EXPECT_EQ(right.verdict, Verdict::untrusted);
  EXPECT_EQ(right.used, kInfinity) << "no tolerance can help";
  EXPECT_EQ(right.message, "cannot be judged: the plain reference in float32 is inf at [1, 2]");
  EXPECT_EQ(with_element(0.5, kNan, 123.0).verdict, Verdict::untrusted);
}

TEST(CompareSpecial, NegativeValuesAreComparedAsOthersAre) {
  EXPECT_EQ(with_element(-0.5, -0.5, -0.5).verdict, Verdict::match);
  EXPECT_EQ(with_element(-0.5, -0.5, -0.6).verdict, Verdict::mismatch);
  EXPECT_EQ(with_element(-0.5, -0.5, 0.5).verdict, Verdict::mismatch);
}

TEST(CompareSpecial, DenormalsAreNotTakenForZero) {
  const double denormal = 1e-40;  // below float's smallest normal number, 1.2e-38
  TapValues tap{draws("oracle", {4, 8}, denormal), draws("oracle", {4, 8}, denormal)};
  tap.baseline[3] += 1e-45;
  EXPECT_EQ(tap.verdict(tap.oracle), Verdict::match);
  EXPECT_EQ(tap.verdict(Tensor<double>({4, 8})), Verdict::mismatch);
  Tensor<double> wrong = tap.oracle;
  wrong[9] += 0.1 * denormal;
  EXPECT_EQ(tap.verdict(wrong), Verdict::mismatch);
}

TEST(CompareSpecial, ShapesOfOneCountAreNotOneShape) {
  const TapValues tap = tap_values({3, 4});
  for (const Shape& shape : {Shape{4, 3}, Shape{12}, Shape{1, 3, 4}, Shape{3, 4, 1}}) {
    const TapResult result = tap.compare(tap.oracle.reshaped(shape));
    EXPECT_EQ(result.verdict, Verdict::mismatch) << to_string(shape);
    EXPECT_THAT(result.message, HasSubstr(to_string(shape)));
    EXPECT_THAT(result.message, HasSubstr("3x4"));
  }
}

TEST(CompareSpecial, IntegersAreNoFloats) {
  TapValues tap{Tensor<double>({2}, {1, 2}), Tensor<double>({2}, {1, 2})};
  EXPECT_EQ(tap.verdict(Tensor<double>({2}, {1, 2})), Verdict::match);
  const TapResult integers = tap.compare(Array::from(Tensor<std::int64_t>({2}, {1, 2})));
  EXPECT_EQ(integers.verdict, Verdict::mismatch);
  EXPECT_THAT(integers.message, HasSubstr("int64"));
  EXPECT_EQ(tap.compare(Array::from(Tensor<std::uint8_t>({2}, {1, 1}))).verdict, Verdict::mismatch);
}

TEST(CompareSpecial, EmptyTensorsMatchOnlyTheirOwnShape) {
  for (const Shape& shape : {Shape{0}, Shape{0, 4}, Shape{4, 0}}) {
    const TapValues tap{Tensor<double>(shape), Tensor<double>(shape)};
    EXPECT_EQ(tap.verdict(Tensor<double>(shape)), Verdict::match) << to_string(shape);
    EXPECT_EQ(tap.verdict(Tensor<double>({2, 0})), Verdict::mismatch) << to_string(shape);
    EXPECT_EQ(tap.verdict(Tensor<double>({1})), Verdict::mismatch) << to_string(shape);
  }
}

TEST(CompareSpecial, ScalarsAreCompared) {
  const TapValues tap{Tensor<double>(Shape{}, {2.0}), Tensor<double>(Shape{}, {2.0 + 1e-7})};
  EXPECT_EQ(tap.verdict(Tensor<double>(Shape{}, {2.0 - 1e-7})), Verdict::match);
  EXPECT_EQ(tap.verdict(Tensor<double>(Shape{}, {2.0001})), Verdict::mismatch);
  EXPECT_EQ(tap.verdict(Tensor<double>(Shape{}, {-2.0})), Verdict::mismatch);
  EXPECT_EQ(tap.verdict(Tensor<double>({1}, {2.0})), Verdict::mismatch);
}

TEST(CompareIntegers, OneDifferenceIsAMismatchAtItsIndex) {
  const Array oracle = Array::from(Tensor<std::int64_t>({2, 2}, {1, 2, 3, 4}));
  const TapResult same = compare_integers("tap", oracle, oracle);
  EXPECT_EQ(same.verdict, Verdict::match);
  EXPECT_EQ(same.error, 0);
  EXPECT_EQ(same.used, 0);
  const TapResult result =
      compare_integers("tap", Array::from(Tensor<std::int64_t>({2, 2}, {1, 2, -3, 4})), oracle);
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_THAT(result.message, HasSubstr("-3 at [1, 0]"));
}

TEST(CompareIntegers, FractionsNanAndShapesAreMismatches) {
  const Array oracle = Array::from(Tensor<std::int64_t>({2}, {1, 2}));
  EXPECT_EQ(compare_integers("tap", Array::from(Tensor<double>({2}, {1, 2.000001})), oracle).verdict,
            Verdict::mismatch);
  EXPECT_EQ(compare_integers("tap", Array::from(Tensor<double>({2}, {1, kNan})), oracle).verdict,
            Verdict::mismatch);
  EXPECT_EQ(compare_integers("tap", Array::from(Tensor<std::int64_t>({2, 1}, {1, 2})), oracle).verdict,
            Verdict::mismatch);
}

}  // namespace
}  // namespace forgecheck
