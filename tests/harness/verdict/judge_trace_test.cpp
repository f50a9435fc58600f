// What the judge says of a trace as a whole: missing and unknown taps, values that are no numbers, tokens,
// and the types that values are stored in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string kDenseOfJudgeTrace = small_cases()[0];
const std::string kGenerate = small_cases()[8];

/// Only the taps for which `keep` is true.
template <class Keep>
Trace reduced(const Trace& trace, const Keep& keep) {
  Trace result;
  for (const auto& [name, value] : trace.entries()) {
    if (keep(name)) result.add(name, value);
  }
  return result;
}

Array half_precision(const Array& value) {
  const Tensor<float> values = value.to<float>();
  const std::shared_ptr<std::byte[]> bytes(new std::byte[2 * values.data.size()]);
  for (std::size_t i = 0; i < values.data.size(); ++i) {
    const std::uint16_t bits = float_to_half(values.data[i]);
    std::memcpy(bytes.get() + 2 * i, &bits, sizeof bits);
  }
  return Array(Dtype::f16, value.shape(), std::shared_ptr<const std::byte>(bytes, bytes.get()));
}

/// Every tap stored in another type.
Trace stored_in(const Trace& trace, Dtype dtype) {
  Trace result;
  for (const auto& [name, value] : trace.entries()) {
    result.add(name, dtype == Dtype::f16 ? half_precision(value) : value.cast(dtype));
  }
  return result;
}

TEST(JudgeTrace, WithoutAnyTapItIsUntrusted) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Judgement judgement = judge_float32(problem, Trace());
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_THAT(judgement.message, HasSubstr("no output"));
  EXPECT_EQ(judgement.used, kInfinity) << "no tolerance can help";
}

TEST(JudgeTrace, WithoutAnOutputItIsUntrustedThoughEveryTapIsRight) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace trace =
      reduced(run_permuted(problem, Dtype::f32), [](const std::string& name) { return name != "logits"; });
  EXPECT_EQ(judge_float32(problem, trace).verdict, Verdict::untrusted);
}

TEST(JudgeTrace, InnerTapsMayBeMissing) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace right = run_permuted(problem, Dtype::f32);
  const Trace logits = reduced(right, [](const std::string& name) { return name == "logits"; });
  EXPECT_EQ(judge_float32(problem, logits).verdict, Verdict::match);
  const Trace few =
      reduced(right, [](const std::string& name) { return name == "logits" || name == "layers.1"; });
  const Judgement judgement = judge_float32(problem, few);
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
  EXPECT_EQ(judgement.taps.size(), 2U);
}

TEST(JudgeTrace, WrongLogitsAloneAreAMismatch) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> logits = right.at("logits").to<float>();
  logits[0] *= 1.001F;
  Trace wrong;
  wrong.add("logits", Array::from(logits));
  EXPECT_EQ(judge_float32(problem, wrong).verdict, Verdict::mismatch);
}

TEST(JudgeTrace, AnUnknownTapIsAMismatch) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  Trace trace = run_permuted(problem, Dtype::f32);
  trace.add("layers.2.mlp", trace.at("layers.1.mlp"));
  const Judgement judgement = judge_float32(problem, trace);
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_THAT(judgement.message, StartsWith("layers.2.mlp "));
  EXPECT_EQ(judgement.used, kInfinity) << "no tolerance can help";
}

TEST(JudgeTrace, NanLogitsAreAMismatch) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<double> logits = right.at("logits").to<double>();
  logits[7] = kNan;
  const Judgement one = judge_float32(problem, with_tap(right, "logits", Array::from(logits)));
  EXPECT_EQ(one.verdict, Verdict::mismatch);
  EXPECT_THAT(one.message, StartsWith("logits is nan"));
  for (double& value : logits.data) value = kNan;
  EXPECT_EQ(judge_float32(problem, with_tap(right, "logits", Array::from(logits))).verdict,
            Verdict::mismatch);
}

