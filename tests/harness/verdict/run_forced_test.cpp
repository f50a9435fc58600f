// Runs forced to a trace: what they keep, and about what they cost.
#include "harness/verdict/run_forced.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;

std::vector<std::string> names_of(const Trace& trace) {
  std::vector<std::string> names;
  for (const auto& [name, value] : trace.entries()) names.push_back(name);
  return names;
}

Array number(double value) {
  return Array::from(Tensor<double>({1}, {value}));
}

Trace three() {
  Trace trace;
  for (const auto& [name, value] : {std::pair("a", 1.0), {"b", 2.0}, {"c", 3.0}})
    trace.add(name, number(value));
  return trace;
}

TEST(WithValue, KeepsTheOldPlaceOrIsTheLast) {
  const Trace changed = with_value(three(), "b", number(7));
  EXPECT_THAT(names_of(changed), ElementsAre("a", "b", "c"));
  EXPECT_EQ(changed.at("b").at(0), 7);
  EXPECT_EQ(changed.at("c").at(0), 3);
  EXPECT_THAT(names_of(with_value(three(), "d", number(7))), ElementsAre("a", "b", "c", "d"));
}

TEST(Without, LeavesOutOneTap) {
  EXPECT_THAT(names_of(without(three(), "b")), ElementsAre("a", "c"));
  EXPECT_THAT(names_of(without(three(), "d")), ElementsAre("a", "b", "c"));
}

// Products of 2^22 multiply-adds are left out where nobody sees them, and only there.
TEST(OracleValue, OfALargeModelIsThatOfTheWholeRun) {
  const Problem problem = small_problem(
      "dense[dim=128,n_layers=1,n_heads=2,vocab_size=5,ffn_hidden_dim=128,max_seq_len=256]/"
      "batch=1,text_len=256/"
      "seed=1");
  const Trace all = run_permuted(problem, Dtype::f32);
  for (const std::string lacking :
       {"", "layers.0.attention.v_proj", "layers.0.mlp.up_proj", "layers.0.attention"}) {
    const Trace forced = without(all, lacking);
    const ReferenceRun whole = run_forced(problem, Dtype::f64, kPlain, forced, Forcing::everything);
    for (const auto& [tap, value] : whole.trace.entries()) {
      const std::optional<Array> found = oracle_value(problem, forced, tap);
      ASSERT_TRUE(found) << tap;
      EXPECT_TRUE(std::ranges::equal(found->bytes(), value.bytes())) << tap << " without " << lacking;
    }
  }
}

// Two sequences of six tokens, in a model of 3 layers with dim 4: each token reads every weight, and in every
// layer twice all six positions.
TEST(RunCost, IsThatOfEveryPositionOfEverySequence) {
  Problem problem = small_problem("dense[dim=4,n_layers=3,n_heads=2,vocab_size=5]/batch=2,text_len=6/seed=1");
  problem.parameters.clear();
  problem.parameters.insert_or_assign("matrix", Array::from(Tensor<float>({10, 10})));
  problem.parameters.insert_or_assign("gain", Array::from(Tensor<float>({1000})));  // no matrix product
  EXPECT_EQ(run_cost(problem), 2 * 6 * (100 + 2 * 3 * 6 * 4));
  problem.definition.generate.max_new_tokens = 4;
  EXPECT_EQ(run_cost(problem), 2 * 10 * (100 + 2 * 3 * 10 * 4));
}

// A video (B, T, P, F) has T P patches beside the text.
TEST(RunCost, CountsTheImagesPositions) {
  Problem problem = small_problem("dense[dim=4,n_layers=3,n_heads=2,vocab_size=5]/batch=2,text_len=6/seed=1");
  problem.parameters.clear();
  problem.inputs.vision_features = Array::from(Tensor<float>({2, 3, 7, 8}));
  EXPECT_EQ(run_cost(problem), 2 * 27 * (2 * 3 * 27 * 4));
  problem.inputs.vision_features = Array::from(Tensor<float>({2, 7, 8}));
  EXPECT_EQ(run_cost(problem), 2 * 13 * (2 * 3 * 13 * 4));
}

TEST(SampledForced, KeepsTheNamedTapsOnlyAndEndsBehindTheLast) {
  const Problem problem = small_problem(small_cases()[0]);
  const Trace right = run_permuted(problem, Dtype::f32);
  const ReferenceRun run =
      sampled_forced(problem, Dtype::f32, 0, right, {"layers.0.mlp", "layers.0.attention"});
  EXPECT_THAT(names_of(run.trace), ElementsAre("layers.0.attention", "layers.0.mlp"));
}

}  // namespace
}  // namespace forgecheck
