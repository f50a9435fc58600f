// Choices are sets with margins: another order is no difference, another set is one unless the scores say
// that nobody can tell.
#include "harness/verdict/decisions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Indices = Tensor<std::int64_t>;

/// Three tokens that choose 2 of 4 experts. Row 1 has a near tie between the experts 2 and 0: their scores
/// differ by `gap`. The float32 baseline is off by 1e-7.
struct Choices {
  explicit Choices(double gap = 0.1)
      : oracle{Indices({3, 2}, {0, 1, 3, 2, 1, 2}),
               Tensor<double>({3, 4}, {0.4, 0.3, 0.2, 0.1, 0.3 - gap, 0.1, 0.3, 0.4, 0.1, 0.5, 0.3, 0.1})},
        baseline(oracle) {
    for (double& score : baseline.scores.data) score += 1e-7;
  }

  TapResult compare(std::vector<std::int64_t> indices) {
    undecided.clear();
    const Array array = Array::from(Indices({3, 2}, std::move(indices)));
    return compare_choices("tap", array, oracle, baseline, Dtype::f32, undecided);
  }

  Decision oracle;
  Decision baseline;
  std::vector<UndecidedChoice> undecided;
};

TEST(CompareChoices, TheSameChoicesMatch) {
  Choices choices;
  const TapResult result = choices.compare({0, 1, 3, 2, 1, 2});
  EXPECT_EQ(result.verdict, Verdict::match);
  EXPECT_TRUE(choices.undecided.empty());
}

TEST(CompareChoices, TheOrderOfSlotsDoesNotMatter) {
  Choices choices;
  EXPECT_EQ(choices.compare({1, 0, 2, 3, 2, 1}).verdict, Verdict::match);
}

TEST(CompareChoices, AnotherSetByAClearMarginIsAMismatchInItsRow) {
  Choices choices;
  const TapResult result = choices.compare({0, 1, 3, 0, 1, 2});
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_GT(result.used, 1.0);
  EXPECT_THAT(result.message, HasSubstr("row 1"));
  EXPECT_THAT(result.message, HasSubstr("{0, 3}"));
  EXPECT_THAT(result.message, HasSubstr("{2, 3}"));
  EXPECT_TRUE(choices.undecided.empty());
}

TEST(CompareChoices, RowsAreNotSwapped) {
  Choices choices;
  EXPECT_EQ(choices.compare({3, 2, 0, 1, 1, 2}).verdict, Verdict::mismatch);
}

TEST(CompareChoices, AnotherSetWithinTheScoresErrorIsUndecided) {
  Choices choices(1e-7);
  const TapResult result = choices.compare({0, 1, 3, 0, 1, 2});
  EXPECT_EQ(result.verdict, Verdict::undecided);
  ASSERT_EQ(choices.undecided.size(), 1U);
  const UndecidedChoice& choice = choices.undecided[0];
  EXPECT_EQ(choice.tap, "tap");
  EXPECT_EQ(choice.row, 1);
  EXPECT_THAT(choice.candidate, ElementsAre(0, 3));
  EXPECT_THAT(choice.oracle, ElementsAre(2, 3));
  EXPECT_NEAR(choice.margin, 1e-7, 1e-12);
  EXPECT_LE(choice.margin, choice.bound);
}

TEST(CompareChoices, OneCloseExpertDoesNotExcuseAFarOne) {
  // Expert 1 has a score of 0.1; that expert 0 ties with 2 does not matter.
  Choices choices(1e-7);
  EXPECT_EQ(choices.compare({0, 1, 3, 1, 1, 2}).verdict, Verdict::mismatch);
}

TEST(CompareChoices, AMismatchBehindATieIsStillAMismatch) {
  Choices choices(1e-7);
  const TapResult result = choices.compare({0, 1, 3, 0, 0, 3});
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_THAT(result.message, HasSubstr("row 2"));
  EXPECT_EQ(choices.undecided.size(), 1U);
}

TEST(CompareChoices, ATieBehindAMismatchDoesNotHideIt) {
  Choices choices(1e-7);
  const TapResult result = choices.compare({0, 3, 3, 0, 1, 2});
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_THAT(result.message, HasSubstr("row 0"));
  EXPECT_EQ(choices.undecided.size(), 1U);
}

