// Every term of the bound, for every type, as a number: nine tenths of it pass and eleven tenths do not.
// Oracles are ones, so that a row's size is 1; h(1) is 2^-53 in float64, 2^-24 in float32 and 2^-8 in
// bfloat16.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "reference/error.h"
#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

Tensor<double> ones(const Shape& shape) {
  Tensor<double> values(shape);
  for (double& value : values.data) value = 1;
  return values;
}

Tensor<double> with_element(Tensor<double> values, std::int64_t i, double error) {
  values[i] += error;
  return values;
}

/// Element `i` may be off by `beyond` after its h, and no more.
void expect_element_bound(const TapValues& tap, std::int64_t i, double h, double beyond) {
  EXPECT_EQ(tap.verdict(with_element(tap.oracle, i, h + 0.9 * beyond)), Verdict::match)
      << torch_name(tap.type);
  EXPECT_EQ(tap.verdict(with_element(tap.oracle, i, h + 1.1 * beyond)), Verdict::mismatch)
      << torch_name(tap.type);
  EXPECT_EQ(tap.verdict(with_element(tap.oracle, i, -h - 0.9 * beyond)), Verdict::match);
  EXPECT_EQ(tap.verdict(with_element(tap.oracle, i, -h - 1.1 * beyond)), Verdict::mismatch);
}

/// All elements may be off by `rms`, and no more.
void expect_bound_on_the_whole(const TapValues& tap, double rms) {
  for (const double share : {0.9, 1.1}) {
    Tensor<double> values = tap.oracle;
    for (double& value : values.data) value += share * rms;
    EXPECT_EQ(tap.verdict(values), share < 1 ? Verdict::match : Verdict::mismatch)
        << torch_name(tap.type) << " " << share;
  }
}

TEST(ToleranceTerm, ConstantsAreThoseOfTheDocumentedEvidence) {
  EXPECT_EQ(kappa(Dtype::f64), 4);
  EXPECT_EQ(kappa(Dtype::f32), 4);
  EXPECT_EQ(kappa(Dtype::bf16), 2);
  EXPECT_EQ(second_opinion(Dtype::f32), 0.45);
  EXPECT_EQ(second_opinion(Dtype::bf16), 0.55);
}

TEST(ToleranceTerm, TheFloorIsFourUnitsOfTheAccumulatingType) {
  const Tensor<double> exact = ones({4, 8});
  expect_element_bound({exact, exact, Dtype::f64}, 5, 0x1p-53, 2 * 4 * 4 * 0x1p-53);
  expect_element_bound({exact, exact, Dtype::f32}, 5, 0x1p-24, 2 * 4 * 4 * 0x1p-24);
  expect_element_bound({exact, exact, Dtype::bf16}, 5, 0x1p-8, 2 * 2 * 4 * 0x1p-24);
}

TEST(ToleranceTerm, TheBoundItselfPassesWithoutAMessage) {
  const TapValues tap{ones({4, 8}), ones({4, 8}), Dtype::f32};
  const TapResult result = tap.compare(with_element(tap.oracle, 5, 0x1p-24 + 2 * 4 * 4 * 0x1p-24));
  EXPECT_EQ(result.used, 1);
  EXPECT_EQ(result.verdict, Verdict::match);
  EXPECT_EQ(result.message, "");
}

TEST(ToleranceTerm, OfATapWithoutErrorsTheFirstElementsIsShown) {
  const TapValues tap{ones({4, 8}), ones({4, 8}), Dtype::f32};
  const TapResult result = tap.compare(tap.oracle);
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(result.tolerance, 0x1p-24 + 2 * 4 * 4 * 0x1p-24);
}

