// Errors of one tap: their size, and where they lie.
#include "harness/verdict/tap_error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;

Array floats(const std::vector<double>& values) {
  return Array::from(Tensor<double>({std::ssize(values)}, values));
}

TEST(RelativeError, IsTheRootMeanSquareOverThatOfTheReference) {
  EXPECT_DOUBLE_EQ(relative_error(floats({3, 4}), floats({3, 3})), 1 / std::sqrt(18.0));
  EXPECT_EQ(relative_error(floats({3, 4}), floats({3, 4})), 0.0);
  EXPECT_EQ(relative_error(floats({0, 0}), floats({0, 0})), 0.0);
}

TEST(RelativeError, IsInfiniteWhereNothingCanBeCompared) {
  EXPECT_EQ(relative_error(floats({1}), floats({0})), kInfinity);
  EXPECT_EQ(relative_error(floats({kNan, 1}), floats({1, 1})), kInfinity);
  EXPECT_EQ(relative_error(floats({1, 1}), floats({kNan, 1})), kInfinity);
  EXPECT_EQ(relative_error(floats({kInfinity}), floats({-kInfinity})), kInfinity);
  EXPECT_EQ(relative_error(floats({1, 2}), floats({1})), kInfinity);
  EXPECT_EQ(relative_error(floats({1}), Array::from(Tensor<std::int64_t>({1}, {1}))), kInfinity);
  EXPECT_EQ(relative_error(floats({kNan, 1}), floats({kNan, 1})), 0.0);
}

TEST(RelativeError, OfIntegersIsTheShareThatDiffers) {
  const auto integers = [](std::vector<std::int64_t> values) {
    return Array::from(Tensor<std::int64_t>({2, 2}, std::move(values)));
  };
  EXPECT_EQ(relative_error(integers({1, 2, 3, 4}), integers({1, 2, 3, 9})), 0.25);
  EXPECT_EQ(relative_error(sorted_rows(integers({2, 1, 4, 3})), integers({1, 2, 3, 4})), 0.0);
}

TEST(Shares, AreErrorsBeyondTheRoundingOverWhatIsToleratedBeyondIt) {
  const Tensor<double> values({6}, {1, 2, 3, kNan, 5, 7.5}), oracle({6}, {1, 2.75, 2, 4, 5, 7});
  const Tensor<double> stored({6}, {0.25, 0.25, 0.5, 0.25, 0, 0.5}), beyond({6}, {1, 2, 0, 1, 0, 1});
  EXPECT_THAT(shares(values, oracle, stored, beyond).data, ElementsAre(0, 0.25, kInfinity, kInfinity, 0, 0));
}

// A bfloat16 tap whose baseline is right but for the last rounding: half a unit in the last place is some
// thousand times what is tolerated beyond it. 48 elements: too few for a bound on the whole.
TEST(Shares, AreThoseOfTheVerdict) {
  for (const Dtype type : {Dtype::f32, Dtype::bf16}) {
    const Tensor<double> oracle = draws("oracle", {3, 16}, 1.7);
    const Tensor<double> baseline = Array::from(oracle).cast(type).to<double>();
    for (const double units : {0.9, 3.0, 40.0}) {
      Tensor<double> values = baseline;
      const Tensor<double> stored = half_units(oracle, type);
      values[21] = oracle[21] + units * stored[21];
      const TapResult result = compare_floating("tap", Array::from(values), oracle, baseline, type);
      const Tensor<double> used =
          shares(values, oracle, stored, tolerances_beyond(oracle, baseline, stored, type, nullptr));
      const double largest = std::ranges::max(used.data);
      const ErrorMap map = error_map(used);
      EXPECT_EQ(std::ranges::max(map.shares), largest);
      EXPECT_EQ(share_histogram(used).back() > 0, largest > 100);
      if (units < 1) {
        EXPECT_EQ(largest, 0) << "it uses none";
      } else {
        EXPECT_EQ(largest, result.used);
        EXPECT_GT(largest, type == Dtype::bf16 ? 100 : 0);
      }
    }
  }
}

TEST(WorstElement, HasTheLargestShareNotTheLargestError) {
  const Tensor<double> values({2, 3}, {0, 0, 9, 0, 2, 0}), oracle({2, 3});
  const Tensor<double> tolerances({2, 3}, {10, 10, 10, 1, 1, 1});
  const auto worst =
      worst_element(values, oracle, shares(values, oracle, Tensor<double>({2, 3}), tolerances));
  ASSERT_TRUE(worst.has_value());
  EXPECT_THAT(worst->index, ElementsAre(1, 1));
  EXPECT_EQ(worst->candidate, 2);
  EXPECT_EQ(worst->oracle, 0);
  EXPECT_FALSE(worst_element(oracle, oracle, Tensor<double>({2, 3})).has_value());
}

TEST(WorstElement, AmongInfiniteSharesHasTheLargestError) {
  const Tensor<double> values({3}, {1, 5, 2}), oracle({3}), tolerances({3});
  EXPECT_THAT(worst_element(values, oracle, shares(values, oracle, tolerances, tolerances))->index,
              ElementsAre(1));
}

TEST(ShareHistogram, CountsUpToAndIncludingEachEdge) {
  EXPECT_THAT(share_histogram(Tensor<double>({10}, {0, 1e-9, 0.01, 0.02, 0.1, 1, 1.1, 10, 100, kInfinity})),
              ElementsAre(1, 2, 2, 1, 2, 1, 1));
}

TEST(ErrorMap, ASmallTapHasACellForEachElement) {
  const ErrorMap map = error_map(Tensor<double>({2, 1, 3}, {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(map.rows, 2);
  EXPECT_EQ(map.columns, 3);
  EXPECT_THAT(map.shares, ElementsAre(1, 2, 3, 4, 5, 6));
}

TEST(ErrorMap, ALargeTapHasAtMost64Times96CellsThatHoldTheLargestShare) {
  Tensor<double> shares({130, 200});
  shares[129 * 200 + 199] = 7;
  shares[129 * 200 + 198] = 5;
  const ErrorMap map = error_map(shares);
  EXPECT_EQ(map.cell_height, 3);
  EXPECT_EQ(map.cell_width, 3);
  EXPECT_EQ(map.rows, 44);
  EXPECT_EQ(map.columns, 67);
  EXPECT_EQ(map.shares.size(), 44U * 67U);
  EXPECT_EQ(map.shares.back(), 7);
  EXPECT_EQ(std::accumulate(map.shares.begin(), map.shares.end(), 0.0), 7);
}

TEST(ErrorMap, AScalarIsOneCell) {
  EXPECT_THAT(error_map(Tensor<double>(Shape{}, {3})).shares, ElementsAre(3));
}

TEST(ElementTolerances, AreThoseOfTheVerdict) {
  const TapValues tap = tap_values({20, 16});
  const Tensor<double> tolerances = element_tolerances(tap.oracle, tap.baseline, tap.type);
  for (const double factor : {0.99, 1.01}) {
    Tensor<double> values = tap.oracle;
    values[7 * 16 + 3] += factor * tolerances[7 * 16 + 3];
    const TapResult result = tap.compare(values);
    EXPECT_EQ(result.verdict, factor < 1 ? Verdict::match : Verdict::mismatch) << result.message;
  }
}

}  // namespace
}  // namespace forgecheck
