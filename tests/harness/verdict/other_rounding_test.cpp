// Orders of rounding that the baselines do not have: granted to a tap that shows them, to no other.
#include <gtest/gtest.h>

#include "reference/ops/linear.h"
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
  EXPECT_EQ(result->tolerance, 0x1p-3);
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

// 1 + 2^-7 and 1 are neighbours; times 255/128, rounded, they are two units apart.
TEST(OtherRounding, OneMayBeTwoAwayAndNoneThree) {
  Tensor<double> values = numbers();
  values[7] = neighbour(values[7], 2);
  EXPECT_TRUE(compare_other_rounding("tap", bfloat16s(values), bfloat16s(numbers())));
  values[7] = neighbour(values[7]);
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

/// The tap with its product and its bias rounded one after the other, by the trace's own input of it.
Array with_separate_bias(const Problem& problem, const Trace& trace, const std::string& input,
                         const std::string& module) {
  const auto parameter = [&](const char* name) {
    return problem.parameters.at(module + name).cast(Dtype::bf16).to<Bfloat16>();
  };
  Tensor<Bfloat16> out = linear(trace.at(input).to<Bfloat16>(), parameter(".weight"), kPlain);
  const Tensor<Bfloat16> bias = parameter(".bias");
  for (std::int64_t i = 0; i < out.size(); ++i) {
    out[i] = Bfloat16(static_cast<float>(out[i]) + static_cast<float>(bias[i % bias.size()]));
  }
  return Array::from(out);
}

// Wider than the parts of the other orders: of 128 terms a part of 128 is the whole product.
TEST(KnownOrders, OfBiasesAddedByThemselvesMatch) {
  const Problem biased = small_problem(
      "dense[dim=144,n_layers=1,n_heads=4,vocab_size=40,ffn_hidden_dim=57,qkv_bias=true]/batch=2,text_len=8/"
      "seed=3/bfloat16");
  const Trace plain = run_as(biased, Arithmetic());
  const std::string module = "layers.0.attention.q_proj";
  const Array separate = with_separate_bias(biased, plain, "layers.0.attention_norm", module);
  // Rounded twice, an element may be off by more than half a unit in its last place.
  const Trace twice = with_value(plain, module, separate);
  const ReferenceRun oracle = run_forced(biased, Dtype::f64, Arithmetic(), twice, Forcing::everything);
  const Tensor<double> exact = oracle.trace.at(module).to<double>(), half = half_units(exact, Dtype::bf16);
  double worst = 0;
  for (std::int64_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::abs(separate.at(i) - exact[i]) / half[i]);
  }
  EXPECT_GT(worst, 1.5);
  Arithmetic arithmetic;
  arithmetic.round_before_bias = true;
  EXPECT_EQ(judge(biased, run_as(biased, arithmetic), Dtype::bf16, false).verdict, Verdict::match);
  EXPECT_EQ(run_forced(biased, Dtype::bf16, arithmetic, twice, Forcing::everything)
                .trace.at(module)
                .to<double>()
                .data,
            separate.to<double>().data);
}

/// What lies between the taps of a decode is one order of rounding of norms, biases and attention together.
TEST(KnownOrders, OfADecodeMatchTogether) {
  const std::string tiny = "dense[dim=6,n_layers=1,n_heads=1,vocab_size=4,ffn_hidden_dim=3,qkv_bias=true]";
  for (const Named<Probabilities>& probabilities : kProbabilities) {
    for (const bool before_bias : {false, true}) {
      const Arithmetic arithmetic{
          .probabilities = probabilities.value, .round_before_gain = true, .round_before_bias = before_bias};
      for (int seed = 0; seed < 100; ++seed) {
        const Problem decode =
            small_problem(tiny + "/batch=1,text_len=4/bfloat16/decode=1+3/seed=" + std::to_string(seed));
        const Judgement judgement = judge(decode, run_as(decode, arithmetic), Dtype::bf16, false);
        EXPECT_EQ(judgement.verdict, Verdict::match)
            << probabilities.name << ", seed " << seed << ": " << judgement.message;
      }
    }
  }
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
