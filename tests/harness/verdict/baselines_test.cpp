// Which right implementations a trace is compared with, and how many runs a wrong one is given.
#include "harness/verdict/baselines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;

TEST(Baselines, AreOrdersOfSummationThatTheCandidateDoesNotHave) {
  for (const bool plain : {false, true}) {
    EXPECT_THAT(baselines_for(Dtype::f64, plain), ElementsAre(kPermuted, kReversed)) << "the oracle is plain";
  }
  for (const Dtype type : {Dtype::f32, Dtype::bf16}) {
    EXPECT_THAT(baselines_for(type, true), ElementsAre(kPermuted, kReversed));
  }
  EXPECT_THAT(baselines_for(Dtype::f32, false), ElementsAre(kPlain, kPermuted, kReversed));
  EXPECT_THAT(baselines_for(Dtype::bf16, false), ElementsAre(kPermuted, kPlain, kReversed));
}

// Attention sums over the keys, and does so backwards.
TEST(Baselines, SumTheKeysInAnotherOrder) {
  const Problem problem = small_problem(small_cases()[0]);
  const Trace oracle = run_forced(problem, Dtype::f64, kPlain, Trace(), Forcing::nothing).trace;
  const auto context = [&](const Arithmetic& arithmetic) {
    const std::string tap = "layers.0.attention.context";
    return run_forced(problem, Dtype::f32, arithmetic, oracle, Forcing::everything)
        .trace.at(tap)
        .to<float>()
        .data;
  };
  EXPECT_NE(context(kReversed), context(kPlain));
  EXPECT_NE(context(kPermuted), context(kPlain));
}

const std::string kDense = small_cases()[0];

/// What each element of a tap may be off beyond its rounding, by the first `count` baselines of `evidence`.
Tensor<double> beyond_of(const Evidence& evidence, const std::string& tap, Dtype type, std::size_t count) {
  Evidence some;
  some.oracle = evidence.oracle;
  some.baselines.assign(evidence.baselines.begin(),
                        evidence.baselines.begin() + static_cast<std::ptrdiff_t>(count));
  const Tensor<double> oracle = evidence.oracle.trace.at(tap).to<double>();
  return tolerances_beyond(oracle, farthest_baseline(some, tap), half_units(oracle, type), type, nullptr);
}

/// A trace in float64 that is plain's in `type`, but for one logit that uses `share` of its tolerance by the
/// first baseline.
Trace using_of_the_first(const Problem& problem, Dtype type, double share) {
  const Trace plain = run_forced(problem, type, kPlain, Trace(), Forcing::nothing).trace;
  const Evidence evidence = compare_with_oracle(problem, plain, type, false).evidence;
  Tensor<double> logits = evidence.oracle.trace.at("logits").to<double>();
  logits[11] += half_units(logits, type)[11] + share * beyond_of(evidence, "logits", type, 1)[11];
  return with_value(plain, "logits", Array::from(logits));
}

TEST(Baselines, AreAskedForMoreWhereTheFirstIsUsedByMoreThanItsShare) {
  for (const auto& [type, text] : {std::pair(Dtype::f32, kDense), {Dtype::bf16, kDense + "/bfloat16"}}) {
    const Problem problem = small_problem(text);
    for (const double more : {-0.01, 0.01}) {
      const Trace trace = using_of_the_first(problem, type, second_opinion(type) + more);
      const JudgedTrace judged = compare_with_oracle(problem, trace, type, false);
      EXPECT_EQ(judged.evidence.baselines.size(), more < 0 ? 1U : 3U) << torch_name(type);
    }
  }
}

TEST(Baselines, AllCountOnceTheyWereAsked) {
  const Problem problem = small_problem(kDense);
  const Trace plain = run_forced(problem, Dtype::f32, kPlain, Trace(), Forcing::nothing).trace;
  Evidence evidence;
  evidence.oracle = run_forced(problem, Dtype::f64, kPlain, plain, Forcing::everything);
  for (const Arithmetic& arithmetic : baselines_for(Dtype::f32, false)) {
    evidence.baselines.push_back(run_forced(problem, Dtype::f32, arithmetic, plain, Forcing::everything));
  }
  // The element that the others excuse most.
  std::string tap;
  std::int64_t element = 0;
  double by_one = 0, by_all = 0;
  for (const auto& [name, value] : plain.entries()) {
    if (value.size() < 2) continue;
    const Tensor<double> one = beyond_of(evidence, name, Dtype::f32, 1),
                         all = beyond_of(evidence, name, Dtype::f32, 3);
    for (std::int64_t i = 0; i < all.size(); ++i) {
      if (tap.empty() || all[i] * by_one > by_all * one[i]) {
        tap = name, element = i, by_one = one[i], by_all = all[i];
      }
    }
  }
  ASSERT_GT(by_all, 1.1 * by_one);
  Tensor<double> values = evidence.oracle.trace.at(tap).to<double>();
  values[element] += half_units(values, Dtype::f32)[element] + 0.9 * by_one;
  const Trace trace = with_value(plain, tap, Array::from(values));
  const Comparison comparison = compare_with_oracle(problem, trace, Dtype::f32, false).comparison;
  const auto judged = std::ranges::find(comparison.taps, tap, &TapResult::name);
  ASSERT_NE(judged, comparison.taps.end());
  EXPECT_NEAR(judged->used, 0.9 * by_one / by_all, 1e-3) << tap;
}

