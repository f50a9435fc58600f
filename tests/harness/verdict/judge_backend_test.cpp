// A backend of the test's own, which fails in every way, or computes in another type than the case's.
#include "harness/verdict/judge_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <new>

#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

/// Runs `work`; what else it says of itself is given.
class TestBackend : public Backend {
 public:
  std::string name() const override { return "test"; }
  std::string refusal(const Case&) const override { return refused; }
  Dtype precision(const Case&) const override { return type; }
  bool is_plain_reference() const override { return plain; }
  Trace run(const Problem&, const TapFilter&) override { return work(); }

  std::function<Trace()> work;
  std::string refused;
  Dtype type = Dtype::f32;
  bool plain = false;
};

class JudgeBackend : public testing::Test {
 protected:
  Judgement judged(const std::function<Trace()>& work) {
    backend.work = work;
    return judge_backend(backend, problem);
  }
  void expect_failure(const std::function<Trace()>& work, Verdict verdict, const std::string& message) {
    const Judgement judgement = judged(work);
    EXPECT_EQ(judgement.verdict, verdict) << to_string(judgement.verdict);
    EXPECT_EQ(judgement.message, message);
    EXPECT_TRUE(judgement.taps.empty());
  }
  /// The trace of another backend.
  Trace trace_of(const std::string& name) const { return make_backend(name)->run(problem, {}); }

  const Problem problem =
      seeded_problem(parse_case_text("dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=5/seed=7"));
  TestBackend backend;
};

TEST_F(JudgeBackend, OneThatFailsHasCrashed) {
  expect_failure([]() -> Trace { throw BackendError("signal 11"); }, Verdict::crashed, "signal 11");
  expect_failure([]() -> Trace { throw CudaError("cudaMalloc: no"); }, Verdict::crashed, "cudaMalloc: no");
  expect_failure([]() -> Trace { throw std::bad_alloc(); }, Verdict::crashed, "out of memory");
  expect_failure([]() -> Trace { throw std::out_of_range("map::at"); }, Verdict::crashed,
                 "internal error: map::at");
}

TEST_F(JudgeBackend, OneThatRefusesTheCaseRejectsIt) {
  expect_failure([]() -> Trace { throw ConfigError("dim = 3"); }, Verdict::rejected, "dim = 3");
  expect_failure([]() -> Trace { throw ShapeError("[norm] 2x3"); }, Verdict::rejected, "[norm] 2x3");
  backend.refused = "gradients are not supported yet";
  expect_failure([]() -> Trace { throw std::logic_error("must not run"); }, Verdict::rejected,
                 "gradients are not supported yet");
}

TEST_F(JudgeBackend, WhatItComputesIsJudged) {
  EXPECT_EQ(judged([&] { return trace_of("cpu:openblas"); }).verdict, Verdict::match);
  EXPECT_EQ(judged([] { return Trace(); }).verdict, Verdict::untrusted);
}

// Float32 values are a mismatch where the backend says that it computes in float64.
TEST_F(JudgeBackend, IsJudgedAtTheTypeThatItComputesIn) {
  backend.type = Dtype::f64;
  EXPECT_EQ(judged([&] { return trace_of("reference"); }).verdict, Verdict::mismatch);
  EXPECT_EQ(judged([&] { return trace_of("reference:f64"); }).verdict, Verdict::match);
}

// The plain reference is measured by another computation than itself.
TEST_F(JudgeBackend, IsJudgedAsThePlainReferenceIfItIs) {
  const Trace trace = trace_of("reference");
  for (const bool plain : {false, true}) {
    backend.plain = plain;
    EXPECT_EQ(judged([&] { return trace; }).used, judge(problem, trace, Dtype::f32, plain).used);
  }
  EXPECT_NE(judge(problem, trace, Dtype::f32, false).used, judge(problem, trace, Dtype::f32, true).used);
}

}  // namespace
}  // namespace forgecheck
