// Two traces without a case: only equal values are equal.
#include "harness/verdict/difference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::Field;

Array floats(const Shape& shape, const std::vector<double>& values) {
  return Array::from(Tensor<double>(shape, values));
}

Trace trace_of(const std::vector<Trace::Entry>& taps) {
  Trace trace;
  for (const auto& [name, value] : taps) trace.add(name, value);
  return trace;
}

/// The result of one tap that A and B have.
TapResult compared(const Array& a, const Array& b) {
  const Judgement judgement = difference(trace_of({{"tap", a}}), trace_of({{"tap", b}}));
  EXPECT_EQ(judgement.taps.size(), 1U);
  EXPECT_EQ(judgement.verdict, judgement.taps.at(0).verdict);
  return judgement.taps.at(0);
}

TEST(Difference, EqualValuesMatchInWhateverTypeTheyAreStored) {
  const TapResult result = compared(floats({3}, {1, 0, kNan}), floats({3}, {1, -0.0, kNan}));
  EXPECT_EQ(result.verdict, Verdict::match);
  EXPECT_EQ(result.error, 0);
  EXPECT_EQ(result.used, 0);
  EXPECT_EQ(result.message, "");
  EXPECT_EQ(compared(floats({2}, {1, 2}), Array::from(Tensor<std::int64_t>({2}, {1, 2}))).verdict,
            Verdict::match);
}

TEST(Difference, IsCountedAndNamedWhereItIsLargest) {
  const TapResult result = compared(floats({4}, {1, 2, 3, 4}), floats({4}, {1, 2.5, 3, 2}));
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_EQ(result.tolerance, 0) << "there is none";
  EXPECT_EQ(result.error, 2);
  EXPECT_EQ(result.used, kInfinity);
  EXPECT_EQ(result.message, "differs in 2 of 4 elements, most at element 3: 4 in A, 2 in B");
}

TEST(Difference, OfEqualSizesTheFirstIsNamed) {
  EXPECT_EQ(compared(floats({3}, {1, 2, 3}), floats({3}, {1, 4, 5})).message,
            "differs in 2 of 3 elements, most at element 1: 2 in A, 4 in B");
}

TEST(Difference, OfTheFirstAndOfTheLastElementIsSeen) {
  EXPECT_EQ(compared(floats({3}, {1, 2, 3}), floats({3}, {9, 2, 3})).verdict, Verdict::mismatch);
  EXPECT_EQ(compared(floats({3}, {1, 2, 3}), floats({3}, {1, 2, 9})).verdict, Verdict::mismatch);
}

TEST(Difference, OfANumberAndNaNOnEitherSideIsTheLargest) {
  for (const TapResult& result : {compared(floats({2}, {1e9, kNan}), floats({2}, {0, 1})),
                                  compared(floats({2}, {1e9, 1}), floats({2}, {0, kNan}))}) {
    EXPECT_EQ(result.verdict, Verdict::mismatch);
    EXPECT_EQ(result.error, kInfinity);
    EXPECT_THAT(result.message, testing::StartsWith("differs in 2 of 2 elements, most at element 1: "));
  }
}

TEST(Difference, OfShapesIsOneThoughTheCountsAreEqual) {
  const TapResult result = compared(floats({2, 1}, {1, 2}), floats({1, 2}, {1, 2}));
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_EQ(result.error, kInfinity);
  EXPECT_EQ(result.used, kInfinity);
  EXPECT_EQ(result.message, "has shape 2x1 in A, 1x2 in B");
}

TEST(Difference, ATapThatOnlyOneTraceHasIsOne) {
  const Array one = floats({1}, {1});
  const Judgement judgement =
      difference(trace_of({{"x", one}, {"y", one}}), trace_of({{"z", one}, {"y", one}}));
  EXPECT_THAT(judgement.taps, ElementsAre(Field(&TapResult::name, "x"), Field(&TapResult::name, "y"),
                                          Field(&TapResult::name, "z")));
  EXPECT_THAT(judgement.taps,
              ElementsAre(Field(&TapResult::message, "is in A only"), Field(&TapResult::message, ""),
                          Field(&TapResult::message, "is in B only")));
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_EQ(judgement.used, kInfinity);
  EXPECT_EQ(judgement.message, "x is in A only");
  EXPECT_EQ(difference(trace_of({{"y", one}}), trace_of({{"y", one}, {"z", one}})).message, "z is in B only");
}

TEST(Difference, TheMessageIsThatOfTheFirstTapThatDiffers) {
  const Array one = floats({1}, {1}), two = floats({1}, {2});
  const Judgement judgement = difference(trace_of({{"x", one}, {"y", one}, {"z", one}}),
                                         trace_of({{"x", one}, {"y", two}, {"z", two}}));
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_THAT(judgement.message, testing::StartsWith("y differs in 1 of 1 elements"));
}

TEST(Difference, OfTwoTracesWithoutATapProvesNothing) {
  const Judgement judgement = difference(Trace(), Trace());
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_EQ(judgement.message, "neither trace has a tap");
}

}  // namespace
}  // namespace forgecheck
