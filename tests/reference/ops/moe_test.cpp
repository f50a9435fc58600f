#include "reference/ops/moe.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

TEST(ExpertCapacity, RoundsUp) {
  EXPECT_EQ(expert_capacity(5, 2, 4, 1.0), 3);   // 2.5
  EXPECT_EQ(expert_capacity(5, 2, 4, 1.25), 4);  // 3.125
  EXPECT_EQ(expert_capacity(8, 2, 4, 1.0), 4);
}

TEST(ExpertCapacity, IsAtLeastOne) {
  EXPECT_EQ(expert_capacity(1, 1, 8, 0.5), 1);
  EXPECT_EQ(expert_capacity(4, 1, 8, 0.0), 1);
  EXPECT_EQ(expert_capacity(0, 2, 8, 1.0), 1);
}

// In IEEE double 10 / 3 * 2.1 is just above 7 but 10 * 2.1 / 3 is 7, and 50 / 3 * 0.9 is just above 15 but
// 50 * (0.9 / 3) is 15. In float 25 / 2 * 1.2 is just above 15.
TEST(ExpertCapacity, IsComputedInDoubleFromLeftToRight) {
  EXPECT_EQ(expert_capacity(10, 1, 3, 2.1), 8);
  EXPECT_EQ(expert_capacity(25, 2, 3, 0.9), 16);
  EXPECT_EQ(expert_capacity(25, 1, 2, 1.2), 15);
  EXPECT_EQ(expert_capacity(21, 1, 1, 1.0 / 7), 3);
}

TEST(ExpertCapacity, HugeFactorMeansNoLimit) {
  EXPECT_GE(expert_capacity(6, 2, 4, 1e300), 12);
}

// Each slot of an expert is counted separately: counted over all slots, token 2 would lose both weights.
TEST(ApplyCapacity, CountsEachSlotSeparatelyInTokenOrder) {
  auto weights = doubles({3, 2}, {0.6, 0.4, 0.7, 0.3, 0.8, 0.2});
  apply_capacity(weights, Ids({3, 2}, {0, 1, 0, 1, 1, 0}), 2, 1);
  EXPECT_EQ(numbers(weights), (std::vector<double>{0.6, 0.4, 0, 0, 0.8, 0.2}));
}

TEST(ApplyCapacity, EarlierTokensKeepTheirPlaceWhateverTheirWeight) {
  auto weights = doubles({4, 1}, {0.1, 0.2, 0.9, 0.8});
  apply_capacity(weights, Ids({4, 1}, {2, 2, 2, 0}), 3, 2);
  EXPECT_EQ(numbers(weights), (std::vector<double>{0.1, 0.2, 0, 0.8}));
}

TEST(ApplyCapacity, DoesNotRenormalise) {
  auto weights = doubles({2, 2}, {0.75, 0.25, 0.75, 0.25});
  apply_capacity(weights, Ids({2, 2}, {0, 1, 0, 2}), 3, 1);
  EXPECT_EQ(numbers(weights), (std::vector<double>{0.75, 0.25, 0, 0.25}));
}

TEST(GradientScale, IsTheAverageLoadOverTheLoad) {
  EXPECT_EQ(gradient_scale(8, 4, 1), 2.0);
  EXPECT_EQ(gradient_scale(8, 4, 2), 1.0);
  EXPECT_EQ(gradient_scale(8, 4, 8), 0.25);
  EXPECT_EQ(gradient_scale(10, 4, 5), 0.5);  // the average is 2.5, not an integer
  EXPECT_EQ(gradient_scale(8, 4, 0), 2.0);   // an empty load counts as one
}

TEST(Assignments, StandInTokenOrderWithTheirSlot) {
  const auto found = assignments_of(Ids({3, 2}, {0, 1, 1, 0, 2, 1}), 1);
  ASSERT_EQ(found.size(), 3U);
  const std::pair<std::int64_t, std::int64_t> expected[] = {{0, 1}, {1, 0}, {2, 1}};
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(std::pair(found[i].token, found[i].slot), expected[i]);
  }
  EXPECT_TRUE(assignments_of(Ids({1, 1}, {0}), 1).empty());
}

TEST(Combine, AddsTheWeightedOutputToItsToken) {
  auto out = doubles({3, 2}, {1, 1, 2, 2, 3, 3});
  combine(out, doubles({2, 2}, {10, 20, 100, 200}), doubles({3, 2}, {0.5, 0.25, 9, 9, 0.1, 0.75}),
          {{0, 1}, {2, 0}});
  EXPECT_EQ(numbers(out), (std::vector<double>{3.5, 6, 2, 2, 13, 23}));
}

TEST(Combine, Bfloat16RoundsTheProductThenTheSum) {
  int rounded_differently = 0;
  for (int i = 1; i <= 64; ++i) {
    const float y = bf16(0.37F * static_cast<float>(i)), weight = bf16(0.3F), before = bf16(-1.7F);
    auto out = tensor<Bfloat16>({1, 1}, {before});
    combine(out, tensor<Bfloat16>({1, 1}, {y}), tensor<Bfloat16>({1, 1}, {weight}), {{0, 0}});
    EXPECT_EQ(numbers(out), bf16_numbers({before + bf16(weight * y)}));
    if (bf16(before + bf16(weight * y)) != bf16(before + weight * y)) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 0);
}

TEST(Scale, MultipliesAndRoundsOnce) {
  EXPECT_EQ(numbers(scale(doubles({2}, {3, -4}), 0.5)), (std::vector<double>{1.5, -2}));
  const float third = static_cast<float>(1.0 / 3.0);
  EXPECT_EQ(numbers(scale(tensor<Bfloat16>({2}, {1.0, 5.0}), 1.0 / 3.0)),
            bf16_numbers({third, 5.0F * third}));
}

}  // namespace
}  // namespace forgecheck
