#include "reference/trace.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

Array array(const std::vector<double>& values) {
  const auto size = static_cast<std::int64_t>(values.size());
  return Array::from(doubles({size}, values));
}

TEST(Trace, KeepsTheOrderOfExecution) {
  Trace trace;
  EXPECT_TRUE(trace.empty());
  trace.add("b", array({1}));
  trace.add("a", array({2}));
  ASSERT_EQ(trace.entries().size(), 2U);
  EXPECT_EQ(trace.entries()[0].first, "b");
  EXPECT_EQ(trace.entries()[1].first, "a");
  EXPECT_EQ(trace.at("a").at(0), 2);
}

TEST(Trace, NamesAreUniqueAndMissingOnesAreNamed) {
  Trace trace;
  trace.add("a", array({1}));
  EXPECT_EQ(message_of([&] { trace.add("a", array({2})); }), "tap a was recorded twice");
  EXPECT_EQ(trace.at("a").at(0), 1);
  EXPECT_EQ(trace.find("b"), nullptr);
  EXPECT_EQ(message_of([&] { trace.at("b"); }), "the trace has no tap b");
}

TEST(Tracer, RecordsEveryTapWithoutAFilter) {
  Tracer tracer;
  auto x = doubles({2}, {1, 2});
  tracer.tap("x", x);
  tracer.tap_value("count", array({3}));
  EXPECT_EQ(tracer.trace().at("x").at(1), 2);
  EXPECT_EQ(tracer.trace().at("count").at(0), 3);
  EXPECT_EQ(tracer.take().entries().size(), 2U);
}

TEST(Tracer, RecordsOnlyWhatTheFilterWants) {
  Tracer tracer([](std::string_view name) { return name.starts_with("keep"); });
  auto x = doubles({1}, {1});
  Ids indices({1, 1}, {0});
  tracer.tap("keep.x", x);
  tracer.tap("x", x);
  tracer.tap_value("count", array({3}));
  tracer.decide("choice", indices, doubles({1, 2}, {1, 0}));
  EXPECT_EQ(tracer.trace().entries().size(), 1U);
  EXPECT_TRUE(tracer.decisions().contains("choice"));  // the verdict needs it anyway
}

TEST(Tracer, TapMayBeRecordedUnderAnotherShape) {
  Tracer tracer;
  auto x = doubles({4, 1}, {1, 2, 3, 4});
  tracer.tap("x", x, {2, 2});
  EXPECT_EQ(tracer.trace().at("x").shape(), (Shape{2, 2}));
  EXPECT_EQ(x.shape, (Shape{4, 1}));
}

class Forced : public testing::Test {
 protected:
  Forced() {
    forced_.add("x", array({10, 20}));
    forced_.add("count", array({30}));
    forced_.add("choice", Array::from(Ids({2, 1}, {1, 0})));
  }
  /// Taps "x" = (1, 2), counts 3, chooses expert 0 for both rows.
  void run(Tracer& tracer) {
    tracer.tap("x", x_);
    tracer.tap_value("count", array({3}));
    tracer.decide("choice", indices_, doubles({2, 2}, {0.75, 0.25, 0.5, 0.5}));
  }

  Trace forced_;
  Tensor<double> x_ = doubles({2}, {1, 2});
  Ids indices_{{2, 1}, {0, 0}};
};

TEST_F(Forced, NothingLeavesTheRunAlone) {
  Tracer tracer;
  tracer.force(forced_, Forcing::nothing);
  run(tracer);
  EXPECT_EQ(numbers(x_), (std::vector<double>{1, 2}));
  EXPECT_EQ(indices_.data, (std::vector<std::int64_t>{0, 0}));
}

TEST_F(Forced, DecisionsReplaceTheChoicesOnly) {
  Tracer tracer;
  tracer.force(forced_, Forcing::decisions);
  run(tracer);
  EXPECT_EQ(numbers(x_), (std::vector<double>{1, 2}));
  EXPECT_EQ(indices_.data, (std::vector<std::int64_t>{1, 0}));
}

TEST_F(Forced, EverythingReplacesTapsAndChoices) {
  Tracer tracer;
  tracer.force(forced_, Forcing::everything);
  run(tracer);
  EXPECT_EQ(numbers(x_), (std::vector<double>{10, 20}));
  EXPECT_EQ(indices_.data, (std::vector<std::int64_t>{1, 0}));
}

