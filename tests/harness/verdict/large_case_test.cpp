// Cases whose products are large: what nobody sees is left out, what somebody sees is not, on any number of threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <tuple>

#include "harness/backend/backend.h"
#include "harness/verdict/baselines.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/worst_rows.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

// Every linear module and attention are of 2^22 operations or more.
const std::string kLarge =
    "dense[dim=256,n_layers=1,n_heads=4,vocab_size=16400,max_seq_len=128]/text_len=128/seed=3";

const Problem& large_problem() {
  static const Problem problem = seeded_problem(parse_case_text(kLarge));
  return problem;
}

const Trace& large_trace() {
  static const Trace trace = run_forced(large_problem(), Dtype::f32, kPlain, Trace(), Forcing::nothing).trace;
  return trace;
}

const char* const kTaps[] = {"token_embedding",
                             "layers.0.attention.q_proj",
                             "layers.0.attention.context",
                             "layers.0.attention",
                             "layers.0.mlp.hidden",
                             "layers.0.mlp",
                             "layers.0.attention_norm",
                             "logits"};

TEST(LargeCases, ATapByItselfIsThatOfTheWholeRun) {
  const ReferenceRun whole =
      run_forced(large_problem(), Dtype::f32, kPlain, large_trace(), Forcing::everything);
  for (const std::string tap : kTaps) {
    const ReferenceRun run = run_forced(large_problem(), Dtype::f32, kPlain, large_trace(), {tap});
    ASSERT_EQ(run.trace.entries().size(), 1U);
    EXPECT_TRUE(std::ranges::equal(run.trace.at(tap).bytes(), whole.trace.at(tap).bytes())) << tap;
    EXPECT_GT(root_mean_square(run.trace.at(tap).to<double>().data), 0.1) << tap << " was not computed";
  }
}

// What follows a tap that the forced trace lacks is computed from the run's own value.
TEST(LargeCases, ATapThatTheTraceLacksIsComputed) {
  for (const std::string tap :
       {"token_embedding", "layers.0.attention.q_proj", "layers.0.attention.context"}) {
    const Trace lacking = without(large_trace(), tap);
    const ReferenceRun run =
        run_forced(large_problem(), Dtype::f32, kPlain, lacking, {std::string("layers.0")});
    const ReferenceRun whole =
        run_forced(large_problem(), Dtype::f32, kPlain, large_trace(), {std::string("layers.0")});
    EXPECT_TRUE(std::ranges::equal(run.trace.at("layers.0").bytes(), whole.trace.at("layers.0").bytes()))
        << tap;
  }
}

TEST(LargeCases, AreJudgedTheSameOnAnyNumberOfThreads) {
  Tensor<float> wrong = large_trace().at("layers.0.mlp").to<float>();
  wrong[700] += 0.01F;
  const Trace trace = with_value(large_trace(), "layers.0.mlp", Array::from(wrong));
  std::vector<std::string> results;
  for (const char* const threads : {"1", "3"}) {
    setenv("OMP_NUM_THREADS", threads, 1);
    const Comparison comparison = compare_with_oracle(large_problem(), trace, Dtype::f32, false).comparison;
    std::string result;
    for (const TapResult& tap : comparison.taps) {
      result += tap.name + " " + std::to_string(tap.used) + " " + tap.message + "\n";
    }
    results.push_back(result);
    EXPECT_EQ(result, results.front()) << threads;
  }
  unsetenv("OMP_NUM_THREADS");
  EXPECT_THAT(results.front(), testing::ContainsRegex("layers.0.mlp [1-9][0-9]+\\.[0-9]+ is "));
}

