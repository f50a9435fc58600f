// What the bisection takes from a backend: the type that it computes in, whether it is the plain reference, and
// the taps that it is asked for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/verdict/bisect.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Gives the taps of one trace, as if computed in `type`.
class RecordedBackend : public Backend {
 public:
  RecordedBackend(Trace trace, Dtype type, bool plain)
      : trace_(std::move(trace)), type_(type), plain_(plain) {}

  std::string name() const override { return "recorded"; }
  std::string refusal(const Case&) const override { return ""; }
  Dtype precision(const Case&) const override { return type_; }
  bool is_plain_reference() const override { return plain_; }
  Trace run(const Problem&, const TapFilter& wants) override {
    Trace given;
    for (const auto& [name, value] : trace_.entries()) {
      if (wants(name)) given.add(name, value);
    }
    return given;
  }

 private:
  Trace trace_;
  Dtype type_;
  bool plain_;
};

Bisection bisection_of(const Problem& problem, Trace trace, Dtype type, bool plain = false) {
  RecordedBackend backend(std::move(trace), type, plain);
  return bisect(problem, backend, [](const std::string&) {});
}

const std::string kDenseOfBisectBackend = small_cases()[0];

TEST(BisectBackend, IsJudgedInTheTypeThatItComputesIn) {
  const Problem problem = small_problem(kDenseOfBisectBackend);
  const auto verdict = [&](Dtype computed, Dtype declared) {
    return bisection_of(problem, run_permuted(problem, computed), declared).judgement.verdict;
  };
  EXPECT_EQ(verdict(Dtype::f64, Dtype::f64), Verdict::match);
  EXPECT_EQ(verdict(Dtype::f32, Dtype::f32), Verdict::match);
  EXPECT_EQ(verdict(Dtype::f32, Dtype::f64), Verdict::mismatch) << "float32's error is none of float64's";
  EXPECT_EQ(verdict(Dtype::bf16, Dtype::f32), Verdict::mismatch);
  EXPECT_EQ(verdict(Dtype::bf16, Dtype::bf16), Verdict::match);
}

TEST(BisectBackend, ThatIsThePlainReferenceIsNotComparedWithItself) {
  const Problem problem = small_problem(kDenseOfBisectBackend);
  const Trace plain = run_forced(problem, Dtype::f32, kPlain, Trace(), Forcing::nothing).trace;
  Trace outputs;
  outputs.add("logits", plain.at("logits"));
  outputs.add("aux_loss", plain.at("aux_loss"));
  outputs.add("z_loss", plain.at("z_loss"));
  const double by_others = judge(problem, outputs, Dtype::f32, true).used;
  const double by_itself = judge(problem, outputs, Dtype::f32, false).used;
  ASSERT_NE(by_others, by_itself);
  EXPECT_EQ(bisection_of(problem, plain, Dtype::f32, true).judgement.used, by_others);
  EXPECT_EQ(bisection_of(problem, plain, Dtype::f32, false).judgement.used, by_itself);
}

/// The taps that a step asks for where the logits are wrong.
std::vector<std::string> asked(const std::string& text, std::size_t step) {
  const Problem problem = small_problem(text);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> logits = right.at("logits").to<float>();
  logits[3] += 0.5F;
  return bisection_of(problem, with_tap(right, "logits", Array::from(logits)), Dtype::f32)
      .steps.at(step)
      .asked;
}

TEST(BisectBackend, IsAskedForOutputsChoicesAndStateFirst) {
  EXPECT_THAT(asked(small_cases()[1], 0),
              ElementsAre("layers.0.mlp.router.indices", "layers.0.mlp.expert_counts",
                          "layers.1.mlp.router.indices", "layers.1.mlp.expert_counts", "logits", "aux_loss",
                          "z_loss", "layers.0.mlp.router.expert_ema", "layers.0.mlp.router.expert_bias",
                          "layers.1.mlp.router.expert_ema", "layers.1.mlp.router.expert_bias"));
  EXPECT_THAT(asked(small_cases()[2], 0),
              ElementsAre("layers.1.mlp.router.indices", "layers.1.mlp.expert_counts", "logits", "aux_loss",
                          "z_loss", "loss.cross_entropy", "loss.logit_z", "loss.total"));
  EXPECT_THAT(asked(small_cases()[0] + "/stages=2", 0),
              ElementsAre("logits", "aux_loss", "z_loss", "logits.staged"));
}

TEST(BisectBackend, IsAskedForTheStreamNextWhichADecodesCacheIsPartOf) {
  EXPECT_THAT(asked(small_cases()[3], 1),
              ElementsAre("adapter", "token_embedding", "layers.0", "layers.1", "norm"));
  EXPECT_THAT(asked(small_cases()[5], 1),
              ElementsAre("token_embedding", "layers.0.image", "layers.0.text", "layers.1.image",
                          "layers.1.text", "mot_norms.image", "mot_norms.text"));
  EXPECT_THAT(asked(small_cases()[7], 1), ElementsAre("layers.0.kv_cache.k", "layers.0.kv_cache.v",
                                                      "layers.1.kv_cache.k", "layers.1.kv_cache.v"));
}

/// A run in which each tap of the residual stream, and the logits, are off by `error` of their size, up and down
/// by turns, which every later tap follows.
Trace drifting_run(const Problem& problem, double error) {
  Trace forced;
  for (const std::string tap :
       {"token_embedding", "layers.0", "layers.1", "layers.2", "layers.3", "norm", "logits"}) {
    Tracer tracer;
    tracer.force(forced, Forcing::everything);
    run_reference(problem, Dtype::f32, kPlain, tracer);
    Tensor<double> values = tracer.trace().at(tap).to<double>();
    for (std::int64_t r = 0; r < values.rows(); ++r) {
      const double size = root_mean_square(std::as_const(values).row(r));
      for (std::int64_t i = 0; i < values.width(); ++i)
        values.row(r)[static_cast<std::size_t>(i)] += (i % 2 == 0 ? error : -error) * size;
    }
    forced.add(tap, Array::from(values));
  }
  return forced;
}

TEST(BisectBackend, ThatIsRightOnItsOwnInputsIsRightThoughItsRoundingGrew) {
  const Problem problem = small_problem(
      "dense[dim=16,n_layers=4,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24]/batch=1,text_len=2/"
      "seed=71");
  const Bisection found = bisection_of(problem, drifting_run(problem, 20 * 0x1p-24), Dtype::f32);
  ASSERT_EQ(found.steps.size(), 2U);
  EXPECT_THAT(found.steps[0].line, testing::EndsWith("logits is wrong"));
  EXPECT_THAT(
      found.steps[1].line,
      testing::EndsWith("all right on their own inputs: what was wrong before is rounding that grew"));
  EXPECT_EQ(found.judgement.verdict, Verdict::match);
}

}  // namespace
}  // namespace forgecheck
