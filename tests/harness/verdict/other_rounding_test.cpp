// Orders of rounding that the baselines do not have: granted to a tap that shows them, to no other.
#include <gtest/gtest.h>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

Array bfloat16s(const Tensor<double>& values) {
  return Array::from(values).cast(Dtype::bf16);
}

Tensor<double> numbers() {
  return bfloat16s(draws("numbers", {4, 10}, 2.0)).to<double>();
}

/// The next bfloat16, `steps` away from zero.
double neighbour(double value, int steps = 1) {
  Bfloat16 number(static_cast<float>(value));
  number.bits = static_cast<std::uint16_t>(number.bits + steps);
  return static_cast<double>(static_cast<float>(number));
}

TEST(OtherRounding, TheSameBitsAreExcused) {
  const auto result = compare_other_rounding("tap", bfloat16s(numbers()), bfloat16s(numbers()));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->verdict, Verdict::match);
  EXPECT_EQ(result->used, 0);
}

// Two neighbours of 8 are 2^-4 apart (8 bits), two of 2 2^-6.
TEST(OtherRounding, TheFarthestNeighbourIsReported) {
  Tensor<double> values({20});
  std::ranges::fill(values.data, 2.0);
  values[3] = 8.0;
  const Array other = bfloat16s(values);
  values[3] = neighbour(8.0);
  values[7] = neighbour(2.0);
  const auto result = compare_other_rounding("tap", bfloat16s(values), other);
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->error, 0x1p-4);
  EXPECT_EQ(result->tolerance, 0x1p-4);
}

TEST(OtherRounding, OneInTenMayBeTheNeighbour) {
  Tensor<double> values = numbers();
  for (std::int64_t i = 0; i < 4; ++i) values[3 * i] = neighbour(values[3 * i]);
  const auto result = compare_other_rounding("tap", bfloat16s(values), bfloat16s(numbers()));
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->used, 1);
  values[20] = neighbour(values[20]);
  EXPECT_FALSE(compare_other_rounding("tap", bfloat16s(values), bfloat16s(numbers())).has_value());
}

TEST(OtherRounding, NoneMayBeTwoAway) {
  Tensor<double> values = numbers();
  values[7] = neighbour(values[7], 2);
  EXPECT_FALSE(compare_other_rounding("tap", bfloat16s(values), bfloat16s(numbers())).has_value());
}

TEST(OtherRounding, IsForBfloat16OfTheSameShape) {
  EXPECT_FALSE(compare_other_rounding("tap", Array::from(numbers()).cast(Dtype::f32), bfloat16s(numbers())));
  EXPECT_FALSE(compare_other_rounding("tap", bfloat16s(numbers()).cast(Dtype::bf16),
                                      bfloat16s(numbers().reshaped({10, 4}))));
}

TEST(OtherRounding, NaNIsNobodysRounding) {
  Tensor<double> values = numbers();
  values[3] = kNan;
  EXPECT_FALSE(compare_other_rounding("tap", bfloat16s(values), bfloat16s(numbers())).has_value());
}

Trace run_as(const Problem& problem, const Arithmetic& arithmetic) {
  Tracer tracer;
  run_reference(problem, Dtype::bf16, arithmetic, tracer);
  return tracer.take();
}

class KnownOrder : public testing::TestWithParam<int> {
 protected:
  const Problem problem = small_problem(
      "dense[dim=48,n_layers=1,n_heads=4,vocab_size=40,ffn_hidden_dim=57,qk_norm=true]"
      "/batch=2,text_len=8/seed=3/bfloat16");
};

TEST_P(KnownOrder, OfPartialSumsMatches) {
  Arithmetic arithmetic;
  arithmetic.split_k = GetParam();
  EXPECT_EQ(judge(problem, run_as(problem, arithmetic), Dtype::bf16, false).verdict, Verdict::match);
}

INSTANTIATE_TEST_SUITE_P(Parts, KnownOrder, testing::Values(8, 16, 32));

// down_proj sums 200 terms.
TEST(KnownOrders, OfPartsOf64And128Match) {
  const Problem large = small_problem(
      "dense[dim=16,n_layers=1,n_heads=2,vocab_size=40,ffn_hidden_dim=200]/batch=2,text_len=8/seed=3/"
      "bfloat16");
  for (const std::int64_t part : {64, 128}) {
    Arithmetic arithmetic;
    arithmetic.split_k = part;
    const Trace trace = run_as(large, arithmetic);
    ASSERT_NE(trace.at("layers.0.mlp").to<double>().data,
              run_forced(large, Dtype::bf16, kPlain, trace, Forcing::everything)
                  .trace.at("layers.0.mlp")
                  .to<double>()
                  .data);
    EXPECT_EQ(judge(large, trace, Dtype::bf16, false).verdict, Verdict::match) << part;
  }
}

TEST_F(KnownOrder, OfNormsBeforeTheGainMatches) {
  Arithmetic arithmetic;
  arithmetic.round_before_gain = true;
  EXPECT_EQ(judge(problem, run_as(problem, arithmetic), Dtype::bf16, false).verdict, Verdict::match);
}

TEST_F(KnownOrder, OfParts12IsUnknown) {
  Arithmetic arithmetic;
  arithmetic.split_k = 12;
  EXPECT_EQ(judge(problem, run_as(problem, arithmetic), Dtype::bf16, false).verdict, Verdict::mismatch);
}

// The order is granted to the whole tap: one element of it in an otherwise plain tap is a wrong element.
TEST_F(KnownOrder, IsNotGrantedToSingleElements) {
  Arithmetic arithmetic;
  arithmetic.split_k = 8;
  const Trace plain = run_as(problem, Arithmetic()), split = run_as(problem, arithmetic);
  const Array other =
      run_forced(problem, Dtype::bf16, arithmetic, plain, Forcing::everything).trace.at("layers.0.mlp");
  Tensor<double> values = plain.at("layers.0.mlp").to<double>();
  std::int64_t farthest = 0;
  for (std::int64_t i = 0; i < values.size(); ++i) {
    if (std::abs(other.at(i) - values[i]) > std::abs(other.at(farthest) - values[farthest])) farthest = i;
  }
  values[farthest] = other.at(farthest);
  const Judgement judgement =
      judge(problem, with_value(plain, "layers.0.mlp", bfloat16s(values)), Dtype::bf16, false);
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_EQ(judgement.first_divergence->tap, "layers.0.mlp");
}

}  // namespace
}  // namespace forgecheck
