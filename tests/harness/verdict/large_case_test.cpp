// Cases whose products are large: what nobody sees is left out, what somebody sees is not, on any number of threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "harness/verdict/baselines.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

// Every linear module, attention and the table of the embedding are of 2^22 operations or more.
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

}  // namespace
}  // namespace forgecheck