// float64 has 53 digits down to 2^-1074, float32 24 down to 2^-149, bfloat16 8 down to 2^-133; half a unit is the most
// that rounding to nearest costs.
TEST(ToleranceTerm, StoringCostsHalfAUnitOfEachTypeDenormalsIncluded) {
  const Tensor<double> values({5}, {1, -1.75, 3, 0x1p-140, 0});
  EXPECT_THAT(half_units(values, Dtype::f64).data,
              testing::ElementsAre(0x1p-53, 0x1p-53, 0x1p-52, 0x1p-193, 0));
  EXPECT_THAT(half_units(values, Dtype::f32).data,
              testing::ElementsAre(0x1p-24, 0x1p-24, 0x1p-23, 0x1p-150, 0));
  EXPECT_THAT(half_units(values, Dtype::bf16).data,
              testing::ElementsAre(0x1p-8, 0x1p-8, 0x1p-7, 0x1p-134, 0));
  // The smallest normal number has the unit of the denormal ones, twice as much has the next.
  EXPECT_THAT(half_units(Tensor<double>({2}, {0x1p-126, 0x1p-125}), Dtype::f32).data,
              testing::ElementsAre(0x1p-150, 0x1p-149));
  EXPECT_THAT(half_units(Tensor<double>({2}, {0x1p-126, 0x1p-125}), Dtype::bf16).data,
              testing::ElementsAre(0x1p-134, 0x1p-133));
  EXPECT_THAT(half_units(Tensor<double>({2}, {kInfinity, kNan}), Dtype::f32).data,
              testing::ElementsAre(0, 0));
}

TEST(ToleranceTerm, TheBaselinesErrorInTheRowCountsTwiceKappa) {
  const Tensor<double> exact = ones({4, 8});
  const Tensor<double> baseline = with_element(exact, 9, 1e-2);  // row 1
  expect_element_bound({exact, baseline, Dtype::f64}, 13, 0x1p-53, 8 * 1e-2);
  expect_element_bound({exact, baseline, Dtype::f32}, 13, 0x1p-24, 8 * (1e-2 - 0x1p-24));
  expect_element_bound({exact, baseline, Dtype::bf16}, 13, 0x1p-8, 4 * (1e-2 - 0x1p-8));
  // and does not count in another row
  expect_element_bound({exact, baseline, Dtype::f32}, 20, 0x1p-24, 2 * 4 * 4 * 0x1p-24);
}

/// Seven rows, all but the first with a baseline that is off by 1e-3; too few elements for a bound on the
/// whole.
TapValues typical_tap(std::int64_t width, Dtype type) {
  TapValues tap{ones({7, width}), ones({7, width}), type};
  for (std::int64_t r = 1; r < 7; ++r) tap.baseline[r * width] += 1e-3;
  return tap;
}

TEST(ToleranceTerm, TheTypicalRelativeErrorCountsInEveryRow) {
  TapValues tap = typical_tap(8, Dtype::f32);
  for (double& value : tap.oracle.row(0)) value = 16;
  for (double& value : tap.baseline.row(0)) value = 16;
  expect_element_bound(tap, 1, 16 * 0x1p-24, 8 * 16 * (1e-3 - 0x1p-24));
}

TEST(ToleranceTerm, TheTypicalAbsoluteErrorCountsInRowsOfFewerThanEight) {
  for (const std::int64_t width : {7, 8}) {
    TapValues tap = typical_tap(width, Dtype::f32);
    for (double& value : tap.oracle.row(0)) value = 0x1p-10;
    for (double& value : tap.baseline.row(0)) value = 0x1p-10;
    const double relative = 8 * 0x1p-10 * (1e-3 - 0x1p-24);
    expect_element_bound(tap, 1, 0x1p-34, width == 7 ? 8 * (1e-3 - 0x1p-24) : relative);
  }
}

// Of ten rows the decile is the ninth largest: one bad row is not typical, two are.
TEST(ToleranceTerm, WhatIsTypicalIsTheUpperDecile) {
  for (const std::int64_t bad : {1, 2}) {
    TapValues tap{ones({10, 5}), ones({10, 5}), Dtype::f32};
    for (std::int64_t r = 0; r < bad; ++r) tap.baseline[r * 5] += 1e-3;
    expect_element_bound(tap, 49, 0x1p-24, bad == 2 ? 8 * (1e-3 - 0x1p-24) : 32 * 0x1p-24);
  }
}

