// What is said of the first wrong tap, and of the errors of all taps of a trace that fails.
#include "harness/verdict/explain.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "harness/hint/hints.h"
#include "harness/verdict/baselines.h"
#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const std::string kTap = "layers.1.mlp.hidden";

Problem problem() {
  return small_problem(small_cases()[0]);
}

/// A run that continues after a wrong value of layers.0.mlp: the error is inherited.
Trace inherited_run(const Problem& wrong) {
  Trace forced;
  Tensor<float> values = run_permuted(wrong, Dtype::f32).at("layers.0.mlp").to<float>();
  values[5] += 0.25F;
  forced.add("layers.0.mlp", Array::from(values));
  Tracer tracer;
  tracer.force(forced, Forcing::everything);
  run_reference(wrong, Dtype::f32, Arithmetic{.order = linalg::Order::permuted}, tracer);
  return with_tap(tracer.trace(), "layers.0.mlp", forced.at("layers.0.mlp"));
}

const TapResult& result_of(const Judgement& judgement, const std::string& name) {
  return *std::ranges::find(judgement.taps, name, &TapResult::name);
}

TEST(FirstDivergence, SaysWhereHowMuchAndByWhatOperation) {
  const Problem right = problem();
  Tensor<float> values = run_permuted(right, Dtype::f32).at(kTap).to<float>();  // (2, 5, 24)
  values[7 * 24 + 11] += 0.5F;
  const FirstDivergence found =
      divergence_at(right, with_tap(run_permuted(right, Dtype::f32), kTap, Array::from(values)), kTap);
  EXPECT_EQ(found.after, "layers.1.mlp.up_proj");
  EXPECT_THAT(found.between, IsEmpty());
  EXPECT_EQ(found.operation.source, "reference/ops/activation.cpp");
  EXPECT_EQ(found.operation.upstream, "kempnerforge/model/mlp.py");
  ASSERT_TRUE(found.worst.has_value());
  EXPECT_THAT(found.worst->index, ElementsAre(1, 2, 11));
  EXPECT_NEAR(found.worst->candidate - found.worst->oracle, 0.5, 1e-5);
  EXPECT_EQ(std::accumulate(found.histogram.begin(), found.histogram.end(), std::size_t{0}), 240U);
  EXPECT_EQ(found.histogram.back(), 1U) << "one element is more than a hundred tolerances off";
  EXPECT_EQ(found.map.rows, 10);
  EXPECT_EQ(found.map.columns, 24);
  const auto largest = std::ranges::max_element(found.map.shares) - found.map.shares.begin();
  EXPECT_EQ(largest, 7 * 24 + 11);
  EXPECT_EQ(found.hint, "");
  EXPECT_EQ(found.note, "");
}

TEST(FirstDivergence, AtTheFirstTapStandsBehindNone) {
  const Problem right = problem();
  Tensor<float> values = run_permuted(right, Dtype::f32).at("token_embedding").to<float>();
  values[0] += 1;
  EXPECT_EQ(
      divergence_at(right, with_tap(run_permuted(right, Dtype::f32), "token_embedding", Array::from(values)),
                    "token_embedding")
          .after,
      "");
}

TEST(FirstDivergence, OfAChoiceHasNoNumbers) {
  const Problem right = small_problem(small_cases()[1]);
  const std::string tap = "layers.0.mlp.router.indices";
  Tensor<std::int64_t> indices = oracle_decisions(right).at(tap).chosen;
  const auto scores = oracle_decisions(right).at(tap).scores;
  indices[0] = std::ranges::min_element(scores.row(0)) - scores.row(0).begin();
  const FirstDivergence found =
      divergence_at(right, with_tap(run_permuted(right, Dtype::f32), tap, Array::from(indices)), tap);
  EXPECT_FALSE(found.worst.has_value());
  EXPECT_THAT(found.histogram, IsEmpty());
  EXPECT_EQ(found.map.rows, 0);
  EXPECT_NE(found.operation.formula, "");
}

TEST(FirstDivergence, SaysNoMoreThanIsAsked) {
  const Problem right = problem();
  Trace outputs;
  Tensor<float> values = run_permuted(right, Dtype::f32).at("logits").to<float>();
  for (float& value : values.data) value *= 2;
  outputs.add("logits", Array::from(values));
  const auto first = [&](Detail detail) {
    return *judge(right, outputs, Dtype::f32, false, detail).first_divergence;
  };
  EXPECT_THAT(first(Detail::verdicts).between, IsEmpty());
  EXPECT_GT(first(Detail::location).between.size(), 20U);
  EXPECT_EQ(first(Detail::location).hint, "");
  EXPECT_THAT(first(Detail::explanation).hint, testing::HasSubstr("times 2"));
}