TEST(CompareChoices, OfSeveralMismatchesTheFirstIsReported) {
  Choices choices;
  const TapResult result = choices.compare({0, 3, 3, 2, 0, 2});
  EXPECT_EQ(result.verdict, Verdict::mismatch);
  EXPECT_EQ(result.message, "chooses {0, 3} in row 0, the oracle {0, 1} by a clear margin");
  EXPECT_NEAR(result.error, 0.2, 1e-12) << "the scores of 1 and 3";
  EXPECT_EQ(result.used, result.error / result.tolerance);
}

// Two scores of about 1, stored in bfloat16, may each be off by 2^-9; the third, of 2^-10, by far less.
TEST(CompareChoices, TheBoundIsThatOfTheLeastCertainScoreOfTheRow) {
  const Decision oracle{Indices({1, 1}, {0}), Tensor<double>({1, 3}, {0.75, 0.75 - 0x1p-9, 0x1p-10})};
  std::vector<UndecidedChoice> undecided;
  EXPECT_EQ(compare_choices("tap", Array::from(Indices({1, 1}, {1})), oracle, oracle, Dtype::bf16, undecided)
                .verdict,
            Verdict::undecided);
}

TEST(CompareChoices, ScoresThatAreAllZeroAreEqual) {
  const Decision oracle{Indices({1, 1}, {0}), Tensor<double>({1, 3})};
  std::vector<UndecidedChoice> undecided;
  EXPECT_EQ(compare_choices("tap", Array::from(Indices({1, 1}, {2})), oracle, oracle, Dtype::f32, undecided)
                .verdict,
            Verdict::match);
  EXPECT_EQ(undecided.size(), 1U);
}

TEST(CompareChoices, AMarginPastTheErrorOfTwoScoresIsClear) {
  // The baseline is off by 1e-7, so that no right implementation is off by 5e-5.
  Choices choices(1e-4);
  EXPECT_EQ(choices.compare({0, 1, 3, 0, 1, 2}).verdict, Verdict::mismatch);
}

TEST(CompareChoices, ScoresThatAreNoNumbersDecideNothingInTheCandidatesFavour) {
  Choices choices;
  choices.oracle.scores[5] = kNan;
  choices.baseline.scores[5] = kNan;
  EXPECT_EQ(choices.compare({0, 1, 3, 1, 1, 2}).verdict, Verdict::mismatch);
}

// Of the pairs {2, 3} left out and {0, 1} taken, one has no margin: the clear one after it does not hide
// that.
TEST(CompareChoices, OneScoreThatIsNoNumberIsNotHiddenByThePairsAfterIt) {
  Decision oracle{Indices({1, 2}, {2, 3}), Tensor<double>({1, 4}, {kNan, 0.3 - 1e-7, 0.3, 0.3})};
  Decision baseline = oracle;
  std::vector<UndecidedChoice> undecided;
  EXPECT_EQ(
      compare_choices("tap", Array::from(Indices({1, 2}, {0, 1})), oracle, baseline, Dtype::f32, undecided)
          .verdict,
      Verdict::mismatch);
}

// Row 0 has scores of a million, whose rounding is 0.06: that excuses nothing in row 1.
TEST(CompareChoices, EachRowHasItsOwnBound) {
  Decision oracle{Indices({2, 1}, {0, 1}), Tensor<double>({2, 8}, {1e6, 1, 1, 1, 1, 1, 1, 1,  //
                                                                   0.5, 0.51, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1})};
  std::vector<UndecidedChoice> undecided;
  EXPECT_EQ(
      compare_choices("tap", Array::from(Indices({2, 1}, {0, 0})), oracle, oracle, Dtype::f32, undecided)
          .verdict,
      Verdict::mismatch);
  EXPECT_TRUE(undecided.empty());
}

TEST(CompareChoices, TheBoundIsThatOfTwoScores) {
  // Scores of about 1, exact baseline: each may be off by 32 u of the row's size and half a unit.
  const Tensor<double> scores({1, 2}, {1.0, 1.0});
  for (const double share : {0.9, 1.1}) {
    Decision oracle{Indices({1, 1}, {0}), scores};
    oracle.scores[0] += share * 2 * (32 * 0x1p-24 + 0x1p-24);
    std::vector<UndecidedChoice> undecided;
    EXPECT_EQ(compare_choices("tap", Array::from(Indices({1, 1}, {1})), oracle, oracle, Dtype::f32, undecided)
                  .verdict,
              share < 1 ? Verdict::undecided : Verdict::mismatch);
  }
}