// Nobody asks for the rest: which is zero, as it would not be if the run had computed it.
TEST(LargeCases, OnlyTheRowsThatAreNeededAreComputed) {
  const std::vector<std::int64_t> rows = {0, 17, 127};
  for (const std::string tap : {"layers.0.attention.q_proj", "layers.0.mlp", "logits"}) {
    const Trace whole = run_forced(large_problem(), Dtype::f32, kPlain, large_trace(), {tap}).trace;
    const Trace some =
        run_forced(large_problem(), Dtype::f32, kPlain, large_trace(), {tap}, {{tap, rows}}).trace;
    EXPECT_EQ(some.at(tap).to<double>().data, only(rows, whole.at(tap).to<double>()).data) << tap;
    const Trace others =
        run_forced(large_problem(), Dtype::f32, kPlain, large_trace(), {tap}, {{"norm", rows}}).trace;
    EXPECT_EQ(others.at(tap).to<double>().data, whole.at(tap).to<double>().data) << tap;
  }
}

// What comes behind reads every row.
TEST(LargeCases, ATapThatTheTraceLacksIsComputedInAllRows) {
  const std::string tap = "layers.0.attention.q_proj";
  const Trace lacking = without(large_trace(), tap);
  const auto context = [&](const TapRows& rows) {
    const std::string name = "layers.0.attention.context";
    return run_forced(large_problem(), Dtype::f32, kPlain, lacking, {tap, name}, rows).trace.at(name);
  };
  EXPECT_EQ(context({{tap, {5}}}).to<double>().data, context({}).to<double>().data);
}

TEST(LargeCases, ABiasIsAddedInTheRowsThatAreNeeded) {
  const Problem problem = seeded_problem(parse_case_text(
      "dense[dim=256,n_layers=1,n_heads=4,vocab_size=64,max_seq_len=128,qkv_bias=true]/text_len=128/seed=3"));
  const Trace trace = run_forced(problem, Dtype::f32, kPlain, Trace(), Forcing::nothing).trace;
  const std::string tap = "layers.0.attention.q_proj";
  const Trace some = run_forced(problem, Dtype::f32, kPlain, trace, {tap}, {{tap, {9}}}).trace;
  EXPECT_EQ(some.at(tap).to<double>().data, only({9}, trace.at(tap).to<double>()).data);
}

// The rows beside the wrong one cost nothing, and tell nothing.
TEST(LargeCases, OnlyTheWrongRowsAreMeasured) {
  Tensor<float> wrong = large_trace().at("layers.0.mlp").to<float>();
  wrong.row(5)[3] += 0.01F;
  const Trace trace = with_value(large_trace(), "layers.0.mlp", Array::from(wrong));
  const JudgedTrace judged = compare_with_oracle(large_problem(), trace, Dtype::f32, false);
  const Tensor<double>& reach = judged.evidence.spreads.at("layers.0.mlp").reach;
  EXPECT_EQ(reach.data, only({5}, reach).data);
  EXPECT_GT(std::ranges::min(reach.row(5)), 0);
}

// Partial sums that are rounded are right, and far outside of what the baselines grant.
TEST(LargeCases, AnotherOrderOfRoundingIsFoundByTheWorstRows) {
  const Problem problem = seeded_problem(parse_case_text(kLarge + "/bfloat16"));
  const Trace plain = run_forced(problem, Dtype::bf16, kPlain, Trace(), Forcing::nothing).trace;
  const std::string tap = "layers.0.mlp";
  const auto judged = [&](const Arithmetic& arithmetic, double error) {
    Tensor<float> values =
        run_forced(problem, Dtype::bf16, arithmetic, plain, {tap}).trace.at(tap).to<float>();
    values.row(9)[3] += static_cast<float>(error);
    const Trace trace = with_value(plain, tap, Array::from(values).cast(Dtype::bf16));
    const JudgedTrace result = compare_with_oracle(problem, trace, Dtype::bf16, false);
    EXPECT_EQ(result.evidence.other_rounding.empty(), error > 0)
        << "orders are run as a whole only if rows fit";
    return std::ranges::find(result.comparison.taps, tap, &TapResult::name)->verdict;
  };
  EXPECT_EQ(judged({.split_k = 8}, 0), Verdict::match);
  EXPECT_EQ(judged({.split_k = 8}, 1), Verdict::mismatch);
}

