// What hints are derived from: the values found in a trace, the weights, when a prediction explains a tap,
// and the residual stream where a module reads it.
#include "harness/hint/wrong_tap.h"

#include "harness/hint/patterns.h"
#include "harness/hint/residual.h"
#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

/// A tap of a problem whose right run is `forced`, with the candidate's trace.
WrongTap wrong_tap(const Problem& problem, const Trace& candidate, const ReferenceRun& forced,
                   const std::string& name) {
  return {problem, candidate, forced, Dtype::f32, name, place_of(name, problem.definition.architecture), {}};
}

ReferenceRun oracle_of(const Problem& problem) {
  return run_forced(problem, Dtype::f64, kPlain, Trace(), Forcing::nothing);
}

Tensor<float> filled(const Shape& shape, float value) {
  Tensor<float> x(shape);
  std::ranges::fill(x.data, value);
  return x;
}

TEST(WrongTap, AFoundValueIsTheCandidatesIfItCanBe) {
  const Problem problem = small_problem("dense[" + kSmall + "]/batch=1,text_len=3/seed=1");
  const ReferenceRun oracle = oracle_of(problem);
  Trace candidate;
  candidate.add("layers.0", Array::from(filled({1, 3, 16}, 2)));
  candidate.add("layers.0.mlp", Array::from(filled({3, 16}, 2)));
  candidate.add("norm", Array::from(Tensor<std::int64_t>({1, 3, 16})));
  candidate.add("no_tap", Array::from(filled({1}, 2)));
  const WrongTap wrong = wrong_tap(problem, candidate, oracle, "logits");
  EXPECT_EQ(found_value(wrong, "layers.0")->data, std::vector<double>(48, 2.0));
  const auto oracles = [&](const std::string& tap) { return oracle.trace.at(tap).to<double>().data; };
  EXPECT_EQ(found_value(wrong, "layers.0.mlp")->data, oracles("layers.0.mlp")) << "another shape";
  EXPECT_EQ(found_value(wrong, "norm")->data, oracles("norm")) << "integers";
  EXPECT_EQ(found_value(wrong, "layers.1")->data, oracles("layers.1")) << "not shown";
  EXPECT_FALSE(found_value(wrong, "no_tap"));
}

TEST(WrongTap, AWeightIsRoundedToTheTypeOfTheCase) {
  for (const auto& [type, stored] : {std::pair("float32", 1.0 + 0x1p-10), {"bfloat16", 1.0}}) {
    Problem problem = small_problem("dense[" + kSmall + "]/batch=1,text_len=3/seed=1/" + type);
    problem.parameters.insert_or_assign("norm.weight", Array::from(filled({16}, 1.0F + 0x1p-10F)));
    const ReferenceRun nothing;
    const WrongTap wrong = wrong_tap(problem, nothing.trace, nothing, "norm");
    EXPECT_EQ(stored_weight(wrong, "norm.weight").data, std::vector<double>(16, stored)) << type;
  }
}

/// The oracle is 1 and the baseline off by 1e-5. The bound is kOutlier kappa = 8 times four times that, and
/// more in proportion where the prediction is larger than the oracle's values.
TEST(WrongTap, APredictionMayBeOffByFourTimesTheOraclesRounding) {
  const Problem problem = small_problem("dense[" + kSmall + "]/batch=1,text_len=3/seed=1");
  const ReferenceRun nothing;
  WrongTap wrong = wrong_tap(problem, nothing.trace, nothing, "norm");
  const auto all = [](double value) { return Tensor<double>({2, 16}, std::vector<double>(32, value)); };
  for (const auto& [predicted, bound] : {std::pair(3.0, 3 * 3.2e-4), {1.0, 3.2e-4}, {0.25, 3.2e-4}}) {
    wrong.numbers = TapNumbers{all(predicted + 0.9 * bound), all(1), all(1 + 1e-5)};
    EXPECT_TRUE(is_explained(wrong, all(predicted))) << predicted;
    wrong.numbers = TapNumbers{all(predicted + 1.1 * bound), all(1), all(1 + 1e-5)};
    EXPECT_FALSE(is_explained(wrong, all(predicted))) << predicted;
  }
  wrong.numbers = TapNumbers{all(1), all(1), all(1)};
  EXPECT_FALSE(is_explained(wrong, Tensor<double>({16, 2}, std::vector<double>(32, 1))));
}

TEST(WrongTap, IsNearerIfHalfAsFarOrOfFewNumbersAThirtieth) {
  const Problem problem = small_problem("dense[" + kSmall + "]/batch=1,text_len=3/seed=1");
  const auto nearer = [&](std::int64_t size, float predicted, double times) {
    Trace candidate;
    candidate.add("norm", Array::from(filled({size}, 1)));
    ReferenceRun oracle;
    oracle.trace.add("norm", Array::from(filled({size}, 1.5F)));
    const WrongTap wrong = wrong_tap(problem, candidate, oracle, "norm");
    return is_nearer(wrong, Array::from(filled({size}, predicted)), times);
  };
  // of the oracle's 1.5 a third, of 1.19 a sixth
  EXPECT_TRUE(nearer(8, 1.19F, 2));
  EXPECT_FALSE(nearer(8, 1.21F, 2));
  EXPECT_TRUE(nearer(8, 1.03F, 10));
  EXPECT_FALSE(nearer(8, 1.04F, 10));
  EXPECT_TRUE(nearer(7, 1.01F, 2));
  EXPECT_FALSE(nearer(7, 1.02F, 2));
}

