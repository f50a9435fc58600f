// Implementations in which denormals count as zero are right; wrong values beside denormals are wrong.
#include "harness/verdict/flush_denormals.h"

#include <gtest/gtest.h>

#include <limits>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

#ifdef __SSE2__

const std::string kFlushedCase =
    "dense[dim=8,n_layers=1,n_heads=2,vocab_size=11,ffn_hidden_dim=8]/"
    "batch=1,text_len=3,embeds=true,scale=1e-40/"
    "seed=1";
const std::string kFlushedContext = "layers.0.attention.context";

Trace flushed_trace(const Problem& problem) {
  const FlushDenormals flush;
  Tracer tracer;
  run_reference(problem, problem.definition.dtype, kPlain, tracer);
  return tracer.take();
}

double half_of(double value) {
  volatile float x = static_cast<float>(value);
  return static_cast<double>(x / 2);
}

TEST(FlushDenormals, LastsAsLongAsTheObject) {
  const double smallest = std::numeric_limits<float>::min();
  EXPECT_GT(half_of(smallest), 0);
  {
    const FlushDenormals flush;
    EXPECT_EQ(half_of(smallest), 0);
    EXPECT_EQ(half_of(smallest / 2), 0);
    EXPECT_EQ(half_of(4 * smallest), 2 * smallest);
  }
  EXPECT_GT(half_of(smallest), 0);
}

TEST(FlushDenormals, ATraceWithoutDenormalsIsRight) {
  for (const char* const dtype : {"", "/bfloat16"}) {
    const Problem problem = small_problem(kFlushedCase + dtype);
    const Trace trace = flushed_trace(problem);
    const Tensor<double> context = trace.at(kFlushedContext).to<double>();
    ASSERT_TRUE(std::ranges::all_of(context.data, [](double x) { return x == 0; }));
    const Judgement judgement = judge(problem, trace, problem.definition.dtype, false);
    EXPECT_NE(judgement.verdict, Verdict::mismatch) << judgement.message;
    EXPECT_NE(judgement.message, kFlushedContext + " is all zero");
  }
}

TEST(FlushDenormals, WhatIsNoDenormalIsStillWrong) {
  const Problem problem = small_problem(kFlushedCase);
  const Trace trace = flushed_trace(problem);
  for (const double wrong : {1e-35, 1e-20, 1.0}) {
    Tensor<double> context = trace.at(kFlushedContext).to<double>();
    context[3] = wrong;
    const Trace spoiled = with_value(trace, kFlushedContext, Array::from(context).cast(Dtype::f32));
    const Judgement judgement = judge(problem, spoiled, Dtype::f32, false);
    EXPECT_EQ(judgement.verdict, Verdict::mismatch) << wrong;
    EXPECT_EQ(judgement.first_divergence->tap, kFlushedContext) << wrong;
  }
}

#endif

}  // namespace
}  // namespace forgecheck
