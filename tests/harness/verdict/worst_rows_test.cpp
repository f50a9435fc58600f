#include "harness/verdict/worst_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr std::int64_t kRows = 256, kWidth = 64;  // kLargeTap elements

/// A tap of ones off by `errors` in the last element of some rows, with an oracle of ones, and a baseline with this error.
struct OffRows {
  Trace candidate;
  Evidence evidence;

  explicit OffRows(const std::map<std::int64_t, double>& errors, Shape shape = {2, kRows / 2, kWidth}) {
    Tensor<double> values(shape);
    for (double& value : values.data) value = 1;
    Tensor<double> baseline = values;
    for (double& value : baseline.data) value += 1e-6;
    evidence.oracle.trace.add("tap", Array::from(values));
    evidence.baselines.emplace_back().trace.add("tap", Array::from(baseline));
    for (const auto& [row, error] : errors) values.row(row).back() += error;
    candidate.add("tap", Array::from(values));
  }
  TapRows worst() const { return worst_rows({"tap"}, candidate, evidence, Dtype::f32); }
  bool is_wrong(const std::vector<std::int64_t>& rows) const {
    return is_wrong_in(rows, "tap", candidate, evidence, Dtype::f32);
  }
};

TEST(WorstRows, AreThoseWithWrongElements) {
  EXPECT_THAT(OffRows({{3, 1e-7}, {200, 1.0}, {7, -1e-3}}).worst(),
              ElementsAre(Pair("tap", ElementsAre(7, 200))));
  EXPECT_THAT(OffRows({}).worst(), IsEmpty());
}

TEST(WorstRows, AreEightOfTheWorst) {
  std::map<std::int64_t, double> errors;
  for (std::int64_t row = 0; row < 20; ++row)
    errors[row * 10] = row % 2 == 0 ? 1.0 + static_cast<double>(row) : 0.5;
  EXPECT_THAT(OffRows(errors).worst(),
              ElementsAre(Pair("tap", ElementsAre(40, 60, 80, 100, 120, 140, 160, 180))));
}

TEST(WorstRows, ASpreadExcusesARow) {
  OffRows off({{3, 1.0}, {4, 1.0}});
  Spread spread{Tensor<double>({2, kRows / 2, kWidth}), 1.0};
  spread.reach.row(3).back() = 2;
  off.evidence.spreads.emplace("tap", spread);
  EXPECT_THAT(off.worst(), ElementsAre(Pair("tap", ElementsAre(4))));
  EXPECT_FALSE(off.is_wrong({3}));
  EXPECT_TRUE(off.is_wrong({3, 4}));
}

TEST(WorstRows, OfSmallTapsAreAllRows) {
  EXPECT_THAT(OffRows({{3, 1.0}}, {kRows - 1, kWidth}).worst(), IsEmpty());
  EXPECT_THAT(OffRows({{3, 1.0}}, {kRows, kWidth}).worst(), ElementsAre(Pair("tap", ElementsAre(3))));
}

TEST(WorstRows, AreOfFloatingPointTapsOfTheOraclesShapeOnly) {
  OffRows off({{3, 1.0}});
  Trace other;
  other.add("tap", Array::from(Tensor<double>({kRows, kWidth})));
  EXPECT_THAT(worst_rows({"tap"}, other, off.evidence, Dtype::f32), IsEmpty());
  Trace integers;
  integers.add("tap", Array::from(Tensor<std::int64_t>({2, kRows / 2, kWidth})));
  EXPECT_THAT(worst_rows({"tap"}, integers, off.evidence, Dtype::f32), IsEmpty());
  off.evidence.oracle.decisions["tap"];
  EXPECT_THAT(off.worst(), IsEmpty());
}

TEST(OnlyRows, KeepsTheirNumbers) {
  const Tensor<double> values({3, 2}, {1, 2, 3, 4, 5, 6});
  EXPECT_THAT(only({0, 2}, values).data, ElementsAre(1, 2, 0, 0, 5, 6));
}

}  // namespace
}  // namespace forgecheck
