// A model whose two experts have the same router row but for a few units in the last place: which of them a
// token takes cannot be decided, and everything after it is still judged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/harness/verdict/tied_experts.h"

namespace forgecheck {
namespace {

using testing::StartsWith;

const std::string kFour = "moe[" + kSmall + ",num_experts=4,moe_top_k=2]/batch=2,text_len=6/seed=21";
const std::string kTwo = "moe[" + kSmall + ",num_experts=2,moe_top_k=1]/batch=2,text_len=6/seed=22";

TEST(JudgeChoices, AFlipBetweenTiedExpertsIsUndecidedAndNothingElse) {
  const Problem problem = tied_problem(kFour, 0, 1);
  const Trace choices = flipped(run_permuted(problem, Dtype::f32), 0, 1, 1);
  const Judgement judgement = judge_float32(problem, run_permuted(problem, Dtype::f32, choices));
  EXPECT_EQ(judgement.verdict, Verdict::undecided) << judgement.message;
  EXPECT_TRUE(is_success(judgement.verdict));
  ASSERT_EQ(judgement.undecided.size(), 1U);
  EXPECT_EQ(judgement.undecided[0].tap, kIndices);
  EXPECT_LE(judgement.undecided[0].margin, judgement.undecided[0].bound);
  for (const TapResult& tap : judgement.taps) {
    EXPECT_EQ(tap.verdict, tap.name == kIndices ? Verdict::undecided : Verdict::match) << tap.name;
  }
}

// Either of two equal scores may be the larger: there is nothing to decide.
TEST(JudgeChoices, AFlipBetweenEqualScoresIsAMatch) {
  const Problem problem = tied_problem(kFour, 0, 1, 0.0F);
  const Trace choices = flipped(run_permuted(problem, Dtype::f32), 0, 1, 1);
  const Judgement judgement = judge_float32(problem, run_permuted(problem, Dtype::f32, choices));
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
  ASSERT_EQ(judgement.undecided.size(), 1U);
  EXPECT_EQ(judgement.undecided[0].margin, 0);
}

TEST(JudgeChoices, AnErrorBehindAFlipIsStillFound) {
  const Problem problem = tied_problem(kFour, 0, 1);
  const Trace choices = flipped(run_permuted(problem, Dtype::f32), 0, 1, 1);
  const Trace right = run_permuted(problem, Dtype::f32, choices);
  for (const std::string name : {"layers.0.mlp", "layers.1.attention.k_proj", "logits"}) {
    Tensor<float> values = right.at(name).to<float>();
    values[0] += 0.05F;
    const Judgement judgement = judge_float32(problem, with_tap(right, name, Array::from(values)));
    EXPECT_EQ(judgement.verdict, Verdict::mismatch) << name;
    EXPECT_THAT(judgement.message, StartsWith(name + " "));
    EXPECT_EQ(judgement.undecided.size(), 1U);
  }
}

TEST(JudgeChoices, AFlipMustBeFollowed) {
  // The trace says that it took the other expert, but its values are those of the first.
  const Problem problem = tied_problem(kFour, 0, 1);
  const Trace right = run_permuted(problem, Dtype::f32);
  const Trace choices = flipped(right, 0, 1, 1);
  const Judgement judgement = judge_float32(problem, with_tap(right, kIndices, choices.at(kIndices)));
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_THAT(judgement.message, StartsWith("layers.0.mlp is "));
}

TEST(JudgeChoices, MostlyUndecidedIsUntrusted) {
  const Problem problem = tied_problem(kTwo, 0, 1);
  const Trace right = run_permuted(problem, Dtype::f32);
  // 12 tokens in each of 2 layers: of 24 choices only those of layer 0 are tied.
  const Trace all = flipped(right, 0, 1, 12);
  EXPECT_EQ(judge_float32(problem, run_permuted(problem, Dtype::f32, all)).verdict, Verdict::undecided);
  const std::string one_layer =
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24,"
      "num_experts=2,moe_top_k=1]/batch=2,text_len=6/seed=22";
  const Problem shallow = tied_problem(one_layer, 0, 1);
  const Trace most = flipped(run_permuted(shallow, Dtype::f32), 0, 1, 7);
  EXPECT_EQ(judge_float32(shallow, run_permuted(shallow, Dtype::f32, most)).verdict, Verdict::untrusted);
  const Problem equal = tied_problem(one_layer, 0, 1, 0.0F);
  const Trace equals = flipped(run_permuted(equal, Dtype::f32), 0, 1, 7);
  EXPECT_EQ(judge_float32(equal, run_permuted(equal, Dtype::f32, equals)).verdict, Verdict::untrusted)
      << "equal scores say no more";
  const Trace few = flipped(run_permuted(shallow, Dtype::f32), 0, 1, 5);
  EXPECT_EQ(judge_float32(shallow, run_permuted(shallow, Dtype::f32, few)).verdict, Verdict::undecided);
}

// A token is one choice, of however many experts: of 12 tokens that take two of three tied experts, 7 take others.
TEST(JudgeChoices, MostlyUndecidedIsCountedInTokens) {
  const std::string text =
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24,num_experts=3,"
      "moe_top_k=2]/batch=2,text_len=6/seed=22";
  Problem problem = tied_problem(text, 0, 1);
  Tensor<float> gate = problem.parameters.at(kGate).to<float>();
  std::ranges::copy(gate.row(0), gate.row(2).begin());
  gate.row(2)[0] -= 5e-7F;
  problem.parameters.insert_or_assign(kGate, Array::from(gate));
  const Tensor<std::int64_t> own = run_permuted(problem, Dtype::f32).at(kIndices).to_int64();
  for (const std::int64_t flips : {6, 7}) {
    Tensor<std::int64_t> indices = own;
    for (std::int64_t r = 0; r < flips; ++r) {
      const std::int64_t out = 3 - own.row(r)[0] - own.row(r)[1];
      indices.row(r)[1] = out;
    }
    Trace choices;
    choices.add(kIndices, Array::from(indices));
    const Judgement judgement = judge_float32(problem, run_permuted(problem, Dtype::f32, choices));
    EXPECT_EQ(judgement.undecided.size(), static_cast<std::size_t>(flips));
    EXPECT_EQ(judgement.verdict, flips == 7 ? Verdict::untrusted : Verdict::undecided) << judgement.message;
  }
}

TEST(JudgeChoices, AFlipByAClearMarginIsAMismatchAndItsTraceIsFollowed) {
  const Problem problem = small_problem(kFour);
  const Decision decision = oracle_decisions(problem).at(kIndices);
  Tensor<std::int64_t> indices = decision.chosen;
  const auto scores = decision.scores.row(3);
  indices.row(3)[0] = std::ranges::min_element(scores) - scores.begin();
  Trace choices;
  choices.add(kIndices, Array::from(indices));
  const Judgement judgement = judge_float32(problem, run_permuted(problem, Dtype::f32, choices));
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_THAT(judgement.message, StartsWith(kIndices + " "));
  for (const TapResult& tap : judgement.taps) {
    EXPECT_EQ(tap.verdict, tap.name == kIndices ? Verdict::mismatch : Verdict::match) << tap.name;
  }
}

TEST(JudgeChoices, TheOrderOfSlotsDoesNotMatter) {
  for (const std::string& text : {small_cases()[1], small_cases()[6]}) {  // token choice and expert choice
    const Problem problem = small_problem(text);
    const Trace right = run_permuted(problem, Dtype::f32);
    Trace choices;
    for (const auto& [name, value] : right.entries()) {
      if (!name.ends_with(".indices")) continue;
      Tensor<std::int64_t> indices = value.to_int64();
      for (std::int64_t r = 0; r < indices.rows(); ++r) std::ranges::reverse(indices.row(r));
      choices.add(name, Array::from(indices));
    }
    ASSERT_FALSE(choices.empty());
    const Judgement judgement = judge_float32(problem, run_permuted(problem, Dtype::f32, choices));
    EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
    EXPECT_TRUE(judgement.undecided.empty());
  }
}

TEST(JudgeChoices, WhatIsNoChoiceIsAMismatchOfItsTap) {
  const Problem problem = small_problem(kFour);
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<std::int64_t> indices = right.at(kIndices).to_int64();
  const auto with_first = [&](std::int64_t value) {
    Tensor<std::int64_t> changed = indices;
    changed[0] = value;
    return Array::from(changed);
  };
  for (const Array& wrong : {with_first(indices[1]), with_first(4), with_first(-1), with_first(INT64_MAX),
                             Array(), Array::from(indices.reshaped({24})),
                             Array::from(indices.reshaped({8, 3})), Array::from(Tensor<float>({12, 2}))}) {
    const Judgement judgement = judge_float32(problem, with_tap(right, kIndices, wrong));
    EXPECT_EQ(judgement.verdict, Verdict::mismatch);
    EXPECT_THAT(judgement.message, StartsWith(kIndices + " "));
  }
}

/// A right implementation that breaks the tie of two equal experts otherwise.
void expect_tie_is_followed(const std::string& run) {
  const std::string gate = "layers.0.mlp.router.gate.weight";
  Problem problem =
      small_problem("moe[" + kSmall + ",num_experts=2,moe_top_k=1]/batch=2,text_len=6/seed=22" + run);
  Tensor<float> equal = problem.parameters.at(gate).to<float>();
  std::ranges::copy(equal.row(0), equal.row(1).begin());
  problem.parameters.insert_or_assign(gate, Array::from(equal));
  Problem other = problem;
  for (float& value : equal.row(1)) value = std::nextafter(value, value > 0 ? 10.0F : -10.0F);
  other.parameters.insert_or_assign(gate, Array::from(equal));
  const Judgement judgement = judge_float32(problem, run_permuted(other, Dtype::f32));
  EXPECT_TRUE(is_success(judgement.verdict)) << judgement.message;
}
TEST(JudgeChoices, StagedLogitsFollowTheCandidatesChoices) {
  expect_tie_is_followed("/stages=2");
}

}  // namespace
}  // namespace forgecheck