// ---- choices that are none ----

TEST(CompareChoices, WhatIsNoChoiceIsInfinitelyWrongAndHasNoTolerance) {
  Choices choices;
  const TapResult result = choices.compare({0, 1, 3, 3, 1, 2});
  EXPECT_EQ(result.error, kInfinity);
  EXPECT_EQ(result.tolerance, 0.0);
  EXPECT_EQ(result.used, kInfinity);
}

TEST(CompareChoices, WhatIsNoChoiceIsAMismatch) {
  Choices choices;
  EXPECT_EQ(choices.compare({0, 1, 3, 3, 1, 2}).verdict, Verdict::mismatch);
  EXPECT_EQ(choices.compare({0, 1, 3, 4, 1, 2}).verdict, Verdict::mismatch);
  EXPECT_EQ(choices.compare({0, 1, 3, -1, 1, 2}).verdict, Verdict::mismatch);
  for (const Array& other : {Array(), Array::from(Indices({2, 3}, {0, 1, 3, 2, 1, 2})),
                             Array::from(Tensor<double>({3, 2}, {0, 1, 3, 2, 1, 2}))}) {
    EXPECT_EQ(compare_choices("tap", other, choices.oracle, choices.baseline, Dtype::f32, choices.undecided)
                  .verdict,
              Verdict::mismatch);
  }
  EXPECT_TRUE(choices.undecided.empty());
}

std::string invalid(const Array& indices) {
  return invalid_choice(indices, {2, 2}, 4);
}

TEST(InvalidChoice, ARightOneIsNot) {
  EXPECT_EQ(invalid(Array::from(Indices({2, 2}, {0, 3, 3, 1}))), "");
}

TEST(InvalidChoice, OutOfRangeIsNamed) {
  EXPECT_THAT(invalid(Array::from(Indices({2, 2}, {0, 3, 4, 1}))), HasSubstr("row 1"));
  EXPECT_THAT(invalid(Array::from(Indices({2, 2}, {0, -1, 2, 1}))), HasSubstr("-1"));
  EXPECT_NE(invalid(Array::from(Indices({2, 2}, {0, INT64_MAX, 2, 1}))), "");
  EXPECT_NE(invalid(Array::from(Indices({2, 2}, {0, INT64_MIN, 2, 1}))), "");
}

TEST(InvalidChoice, TheSameExpertTwiceIsNamed) {
  EXPECT_THAT(invalid(Array::from(Indices({2, 2}, {0, 1, 2, 2}))),
              AllOf(HasSubstr("twice"), HasSubstr("row 1")));
}

TEST(InvalidChoice, ShapeAndTypeAreNamed) {
  EXPECT_THAT(invalid(Array::from(Indices({4}, {0, 1, 2, 3}))), HasSubstr("expected 2x2"));
  EXPECT_THAT(invalid(Array::from(Indices({2, 1}, {0, 1}))), HasSubstr("2x1"));
  EXPECT_THAT(invalid(Array::from(Tensor<double>({2, 2}, {0, 1, 2, 3}))), HasSubstr("float64"));
  EXPECT_NE(invalid(Array()), "");
}

// Scores {0.2999999, 0.1, 0.3, 0.4}, oracle {3, 2}, candidate {0, 1}: that 0 ties with 2 does
// not excuse taking 1 (0.1) instead of 3 (0.4).
TEST(CompareChoices, ATieDoesNotHideAFarChoiceInTheSameRow) {
  Decision oracle{Tensor<std::int64_t>({1, 2}, {3, 2}), Tensor<double>({1, 4}, {0.3 - 1e-7, 0.1, 0.3, 0.4})};
  Decision baseline = oracle;
  for (double& score : baseline.scores.data) score += 1e-7;
  std::vector<UndecidedChoice> undecided;
  EXPECT_EQ(compare_choices("tap", Array::from(Tensor<std::int64_t>({1, 2}, {0, 1})), oracle, baseline,
                            Dtype::f32, undecided)
                .verdict,
            Verdict::mismatch);
}

}  // namespace
}  // namespace forgecheck