// The others run for the taps that come near to a bound, and no farther.
TEST(Baselines, RunAgainForTheTapsInQuestionOnly) {
  const Problem problem = small_problem(kDense);
  const Evidence evidence =
      compare_with_oracle(problem, using_of_the_first(problem, Dtype::f32, 0.9), Dtype::f32, false).evidence;
  ASSERT_EQ(evidence.baselines.size(), 3U);
  EXPECT_EQ(evidence.baselines[0].trace.entries().size(), evidence.oracle.trace.entries().size());
  for (const std::size_t other : {1, 2}) {
    ASSERT_EQ(evidence.baselines[other].trace.entries().size(), 1U);
    EXPECT_EQ(evidence.baselines[other].trace.entries()[0].first, "logits");
  }
}

// ---- sampled runs ----

/// How many sampled runs a judged trace's spreads were measured over; 0 if there are none.
int draws_of(const Problem& problem, const Trace& candidate, Dtype type, const JudgedTrace& judged) {
  const Spreads& spreads = judged.evidence.spreads;
  std::set<std::string> names;
  for (const auto& [name, spread] : spreads) names.insert(name);
  int found = 0;
  if (names.empty()) return 0;
  measure_spreads(problem, candidate, judged.evidence.oracle, names, {}, type,
                  [&](const Spreads& measured, int draws) {
                    const bool same = std::ranges::all_of(measured, [&](const auto& entry) {
                      return entry.second.reach.data == spreads.at(entry.first).reach.data;
                    });
                    if (same) found = draws;
                    return same ? Draws::enough : Draws::more;
                  });
  return found;
}

/// The number of runs that a right trace is given with one value of `tap` off by `error`, or by `times` what
/// four runs show; `left_out` is a tap that the trace lacks.
int draws_where_wrong(const Problem& problem, const std::string& tap, double error, double times = 0,
                      const std::string& left_out = "") {
  const Trace right = without(run_permuted(problem, Dtype::f32), left_out);
  const ReferenceRun oracle = run_forced(problem, Dtype::f64, kPlain, right, Forcing::everything);
  if (times > 0) {
    measure_spreads(problem, right, oracle, {tap}, {}, Dtype::f32, [&](const Spreads& spreads, int) {
      const Spread& spread = spreads.at(tap);
      error = times * std::max(std::ranges::max(spread.reach.data), spread.whole);
      return Draws::enough;
    });
  }
  Tensor<double> values = oracle.trace.at(tap).to<double>();
  values[std::min<std::int64_t>(3, values.size() - 1)] += error;
  const Trace wrong = with_value(right, tap, Array::from(values));
  const JudgedTrace judged = compare_with_oracle(problem, wrong, Dtype::f32, false);
  EXPECT_GT(largest_share(judged.comparison.taps), 1);
  return draws_of(problem, wrong, Dtype::f32, judged);
}

const std::string kMoe =
    "moe[dim=8,n_layers=1,n_heads=1,vocab_size=11,num_experts=4]/batch=1,text_len=3/seed=3";

TEST(SampledRuns, AreFourWhereATapIsOffByFarMoreThanTheyShow) {
  const Problem problem = small_problem(kDense);
  EXPECT_EQ(draws_where_wrong(problem, "layers.1.mlp", 0, 1.02 * 64), kFirstDraws);
  EXPECT_EQ(draws_where_wrong(problem, "layers.1.mlp", 0, 0.98 * 64), kDraws);
  EXPECT_EQ(draws_where_wrong(problem, "layers.1.mlp", 0.5), kFirstDraws);
}

TEST(SampledRuns, AreSixteenWhereEveryChoiceIsShown) {
  const Problem problem = small_problem(kMoe);
  EXPECT_EQ(draws_where_wrong(problem, "layers.0.mlp", 0, 30), kDraws);
  EXPECT_EQ(draws_where_wrong(problem, "layers.0.mlp", 0.5), kFirstDraws);
}

TEST(SampledRuns, AreManyMoreWhereAChoiceIsNotShown) {
  const Problem problem = small_problem(kMoe);
  EXPECT_EQ(draws_where_wrong(problem, "layers.0.mlp", 0.5, 0, "layers.0.mlp.router.indices"), kMostDraws);
}