TEST(JudgeTrace, NanInsideIsFoundWhereItBegins) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<double> inner = right.at("layers.0.mlp.hidden").to<double>();
  inner[3] = kInfinity;
  Trace trace;
  for (const auto& [name, value] : right.entries()) {
    const Tensor<double> nan(value.shape(),
                             std::vector<double>(static_cast<std::size_t>(value.size()), kNan));
    const bool behind = name == "layers.0.mlp" || name.starts_with("layers.1") || name == "logits";
    trace.add(name, name == "layers.0.mlp.hidden" ? Array::from(inner) : behind ? Array::from(nan) : value);
  }
  const Judgement judgement = judge_float32(problem, trace);
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_THAT(judgement.message, StartsWith("layers.0.mlp.hidden is inf"));
}

TEST(JudgeTrace, AShapeOfTheSameCountIsAMismatch) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<float> flat = right.at("layers.0.mlp").to<float>().reshaped({10, 16});
  const Judgement judgement = judge_float32(problem, with_tap(right, "layers.0.mlp", Array::from(flat)));
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_THAT(judgement.message, StartsWith("layers.0.mlp has shape 10x16"));
}

TEST(JudgeTrace, IntegerLogitsAreAMismatch) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace right = run_permuted(problem, Dtype::f32);
  const Array integers = Array::from(Tensor<std::int64_t>(right.at("logits").shape()));
  EXPECT_FALSE(is_success(judge_float32(problem, with_tap(right, "logits", integers)).verdict));
}

TEST(JudgeTrace, AnotherTokenIsAMismatch) {
  const Problem problem = small_problem(kGenerate);
  const Trace right = run_permuted(problem, Dtype::f32);
  for (std::int64_t at = 0; at < 18; ++at) {  // (2, 4 + 5): the prompt and the new ones of both rows
    Tensor<std::int64_t> tokens = right.at("tokens").to_int64();
    tokens[at] = (tokens[at] + 1) % 31;
    EXPECT_EQ(judge_float32(problem, with_tap(right, "tokens", Array::from(tokens))).verdict,
              Verdict::mismatch)
        << at;
  }
}

TEST(JudgeTrace, TokensThatAreNoneAreAMismatch) {
  const Problem problem = small_problem(kGenerate);
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<std::int64_t> tokens = right.at("tokens").to_int64();
  Tensor<std::int64_t> outside = tokens;
  outside[6] = 31;
  const Tensor<std::int64_t> fewer({2, 8},
                                   std::vector<std::int64_t>(tokens.data.begin(), tokens.data.begin() + 16));
  for (const Array& wrong : {Array::from(outside), Array::from(fewer), Array(),
                             Array::from(tokens.reshaped({18})), Array::from(tokens.reshaped({9, 2}))}) {
    EXPECT_EQ(judge_float32(problem, with_tap(right, "tokens", wrong)).verdict, Verdict::mismatch)
        << to_string(wrong.shape());
  }
}

TEST(JudgeTrace, Bfloat16TapsMayBeStoredInAFinerType) {
  const Problem problem = small_problem(kDenseOfJudgeTrace + "/bfloat16");
  const Trace right = run_permuted(problem, Dtype::bf16);
  const Judgement own = judge(problem, right, Dtype::bf16, false);
  EXPECT_EQ(own.verdict, Verdict::match) << own.message;
  for (const Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const Judgement wider = judge(problem, stored_in(right, dtype), Dtype::bf16, false);
    EXPECT_EQ(wider.verdict, Verdict::match) << wider.message;
    EXPECT_EQ(wider.used, own.used);
  }
  const Judgement half = judge(problem, stored_in(right, Dtype::f16), Dtype::bf16, false);
  EXPECT_EQ(half.verdict, Verdict::match) << half.message;
}

TEST(JudgeTrace, Bfloat16ValuesAreAMismatchInAFloat32Case) {
  const Problem problem = small_problem(kDenseOfJudgeTrace);
  const Trace right = run_permuted(problem, Dtype::f32);
  EXPECT_EQ(judge_float32(problem, stored_in(right, Dtype::bf16)).verdict, Verdict::mismatch);
}

}  // namespace
}  // namespace forgecheck
