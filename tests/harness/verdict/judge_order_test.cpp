// Which verdict a trace gets that has more than one thing wrong, in every pair and whichever comes first.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "tests/harness/verdict/tied_experts.h"

namespace forgecheck {
namespace {

const std::string kFourOfJudgeOrder =
    "moe[" + kSmall + ",num_experts=4,moe_top_k=2]/batch=2,text_len=6/seed=21";

/// What can be done to a right trace, by the verdict that it brings.
const std::map<std::string, Verdict> kVerdictOf = {
    {"an undecided choice", Verdict::undecided},   {"an auxiliary loss of zero", Verdict::untrusted},
    {"logits of zeros", Verdict::untrusted},       {"a wrong value before it", Verdict::mismatch},
    {"a wrong value after it", Verdict::mismatch}, {"an unknown tap", Verdict::mismatch},
};

Trace zeroed(const Trace& trace, const std::string& name) {
  return with_tap(trace, name, Array::from(Tensor<float>(trace.at(name).shape())));
}

Trace off(const Trace& trace, const std::string& name) {
  Tensor<float> values = trace.at(name).to<float>();
  values[3] += 0.5F;
  return with_tap(trace, name, Array::from(values));
}

Trace changed(const Trace& trace, const std::string& finding) {
  if (finding == "an auxiliary loss of zero") return zeroed(trace, "aux_loss");
  if (finding == "logits of zeros") return zeroed(trace, "logits");
  if (finding == "a wrong value before it") return off(trace, "layers.0.attention.q_proj");
  if (finding == "a wrong value after it") return off(trace, "layers.1.attention.q_proj");
  EXPECT_EQ(finding, "an unknown tap");
  return with_value(trace, "layers.7.mlp", Array::from(Tensor<float>({1})));
}

Verdict verdict_with(const std::vector<std::string>& findings) {
  const Problem problem = tied_problem(kFourOfJudgeOrder, 0, 1);
  Trace trace = run_permuted(problem, Dtype::f32);
  for (const std::string& finding : findings) {
    if (finding != "an undecided choice") continue;
    trace = run_permuted(problem, Dtype::f32, flipped(trace, 0, 1, 1));
  }
  for (const std::string& finding : findings) {
    if (finding != "an undecided choice") trace = changed(trace, finding);
  }
  return judge_float32(problem, trace).verdict;
}

TEST(JudgeOrder, ARightTraceMatches) {
  EXPECT_EQ(verdict_with({}), Verdict::match);
}

TEST(JudgeOrder, EveryFindingAloneHasItsVerdict) {
  for (const auto& [finding, verdict] : kVerdictOf) EXPECT_EQ(verdict_with({finding}), verdict) << finding;
}

TEST(JudgeOrder, OfEveryPairOfFindingsTheWorseDecides) {
  for (const auto& [one, first] : kVerdictOf) {
    for (const auto& [other, second] : kVerdictOf) {
      if (one < other) {
        EXPECT_EQ(verdict_with({one, other}), worse(first, second)) << one << " and " << other;
      }
    }
  }
}

TEST(JudgeOrder, WithoutAnOutputNothingElseCounts) {
  const Problem problem = small_problem(kFourOfJudgeOrder);
  const Trace trace = without(run_permuted(problem, Dtype::f32), "logits");
  EXPECT_EQ(judge_float32(problem, trace).verdict, Verdict::untrusted);
  EXPECT_EQ(judge_float32(problem, off(trace, "layers.0.attention.q_proj")).verdict, Verdict::untrusted);
}

/// The judgement on a trace of the problem that takes the other one of the tied experts once.
Judgement judged_with_a_tie(const Problem& problem) {
  const Trace right = run_permuted(problem, Dtype::f32);
  return judge_float32(problem, run_permuted(problem, Dtype::f32, flipped(right, 0, 1, 1)));
}

TEST(JudgeOrder, LogitsThatShowNothingAreNotExcusedByAnUndecidedChoice) {
  Problem problem = tied_problem(kFourOfJudgeOrder, 0, 1);
  Array& head = problem.parameters.at("output_head.proj.weight");
  head = Array::from(Tensor<float>(head.shape()));
  const Judgement judgement = judged_with_a_tie(problem);
  EXPECT_EQ(judgement.undecided.size(), 1U);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_EQ(judgement.message, "logits are the same number everywhere, in the oracle too");
}

TEST(JudgeOrder, AnUndecidedTraceHasNotesToo) {
  Problem problem = tied_problem(kFourOfJudgeOrder, 0, 1);
  for (auto& [name, parameter] : problem.parameters) {
    if (name.ends_with("norm.weight")) {
      parameter = Array::from(Tensor<float>({16}, std::vector<float>(16, 1.0F)));
    }
  }
  const Judgement judgement = judged_with_a_tie(problem);
  EXPECT_EQ(judgement.verdict, Verdict::undecided) << judgement.message;
  EXPECT_EQ(judgement.notes.size(), 1U);
}

// More than half of the choices undecided says too little; a mismatch says enough.
TEST(JudgeOrder, MostChoicesUndecidedDoesNotHideAMismatch) {
  const Problem problem = tied_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24,num_experts=2,moe_top_"
      "k=1]/"
      "batch=2,text_len=6/seed=22",
      0, 1);
  const Trace most = run_permuted(problem, Dtype::f32, flipped(run_permuted(problem, Dtype::f32), 0, 1, 7));
  EXPECT_EQ(judge_float32(problem, most).verdict, Verdict::untrusted);
  EXPECT_EQ(judge_float32(problem, off(most, "layers.0.attention.q_proj")).verdict, Verdict::mismatch);
}

}  // namespace
}  // namespace forgecheck