// Of twenty rows seventeen are padding, zero in every implementation: two of the other three are off.
TEST(ToleranceTerm, RowsOfZerosSayNothingOfTheTypicalRelativeError) {
  TapValues tap{Tensor<double>({20, 3}), Tensor<double>({20, 3}), Dtype::f32};
  for (const std::int64_t r : {3, 7, 11}) {
    for (std::int64_t i = 3 * r; i < 3 * (r + 1); ++i) tap.oracle[i] = tap.baseline[i] = 1;
  }
  for (const std::int64_t r : {3, 7}) tap.baseline[3 * r] += 1e-3;
  expect_element_bound(tap, 3 * 11, 0x1p-24, 8 * (1e-3 - 0x1p-24));
}

// Where the baseline writes to a row of zeros, say by cancellation, so may the candidate.
TEST(ToleranceTerm, ARowOfZerosThatTheBaselineWritesToHasItsError) {
  TapValues tap{ones({4, 8}), ones({4, 8}), Dtype::f32};
  for (double& value : tap.oracle.row(2)) value = 0;
  for (double& value : tap.baseline.row(2)) value = 0;
  tap.baseline.row(2)[1] = 1e-3;
  expect_element_bound(tap, 2 * 8 + 5, 0, 8 * 1e-3);
}

TEST(ToleranceTerm, TheWholeMayBeOffByKappaTimesTheBaseline) {
  for (const auto& [type, kappa] : {std::pair(Dtype::f64, 4.0), {Dtype::f32, 4.0}, {Dtype::bf16, 2.0}}) {
    TapValues tap{ones({8, 8}), ones({8, 8}), type};
    for (double& value : tap.baseline.data) value += 0.05;
    expect_bound_on_the_whole(tap, kappa * 0.05);
  }
}

// The baseline is off by 3 h in one element of each row of 64: within the elements' bound, and in the mean
// less than rounding itself, which is evenly spread over -h .. h and so h / sqrt(3).
TEST(ToleranceTerm, TheWholeMayBeOffByKappaTimesTheRoundingOfAnEvenSpread) {
  TapValues tap{ones({4, 64}), ones({4, 64}), Dtype::bf16};
  for (std::int64_t r = 0; r < 4; ++r) tap.baseline[r * 64] += 3 * 0x1p-8;
  expect_bound_on_the_whole(tap, 2 * 0x1p-8 / std::sqrt(3.0));
}

TEST(ToleranceTerm, AWholeOfFewerThanSixtyFourElementsHasNoBoundOfItsOwn) {
  for (const std::int64_t width : {63, 64}) {
    TapValues tap{ones({1, width}), ones({1, width}), Dtype::f32};
    for (double& value : tap.baseline.data) value += 0.05;
    Tensor<double> values = tap.oracle;
    for (double& value : values.data) value += 6 * 0.05;
    EXPECT_EQ(tap.verdict(values), width == 63 ? Verdict::match : Verdict::mismatch);
  }
}

TEST(ToleranceTerm, ANarrowRowOfZerosMustStayZeroToo) {
  TapValues tap = typical_tap(4, Dtype::f32);
  for (double& value : tap.oracle.row(3)) value = 0;
  for (double& value : tap.baseline.row(3)) value = 0;
  EXPECT_EQ(tap.verdict(tap.oracle), Verdict::match);
  EXPECT_EQ(tap.verdict(with_element(tap.oracle, 14, 1e-30)), Verdict::mismatch);
}

// A loss is one number, and a baseline's error there one draw: without sampled runs it has only the floor.
TEST(ToleranceTerm, OneNumberIsNotExcusedByABaseline) {
  const TapValues loss{ones({1}), with_element(ones({1}), 0, 0.1), Dtype::f32};
  expect_element_bound(loss, 0, 0x1p-24, 32 * 0x1p-24);
  const TapValues negative{Tensor<double>({1}, {-1.0}), Tensor<double>({1}, {-1.0}), Dtype::f32};
  expect_element_bound(negative, 0, 0x1p-24, 32 * 0x1p-24);
  const TapValues stored{loss.oracle, loss.baseline, Dtype::bf16};
  expect_element_bound(stored, 0, 0x1p-8, 16 * 0x1p-24);
  // In float64 there are no sampled runs.
  const TapValues exact{loss.oracle, loss.baseline, Dtype::f64};
  expect_element_bound(exact, 0, 0x1p-53, 8 * 0.1);
}

}  // namespace
}  // namespace forgecheck