// The run's own value is recorded and judged.
TEST_F(Forced, RecordHoldsTheRunsOwnValues) {
  Tracer tracer;
  tracer.force(forced_, Forcing::everything);
  run(tracer);
  EXPECT_EQ(tracer.trace().at("x").at(0), 1);
  EXPECT_EQ(tracer.trace().at("count").at(0), 3);
  EXPECT_EQ(tracer.trace().at("choice").int_at(0), 0);
  EXPECT_EQ(tracer.decisions().at("choice").chosen.data, (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(numbers(tracer.decisions().at("choice").scores), (std::vector<double>{0.75, 0.25, 0.5, 0.5}));
}

// A value that is replaced and not recorded is seen by nobody.
TEST_F(Forced, OverwritesWhatItReplacesAndDoesNotRecord) {
  const auto overwrites = [&](Forcing forcing, bool wants, const std::string& tap, const Shape& shape) {
    Tracer tracer([wants](std::string_view) { return wants; });
    tracer.force(forced_, forcing);
    return tracer.overwrites(tap, shape);
  };
  EXPECT_TRUE(overwrites(Forcing::everything, false, "x", {2}));
  EXPECT_FALSE(overwrites(Forcing::everything, true, "x", {2}));
  EXPECT_FALSE(overwrites(Forcing::decisions, false, "x", {2}));
  EXPECT_FALSE(overwrites(Forcing::everything, false, "x", {1, 2}));
  EXPECT_FALSE(overwrites(Forcing::everything, false, "y", {2}));
  EXPECT_FALSE(overwrites(Forcing::everything, false, "choice", {2, 1}));
}

TEST_F(Forced, FilterDoesNotStopIt) {
  Tracer tracer([](std::string_view) { return false; });
  tracer.force(forced_, Forcing::everything);
  run(tracer);
  EXPECT_TRUE(tracer.trace().empty());
  EXPECT_EQ(numbers(x_), (std::vector<double>{10, 20}));
}

TEST_F(Forced, UntappedTracerRecordsNothingAndFollowsTheChoicesOnly) {
  Tracer tracer;
  Tracer unforced = tracer.untapped();
  run(unforced);
  EXPECT_EQ(indices_.data, (std::vector<std::int64_t>{0, 0}));
  tracer.force(forced_, Forcing::everything);
  Tracer untapped = tracer.untapped();
  run(untapped);
  EXPECT_TRUE(untapped.trace().empty());
  EXPECT_EQ(numbers(x_), (std::vector<double>{1, 2}));
  EXPECT_EQ(indices_.data, (std::vector<std::int64_t>{1, 0}));
}

TEST_F(Forced, TapThatIsNotInTheTraceStays) {
  const Trace empty;
  Tracer tracer;
  tracer.force(empty, Forcing::everything);
  run(tracer);
  EXPECT_EQ(numbers(x_), (std::vector<double>{1, 2}));
  EXPECT_EQ(indices_.data, (std::vector<std::int64_t>{0, 0}));
}

TEST_F(Forced, ValueKeepsTheShapeAndTypeOfTheRun) {
  Tracer tracer;
  tracer.force(forced_, Forcing::everything);
  auto narrow = tensor<Bfloat16>({2, 1}, {1, 2});
  tracer.tap("x", narrow, {2});
  EXPECT_EQ(narrow.shape, (Shape{2, 1}));
  EXPECT_EQ(numbers(narrow), (std::vector<double>{10, 20}));
}

// The forced trace may be wrong: a value that cannot replace the run's value is ignored.
TEST_F(Forced, TapOfAnotherShapeOrTypeIsNotTaken) {
  Tracer tracer;
  tracer.force(forced_, Forcing::everything);
  auto wide = doubles({3}, {1, 2, 3});
  tracer.tap("x", wide);
  EXPECT_EQ(numbers(wide), (std::vector<double>{1, 2, 3}));
  auto flat = doubles({2, 1}, {4, 5});
  tracer.tap("choice", flat);
  EXPECT_EQ(numbers(flat), (std::vector<double>{4, 5}));
}

TEST_F(Forced, ImpossibleChoiceIsNotTaken) {
  const Ids impossible[] = {Ids({2, 1}, {2, 0}), Ids({2, 1}, {0, -1}), Ids({1, 2}, {1, 0})};
  for (const Ids& choice : impossible) {
    Trace other;
    other.add("choice", Array::from(choice));
    Tracer tracer;
    tracer.force(other, Forcing::decisions);
    run(tracer);
    EXPECT_EQ(indices_.data, (std::vector<std::int64_t>{0, 0}));
  }
}

TEST(InvalidChoice, SaysWhatIsWrong) {
  const auto why = [](const Ids& indices) { return invalid_choice(Array::from(indices), {2, 2}, 3); };
  EXPECT_EQ(why(Ids({2, 2}, {2, 0, 1, 2})), "");
  EXPECT_EQ(why(Ids({1, 2}, {2, 0})), "has shape 1x2, expected 2x2");
  EXPECT_EQ(why(Ids({2, 2}, {0, 1, 3, 0})), "chooses 3 in row 1, out of 0 .. 2");
  EXPECT_EQ(why(Ids({2, 2}, {0, -1, 1, 0})), "chooses -1 in row 0, out of 0 .. 2");
  EXPECT_EQ(why(Ids({2, 2}, {0, 1, 2, 2})), "chooses 2 twice in row 1");
  EXPECT_EQ(invalid_choice(array({0}), {1}, 3), "has type float64");
}

TEST(Tracer, SaysWhichRowsOfAReplacedTapAreNeeded) {
  Trace forced;
  forced.add("a", Array::from(doubles({3, 1}, {1, 2, 3})));
  forced.add("b", Array::from(doubles({3, 1}, {1, 2, 3})));
  Tracer tracer;
  tracer.force(forced, Forcing::everything);
  EXPECT_EQ(tracer.needed_rows("a", {3, 1}), nullptr);
  tracer.need_only({{"a", {0, 2}}, {"c", {1}}});
  ASSERT_NE(tracer.needed_rows("a", {3, 1}), nullptr);
  EXPECT_EQ(*tracer.needed_rows("a", {3, 1}), (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(tracer.needed_rows("a", {1, 3}), nullptr) << "not replaced: the shape is another";
  EXPECT_EQ(tracer.needed_rows("b", {3, 1}), nullptr);
  EXPECT_EQ(tracer.needed_rows("c", {3, 1}), nullptr) << "not replaced";
}

}  // namespace
}  // namespace forgecheck