TEST(TapErrors, AreLocalWhereTheyAreMadeAndInheritedBehind) {
  const Problem right = problem();
  const Judgement judgement = judge_float32(right, inherited_run(right));
  EXPECT_EQ(judgement.first_divergence->tap, "layers.0.mlp");
  EXPECT_GT(result_of(judgement, "layers.0.mlp").local, 1e-3);
  EXPECT_LT(result_of(judgement, "layers.0.mlp").inherited, 1e-5);
  for (const std::string behind : {"layers.1.attention_norm", "layers.1.mlp", "logits"}) {
    EXPECT_LT(result_of(judgement, behind).local, 1e-5) << behind;
    EXPECT_GT(result_of(judgement, behind).inherited, 1e-3) << behind;
  }
  EXPECT_LT(result_of(judgement, "layers.0.attention").inherited, 1e-5);
}

TEST(TapErrors, OfAMatchAreLocalOnly) {
  const Problem right = problem();
  const Judgement judgement = judge_float32(right, run_permuted(right, Dtype::f32));
  ASSERT_EQ(judgement.verdict, Verdict::match);
  EXPECT_GT(result_of(judgement, "logits").local, 0.0);
  EXPECT_EQ(result_of(judgement, "logits").inherited, 0.0);
}

TEST(TapErrors, OfChoicesDoNotDependOnTheirOrder) {
  const Problem right = small_problem(small_cases()[1]);
  const std::string tap = "layers.0.mlp.router.indices";
  Tensor<std::int64_t> indices = run_permuted(right, Dtype::f32).at(tap).to_int64();
  for (std::int64_t r = 0; r < indices.rows(); ++r) std::ranges::reverse(indices.row(r));
  Trace choices;
  choices.add(tap, Array::from(indices));
  const Judgement judgement = judge_float32(right, run_permuted(right, Dtype::f32, choices));
  EXPECT_EQ(judgement.verdict, Verdict::match);
  EXPECT_EQ(result_of(judgement, tap).local, 0.0);
}

TEST(FirstDivergence, HasTheErrorOfItsInputsNotItsOwn) {
  const Problem right = problem();
  const FirstDivergence own = divergence_at(right, inherited_run(right), "layers.0.mlp");
  EXPECT_GT(own.local_error, 0.1);
  EXPECT_GT(own.tolerance, 0);
  EXPECT_LT(own.tolerance, 1e-4);
  EXPECT_LT(own.inherited_error, 1e-5) << "its inputs are right";
  // Without layers.0.mlp and layers.0 the first wrong tap is one whose inputs the trace does not show; and the
  // logits after it are right on a wrong input.
  const Trace behind = without(without(inherited_run(right), "layers.0.mlp"), "layers.0");
  const FirstDivergence next = divergence_at(right, behind, "layers.1.attention_norm");
  EXPECT_LT(next.inherited_error, 1e-5);
}

// A program that reads another layer's weight has numbers where the oracle, with an infinite weight, has none.
TEST(FirstDivergence, HasNoHintWhereTheOracleIsNotFinite) {
  const std::string tap = "layers.1.mlp.up_proj", weight = tap + ".weight",
                    other = "layers.0.mlp.up_proj.weight";
  Problem right = problem(), mistaken = right;
  mistaken.parameters.at(weight) = right.parameters.at(other);
  const Trace trace = run_permuted(mistaken, Dtype::f32);
  EXPECT_EQ(divergence_at(right, trace, tap).hint, "explained if " + other + " is read instead of " + weight);
  Tensor<float> values = right.parameters.at(weight).to<float>();
  values[3] = std::numeric_limits<float>::infinity();
  right.parameters.at(weight) = Array::from(values);
  EXPECT_EQ(divergence_at(right, trace, tap).hint, "");
}

/// A failure with the given spread of its first wrong tap, explained.
FirstDivergence explained_with(const Problem& right, const Trace& candidate, const Spreads& spreads) {
  JudgedTrace judged = compare_with_oracle(right, candidate, Dtype::f32, false);
  const auto first = std::ranges::find(judged.comparison.taps, kTap, &TapResult::name);
  judged.evidence.spreads = spreads;
  std::vector<TapResult> taps = judged.comparison.taps;
  return explain({right, candidate, Dtype::f32, judged.evidence}, TapResult(*first), taps, Detail::verdicts);
}

// The element is off by 0.5, and its spread reaches 0.125: four tolerances, which is the bin from 1 to 10.
TEST(FirstDivergence, MeasuresItsTapByTheSpreadOfThatTap) {
  const Problem right = problem();
  Tensor<double> values = run_permuted(right, Dtype::f32).at(kTap).to<double>();
  values[7] += 0.5;
  const Trace wrong = with_tap(run_permuted(right, Dtype::f32), kTap, Array::from(values));
  Tensor<double> reach(values.shape);
  reach[7] = 0.125;
  const FirstDivergence found = explained_with(right, wrong, {{kTap, {reach, 0}}});
  EXPECT_EQ(found.histogram[4], 1U);
  EXPECT_EQ(found.histogram.back(), 0U);
  EXPECT_NEAR(std::ranges::max(found.map.shares), 4, 1e-3);
  EXPECT_EQ(explained_with(right, wrong, {}).histogram.back(), 1U);
}