TEST(SampledRuns, AreManyMoreForATapOfOneNumber) {
  const Problem problem = small_problem(kDense + "/loss=cross_entropy");
  EXPECT_EQ(draws_where_wrong(problem, "loss.cross_entropy", 0, 30), kMostDraws);
  EXPECT_EQ(draws_where_wrong(problem, "loss.cross_entropy", 0, 1.5 * 64), kFirstDraws);
}

TEST(SampledRuns, AreManyMoreWhereADecodeChoosesExperts) {
  EXPECT_EQ(draws_where_wrong(small_problem(kMoe + "/decode=2+1"), "logits", 0.5), kMostDraws);
}

/// A generation whose third token is another: by a clear margin, so that no spread excuses it.
int draws_of_another_token(const std::string& text) {
  const Problem problem = small_problem(text);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<std::int64_t> tokens = right.at("tokens").to_int64();
  tokens[3] = (tokens[3] + 1) % 11;
  const Trace wrong = with_tap(right, "tokens", Array::from(tokens));
  const JudgedTrace judged = compare_with_oracle(problem, wrong, Dtype::f32, false);
  EXPECT_GT(largest_share(judged.comparison.taps), 1);
  return draws_of(problem, wrong, Dtype::f32, judged);
}

TEST(SampledRuns, AreManyMoreWhereAGenerationChoosesExperts) {
  EXPECT_EQ(draws_of_another_token(kMoe + "/generate=1"), kMostDraws);
  EXPECT_EQ(draws_of_another_token(
                "dense[dim=8,n_layers=1,n_heads=1,vocab_size=11]/batch=1,text_len=3/seed=3/generate=1"),
            kFirstDraws);
}

TEST(SampledRuns, AreMeasuredForAWrongChoiceToo) {
  const Problem problem = small_problem(kMoe);
  const Trace right = run_permuted(problem, Dtype::f32);
  const std::string indices = "layers.0.mlp.router.indices";
  const Decision decision = oracle_decisions(problem).at(indices);
  Tensor<std::int64_t> wrong = decision.chosen;
  wrong[0] = std::ranges::min_element(decision.scores.row(0)) - decision.scores.row(0).begin();
  Trace choices;
  choices.add(indices, Array::from(wrong));
  const JudgedTrace judged =
      compare_with_oracle(problem, run_permuted(problem, Dtype::f32, choices), Dtype::f32, false);
  ASSERT_EQ(judged.evidence.spreads.size(), 1U);
  EXPECT_EQ(judged.evidence.spreads.begin()->first, indices);
  EXPECT_EQ(judged.evidence.spreads.at(indices).reach.shape, decision.scores.shape);
}

TEST(SampledRuns, AreNoneForWhatNoneCanExcuse) {
  const Problem problem = small_problem(kMoe);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> broken = right.at("logits").to<float>();
  broken[3] = NAN;
  Tensor<float> counts = right.at("layers.0.mlp.expert_counts").to<float>();
  counts[1] += 1;
  for (const auto& [tap, value] :
       {std::pair("logits", Array::from(broken)), {"layers.0.mlp.expert_counts", Array::from(counts)}}) {
    const JudgedTrace judged = compare_with_oracle(problem, with_tap(right, tap, value), Dtype::f32, false);
    EXPECT_GT(largest_share(judged.comparison.taps), 1);
    EXPECT_TRUE(judged.evidence.spreads.empty()) << tap;
  }
}

// Sixty-four runs of 1.6e7 multiply-adds are beyond the budget of 1e9, of 1.5e7 they are not; sixteen are always made.
// The tokens that the case would generate cost nothing in this run.
TEST(SampledRuns, AreNoMoreThanTheBudgetAllows) {
  for (const auto& [cost, draws] : {std::pair(1.6e7, 16), {1.5e7, 64}, {7e7, 16}}) {
    Problem problem = small_problem(kMoe);
    while (run_cost(problem) < cost) ++problem.definition.generate.max_new_tokens;
    EXPECT_LT(run_cost(problem), 1.03 * cost);
    EXPECT_EQ(draws_where_wrong(problem, "layers.0.mlp", 0.5, 0, "layers.0.mlp.router.indices"), draws);
  }
}

TEST(SampledRuns, ExcuseNothingInFloat64) {
  const Problem problem = small_problem(kDense);
  const Trace right = run_forced(problem, Dtype::f64, kPlain, Trace(), Forcing::nothing).trace;
  Tensor<double> values = right.at("layers.1.mlp").to<double>();
  values[3] += 1e-9;
  const JudgedTrace judged =
      compare_with_oracle(problem, with_value(right, "layers.1.mlp", Array::from(values)), Dtype::f64, false);
  EXPECT_GT(largest_share(judged.comparison.taps), 1);
  EXPECT_TRUE(judged.evidence.spreads.empty());
  EXPECT_TRUE(judged.evidence.other_rounding.empty());
}

}  // namespace
}  // namespace forgecheck