/// The result of a tap whose hidden values and weights are one, so that sums in the order of any baseline are exact, and which
/// is off by `error` of itself everywhere.
TapResult off_everywhere(double error) {
  Problem problem = large_problem();
  const std::string tap = "layers.0.mlp", hidden = "layers.0.mlp.hidden";
  const auto ones = [](const Array& like) {
    Tensor<float> values(like.shape());
    for (float& value : values.data) value = 1;
    return Array::from(values);
  };
  Array& weight = problem.parameters.at("layers.0.mlp.down_proj.weight");
  weight = ones(weight);
  Trace forced = with_value(large_trace(), hidden, ones(large_trace().at(hidden)));
  Tensor<float> sums(large_trace().at(tap).shape());
  for (float& sum : sums.data) {
    sum = static_cast<float>(static_cast<double>(weight.shape()[1]) * (1 - error));
  }
  forced = with_value(forced, tap, Array::from(sums));
  const Comparison comparison = compare_with_oracle(problem, forced, Dtype::f32, false).comparison;
  return *std::ranges::find(comparison.taps, tap, &TapResult::name);
}

// Three TF32 products lose half a unit in the last place a term: right in every row, where float32 is exact.
TEST(LargeCases, WhatIsExcusedInTheWorstRowsIsMeasuredInAll) {
  const TapResult off = off_everywhere(150 * 0x1p-24);
  EXPECT_EQ(off.verdict, Verdict::match) << off.message;
  EXPECT_GT(off.used, 0.05) << "excused by the baselines";
  EXPECT_EQ(off_everywhere(5000 * 0x1p-24).verdict, Verdict::mismatch);
}

/// A linear module's tap in which the sum of one element lacks `terms` of its 4096 terms.
Array lacking_terms(const Problem& problem, const Trace& trace, const std::string& tap,
                    const std::string& input, const std::string& weight, std::int64_t terms) {
  const Array& stored = trace.at(tap);
  Tensor<double> values = stored.to<double>();
  const Tensor<double> x = trace.at(input).to<double>(), w = problem.parameters.at(weight).to<double>();
  const std::int64_t row = 2, column = 11, first = 1000;
  for (std::int64_t p = first; p < first + terms; ++p) {
    values.row(row)[column] -=
        x.row(row)[static_cast<std::size_t>(p)] * w.row(column)[static_cast<std::size_t>(p)];
  }
  return Array::from(values).cast(stored.dtype());
}

// The sums of an 8B model's layer. In float32 one of 4096 terms is enough; in bfloat16 one is less than a rounding, and a
// tile of 64 is enough.
TEST(LargeCases, OneElementThatLacksTermsIsAMismatchAt4096Wide) {
  for (const std::string type : {"", "/bfloat16"}) {
    const Problem problem = seeded_problem(parse_case_text(
        "dense[dim=4096,n_layers=1,n_heads=1,head_dim=16,ffn_hidden_dim=16,vocab_size=16,max_seq_len=8]/"
        "text_len=5/seed=4" +
        type));
    const Dtype dtype = problem.definition.dtype;
    const Trace right = make_backend("cpu:openblas")->run(problem, {});
    EXPECT_EQ(judge(problem, right, dtype, false).verdict, Verdict::match) << type;
    for (const auto& [tap, input, weight] :
         {std::tuple("layers.0.mlp.gate_proj", "layers.0.mlp_norm", "layers.0.mlp.gate_proj.weight"),
          std::tuple("layers.0.attention.k_proj", "layers.0.attention_norm",
                     "layers.0.attention.k_proj.weight"),
          std::tuple("logits", "norm", "output_head.proj.weight")}) {
      const Array wrong = lacking_terms(problem, right, tap, input, weight, type.empty() ? 1 : 64);
      const Judgement judgement =
          judge(problem, with_value(right, tap, wrong), dtype, false, Detail::verdicts);
      EXPECT_EQ(judgement.verdict, Verdict::mismatch) << tap << type;
      ASSERT_TRUE(judgement.first_divergence) << tap << type;
      EXPECT_EQ(judgement.first_divergence->tap, tap) << type;
    }
  }
}

}  // namespace
}  // namespace forgecheck