/// The explanation of a run whose gate_proj and up_proj are exchanged in `layer`, seen at layers.1 alone.
FirstDivergence seen_behind(const Problem& right, const std::string& layer) {
  Problem mistaken = right;
  std::swap(mistaken.parameters.at(layer + ".mlp.gate_proj.weight"),
            mistaken.parameters.at(layer + ".mlp.up_proj.weight"));
  const Trace whole = run_permuted(mistaken, Dtype::f32);
  Trace trace;
  for (const auto& [name, value] : whole.entries()) {
    if (name == "token_embedding" || name == "layers.1" || name == "logits") trace.add(name, value);
  }
  return divergence_at(right, trace, "layers.1");
}

// What stands in another block is to be asked for first, and has many modules.
TEST(FirstDivergence, HasAHintFromItsOwnBlockOnly) {
  const Problem right = problem();
  EXPECT_THAT(seen_behind(right, "layers.1").hint, testing::HasSubstr("gate_proj"));
  const FirstDivergence other = seen_behind(right, "layers.0");
  EXPECT_THAT(other.between, testing::Contains("layers.0.mlp.gate_proj"));
  EXPECT_EQ(other.hint, "");
}

/// What is said of a right trace's tokens, embedded and as logits, with one wrong value of `tap`, in a case whose
/// runs cost as if `more` tokens were generated, too.
FirstDivergence found_in_a_large_case(const std::string& tap, std::int64_t more, bool all_taps = false) {
  Problem right = problem();
  right.definition.generate.max_new_tokens = more;
  const Trace whole = run_permuted(right, Dtype::f32);
  Tensor<float> values = whole.at(tap).to<float>();
  values[3] += 0.5F;
  Trace trace;
  for (const auto& [name, value] : whole.entries()) {
    if (!all_taps && name != "token_embedding" && name != "logits") continue;
    trace.add(name, name == tap ? Array::from(values) : value);
  }
  return divergence_at(right, trace, tap);
}

// There are 1e10 multiply-adds to spend. A run up to the logits costs 3e6 or 1.05e10, one up to the first tap a small
// part of that.
TEST(FirstDivergence, SaysWhatWasSkippedInALargeCase) {
  const std::string skipped =
      "a run of this case takes long: not every unseen module was tried on its own; not every known mistake "
      "was "
      "tried";
  EXPECT_EQ(found_in_a_large_case("logits", 100).note, "");
  EXPECT_EQ(found_in_a_large_case("logits", 9000).note, skipped);
  EXPECT_EQ(found_in_a_large_case("token_embedding", 9000).note, "");
}

TEST(FirstDivergence, WhatTheTraceShowsCostsNothing) {
  EXPECT_EQ(found_in_a_large_case("logits", 3000, true).note, "");
  EXPECT_NE(found_in_a_large_case("logits", 3000, false).note, "");
  EXPECT_NE(found_in_a_large_case("logits", 9000000, true).note, "");
}

/// find_hint() with a wrong trace's first tap and a number of runs.
Hint hint_in_runs(std::int64_t runs) {
  const Problem right = problem();
  Problem mistaken = right;
  mistaken.parameters.at("layers.1.attention.v_proj.weight") =
      right.parameters.at("layers.0.attention.v_proj.weight");
  const Trace wrong = run_permuted(mistaken, Dtype::f32);
  const ReferenceRun forced_run = run_forced(right, Dtype::f64, kPlain, wrong, Forcing::everything);
  const std::string tap = "layers.1.attention.v_proj";
  const Tensor<double> oracle = forced_run.trace.at(tap).to<double>();
  const WrongTap first{right,
                       wrong,
                       forced_run,
                       Dtype::f32,
                       tap,
                       place_of(tap, right.definition.architecture),
                       TapNumbers{wrong.at(tap).to<double>(), oracle, with_error(oracle, "baseline", 1e-6)}};
  return find_hint(first, {tap}, runs);
}

TEST(FindHint, SaysWhetherEveryGuessWasTried) {
  EXPECT_THAT(hint_in_runs(1000).text, testing::HasSubstr("layers.0.attention.v_proj.weight is read"));
  EXPECT_TRUE(hint_in_runs(1000).all_tried);
  EXPECT_EQ(hint_in_runs(0).text, "");
  EXPECT_FALSE(hint_in_runs(0).all_tried);
}

}  // namespace
}  // namespace forgecheck