/// The oracle is 1, the values 1.0001 and noise of both signs that is within the tolerance: without the factor
/// they are 2.2 times farther off, or 20 times.
TEST(WrongTap, AFactorWithoutANameMustBringItTenTimesNearer) {
  const Problem problem = small_problem("dense[" + kSmall + "]/batch=1,text_len=3/seed=1");
  const auto hint_with_noise = [&](double noise) {
    Tensor<double> values({2, 16}), oracle({2, 16}), baseline({2, 16});
    for (std::int64_t i = 0; i < 32; ++i) {
      values[i] = 1.0001 + (i % 2 == 0 ? noise : -noise);
      oracle[i] = 1;
      baseline[i] = 1 + 1e-5;
    }
    Trace candidate;
    candidate.add("norm", Array::from(values));
    ReferenceRun forced;
    forced.trace.add("norm", Array::from(oracle));
    WrongTap wrong = wrong_tap(problem, candidate, forced, "norm");
    wrong.numbers = TapNumbers{values, oracle, baseline};
    return any_factor_hint(wrong);
  };
  EXPECT_EQ(hint_with_noise(5e-5), "");
  EXPECT_EQ(hint_with_noise(5e-6), "every value is the oracle's times 1.0001");
}

// ---- the residual stream ----

void expect_stream(const WrongTap& wrong, const std::string& at, const std::vector<double>& expected) {
  const auto stream = residual_before(wrong, place_of(at, wrong.problem.definition.architecture));
  ASSERT_TRUE(stream) << at;
  EXPECT_EQ(stream->data, expected) << at;
}

/// Where a module reads the stream, and the tap that is the stream there.
void expect_streams(const std::string& text,
                    const std::vector<std::pair<std::string, std::string>>& streams) {
  const Problem problem = small_problem(text);
  const ReferenceRun oracle = oracle_of(problem);
  const Trace nothing;
  const WrongTap wrong = wrong_tap(problem, nothing, oracle, "logits");
  for (const auto& [at, tap] : streams) expect_stream(wrong, at, oracle.trace.at(tap).to<double>().data);
}

TEST(Residual, IsTheBlockBefore) {
  expect_streams(small_cases()[0], {{"layers.0.attention_norm", "token_embedding"},
                                    {"layers.1.mlp_norm", "layers.0"},
                                    {"norm", "layers.1"}});
}

TEST(Residual, OfLayersAndCrossAttentionBlocksInTurns) {
  expect_streams(
      "cross_attention[dim=16,n_layers=5,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24,"
      "max_text_len=16,cross_attention_every_n_layers=2]/text_len=4,image_tokens=3/seed=5",
      {{"layers.0.attention_norm", "token_embedding"},
       {"layers.1.attention_norm", "layers.0"},
       {"cross_attention_layers.0.attn_norm", "layers.1"},
       {"layers.2.attention_norm", "cross_attention_layers.0"},
       {"layers.3.attention_norm", "layers.2"},
       {"cross_attention_layers.1.mlp_norm", "layers.3"},
       {"layers.4.attention_norm", "cross_attention_layers.1"},
       {"norm", "layers.4"}});
}

TEST(Residual, OfAMixtureOfTransformersIsItsModalitys) {
  const Problem problem = small_problem(small_cases()[5]);
  const ReferenceRun oracle = oracle_of(problem);
  const Trace nothing;
  const WrongTap wrong = wrong_tap(problem, nothing, oracle, "logits");
  const auto tap = [&](const std::string& name) { return oracle.trace.at(name).to<double>().data; };
  expect_stream(wrong, "layers.0.attn_norm.image", problem.inputs.prefix_embeds->to<double>().data);
  expect_stream(wrong, "layers.0.attn_norm.text", tap("token_embedding"));
  expect_stream(wrong, "layers.1.attn_norm.text", tap("layers.0.text"));
  expect_stream(wrong, "mot_norms.image", tap("layers.1.image"));
}

TEST(Residual, BeginsWithTheAdaptersImages) {
  const Problem problem = small_problem(small_cases()[3]);
  const ReferenceRun oracle = oracle_of(problem);
  const Trace nothing;
  const Tensor<double> adapter = oracle.trace.at("adapter").to<double>();
  const Tensor<double> text = oracle.trace.at("token_embedding").to<double>();
  std::vector<double> joined;
  for (std::int64_t b = 0; b < 2; ++b) {
    for (const Tensor<double>* part : {&adapter, &text}) {
      const std::int64_t size = part->size() / 2;
      joined.insert(joined.end(), part->data.begin() + b * size, part->data.begin() + (b + 1) * size);
    }
  }
  const WrongTap wrong = wrong_tap(problem, nothing, oracle, "logits");
  expect_stream(wrong, "layers.0.attention_norm", joined);
}

TEST(Residual, BeginsWithEmbedsWhereTheyAreGiven) {
  const Problem problem = small_problem("dense[" + kSmall + "]/batch=2,text_len=5,embeds=true/seed=1");
  const ReferenceRun oracle = oracle_of(problem);
  const Trace nothing;
  const WrongTap wrong = wrong_tap(problem, nothing, oracle, "logits");
  expect_stream(wrong, "layers.0.attention_norm", problem.inputs.inputs_embeds->to<double>().data);
}

}  // namespace
}  // namespace forgecheck
