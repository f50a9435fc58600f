// Which unseen modules a wrong tap depends on.
#include "harness/verdict/suspects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::int64_t kEnough = 1000;

/// Of a trace with only the taps for which `shown` is true.
template <class Shown>
Suspects suspects_of(const Problem& problem, const std::string& tap, const Shown& shown,
                     std::int64_t runs = kEnough) {
  const Trace right = run_permuted(problem, Dtype::f32);
  Trace trace;
  for (const auto& [name, value] : right.entries()) {
    if (shown(name)) trace.add(name, value);
  }
  const ReferenceRun forced_run = run_forced(problem, Dtype::f64, kPlain, trace, Forcing::everything);
  return suspects_before(problem, trace, forced_run, tap, runs);
}

template <class Shown>
Suspects suspects_of(const std::string& text, const std::string& tap, const Shown& shown,
                     std::int64_t runs = kEnough) {
  return suspects_of(small_problem(text), tap, shown, runs);
}

template <class... Names>
auto only(Names... names) {
  return [=](const std::string& name) { return ((name == names) || ...); };
}

TEST(Suspects, AFullTraceHasNone) {
  for (const std::string& text : small_cases()) {
    const std::string tap = text.find("generate") == std::string::npos ? "logits" : "tokens";
    EXPECT_THAT(suspects_of(text, tap, [](const std::string&) { return true; }).taps, IsEmpty()) << text;
  }
}

TEST(Suspects, AreTheModulesOfTheBlockBehindAKnownStream) {
  const Suspects found = suspects_of(small_cases()[0], "layers.1", only("layers.0", "layers.1", "logits"));
  EXPECT_TRUE(found.exact);
  EXPECT_THAT(
      found.taps,
      ElementsAre("layers.1.attention_norm", "layers.1.attention.q_proj", "layers.1.attention.k_proj",
                  "layers.1.attention.v_proj", "layers.1.attention.q_norm", "layers.1.attention.k_norm",
                  "layers.1.attention.context", "layers.1.attention", "layers.1.mlp_norm",
                  "layers.1.mlp.gate_proj", "layers.1.mlp.up_proj", "layers.1.mlp.hidden", "layers.1.mlp"));
}

TEST(Suspects, AreOnlyThoseWithAWayThatNoTapCuts) {
  EXPECT_THAT(suspects_of(small_cases()[0], "layers.1.mlp.hidden",
                          only("layers.0", "layers.1.attention", "layers.1.mlp.gate_proj",
                               "layers.1.mlp.hidden", "logits"))
                  .taps,
              ElementsAre("layers.1.mlp_norm", "layers.1.mlp.up_proj"));
}

TEST(Suspects, OfAStreamAreThoseOfItsModalityAndTheSharedAttention) {
  const Suspects found =
      suspects_of(small_cases()[5], "layers.0.image",
                  only("token_embedding", "layers.0.image", "layers.0.text", "logits",
                       "layers.0.attn_norm.image", "layers.0.attn_norm.text", "layers.0.attn.context.image",
                       "layers.0.attn.context.text", "layers.0.attn.text"));
  for (const std::string& tap : found.taps) EXPECT_TRUE(tap.find("text") == std::string::npos) << tap;
  EXPECT_THAT(found.taps, testing::Contains("layers.0.attn.image"));
  EXPECT_THAT(found.taps, testing::Not(testing::Contains("layers.0.attn.q_proj.image")));
}

TEST(Suspects, ChoicesAreAmongThem) {
  EXPECT_THAT(suspects_of(small_cases()[1], "layers.0.mlp",
                          [](const std::string& name) {
                            return name != "layers.0.mlp.router.indices" &&
                                   name != "layers.0.mlp.router.gate";
                          })
                  .taps,
              ElementsAre("layers.0.mlp.router.gate", "layers.0.mlp.router.indices"));
  EXPECT_THAT(
      suspects_of(small_cases()[2], "aux_loss",
                  [](const std::string& name) { return name == "aux_loss" || name == "layers.1.mlp_norm"; })
          .taps,
      ElementsAre("layers.1.mlp.router.gate", "layers.1.mlp.router.indices"));
}

// One of 64 experts has a score that no disturbance of the others' size reaches: only one that lowers it changes the
// choice.
TEST(Suspects, ScoresAreAmongThemHoweverClearTheChoice) {
  Problem problem = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=64,moe_top_k=1]/batch=1/text_len=3/seed=7");
  Tensor<float> gate({64, 16});
  std::ranges::fill(gate.row(0), 1.0F);
  std::ranges::fill(gate.row(1), -1.0F);
  problem.parameters.at("layers.0.mlp.router.gate.weight") = Array::from(gate);
  EXPECT_THAT(suspects_of(problem, "layers.0.mlp.router.indices",
                          [](const std::string& name) { return name != "layers.0.mlp.router.gate"; })
                  .taps,
              ElementsAre("layers.0.mlp.router.gate"));
}

TEST(Suspects, WithTooFewRunsGroupsStandWhole) {
  const auto shown = only("layers.0", "layers.1", "logits");
  const Suspects all = suspects_of(small_cases()[0], "layers.1", shown);
  for (const std::int64_t runs : {0, 1, 5}) {
    const Suspects some = suspects_of(small_cases()[0], "layers.1", shown, runs);
    EXPECT_FALSE(some.exact);
    EXPECT_THAT(some.taps, testing::IsSupersetOf(all.taps)) << runs;
  }
}

/// The grouped search compared with one run for each tap.
TEST(Suspects, AreTheTapsWhoseDisturbanceAloneChangesTheWrongOne) {
  for (const std::string& text : small_cases()) {
    SCOPED_TRACE(text);
    const Problem problem = small_problem(text);
    const Trace right = run_permuted(problem, Dtype::f32);
    Trace outputs;
    for (const auto& [name, value] : right.entries()) {
      if (name == "layers.0" || name == "logits" || name == "tokens") outputs.add(name, value);
    }
    const std::string tap = outputs.entries().back().first;
    const ReferenceRun forced_run = run_forced(problem, Dtype::f64, kPlain, outputs, Forcing::everything);
    std::vector<std::string> expected;
    for (const auto& [name, value] : forced_run.trace.entries()) {
      if (name == tap) break;
      if (outputs.find(name) != nullptr || !is_floating_point(value.dtype())) continue;
      Tensor<double> disturbed = value.to<double>();
      for (double& x : disturbed.data) x = 0.3 - x;
      const auto changed = oracle_value(problem, with_value(outputs, name, Array::from(disturbed)), tap);
      const Tensor<double> before = forced_run.trace.at(tap).to<double>(), after = changed->to<double>();
      if (before.data != after.data) expected.push_back(name);
    }
    std::vector<std::string> found = suspects_before(problem, outputs, forced_run, tap, kEnough).taps;
    std::erase_if(found, [](const std::string& name) { return name.ends_with(".indices"); });
    EXPECT_EQ(found, expected);
  }
}

TEST(OracleValue, IsThatOfAWholeRunAndNoneOfAnUnknownTap) {
  for (const std::string& text : small_cases()) {
    const Problem problem = small_problem(text);
    const ReferenceRun whole = run_forced(problem, Dtype::f64, kPlain, Trace(), Forcing::nothing);
    for (const auto& [name, value] : whole.trace.entries()) {
      const auto found = oracle_value(problem, Trace(), name);
      ASSERT_TRUE(found.has_value()) << name;
      EXPECT_EQ(found->to<double>().data, value.to<double>().data) << name;
    }
    EXPECT_FALSE(oracle_value(problem, Trace(), "nothing").has_value());
  }
}

}  // namespace
}  // namespace forgecheck
