// Implementations in which denormals count as zero are right; wrong values beside denormals are wrong.
#include "harness/verdict/flush_denormals.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

#ifdef __SSE2__

/// Images of almost nothing in front of a usual text.
const std::string kFlushedCase =
    "joint_decoder[dim=8,n_layers=1,n_heads=2,vocab_size=11,ffn_hidden_dim=8,max_text_len=8]/"
    "batch=1,text_len=3,image_tokens=2,scale=1e-40/seed=1";
const std::string kFlushedContext = "layers.0.attention.context";

Trace flushed_trace(const Problem& problem) {
  const FlushDenormals flush;
  Tracer tracer;
  run_reference(problem, problem.definition.dtype, kPlain, tracer);
  return tracer.take();
}

/// The bits of the product, as a conversion to double would flush once more.
std::uint32_t product(std::uint32_t bits, float factor) {
  volatile float x = std::bit_cast<float>(bits);
  const float y = x * factor;
  return std::bit_cast<std::uint32_t>(y);
}

TEST(FlushDenormals, LastsAsLongAsTheObject) {
  constexpr std::uint32_t kSmallestNormal = 0x00800000, kDenormal = 0x00000001;
  EXPECT_NE(product(kSmallestNormal, 0.5F), 0U);
  EXPECT_NE(product(kDenormal, 0x1p100F), 0U);
  {
    const FlushDenormals flush;
    EXPECT_EQ(product(kSmallestNormal, 0.5F), 0U);  // a result
    EXPECT_EQ(product(kDenormal, 0x1p100F), 0U);    // an operand
    EXPECT_EQ(product(2 * kSmallestNormal, 0.5F), kSmallestNormal);
  }
  EXPECT_NE(product(kSmallestNormal, 0.5F), 0U);
  EXPECT_NE(product(kDenormal, 0x1p100F), 0U);
}

TEST(FlushDenormals, ATraceWithoutDenormalsIsRight) {
  for (const char* const dtype : {"", "/bfloat16"}) {
    const Problem problem = small_problem(kFlushedCase + dtype);
    const Trace trace = flushed_trace(problem);
    ASSERT_EQ(trace.at(kFlushedContext).at(0), 0);
    const Judgement judgement = judge(problem, trace, problem.definition.dtype, false);
    EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
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
