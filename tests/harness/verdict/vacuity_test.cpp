#include "harness/verdict/vacuity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "harness/verdict/judge.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::StartsWith;

Judgement judged(const Problem& problem) {
  return judge(problem, run_permuted(problem, Dtype::f32), Dtype::f32, false);
}

constexpr const char* kDense = "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=6/seed=7";

TEST(Vacuity, ADocumentMaskWithOneDocumentIsNotTrusted) {
  Problem problem = small_problem(std::string(kDense) + "/documents=2");
  EXPECT_EQ(judged(problem).verdict, Verdict::match);
  problem.inputs.doc_ids = Array::from(Tensor<std::int64_t>({2, 6}, std::vector<std::int64_t>(12, 5)));
  const Judgement judgement = judged(problem);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_EQ(judgement.message, "doc_ids has one document in every row: it masks nothing");
}

TEST(Vacuity, AnotherDocumentInEachRowIsStillNoMask) {
  Problem problem = small_problem(kDense);
  problem.inputs.doc_ids = Array::from(
      Tensor<std::int64_t>({2, 6}, std::vector<std::int64_t>{1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(judged(problem).verdict, Verdict::untrusted);
}

TEST(Vacuity, AMaskThatIsTrueEverywhereIsNotTrusted) {
  const struct {
    std::string text;
    std::optional<Array> Inputs::*mask;
    std::string name;
  } masks[] = {
      {"joint_decoder[dim=16,n_layers=1,n_heads=2,vocab_size=23]/image_tokens=3/padding=true",
       &Inputs::key_padding_mask, "key_padding_mask"},
      {"cross_attention[dim=16,n_layers=1,n_heads=2,vocab_size=23,cross_attention_every_n_layers=1]/"
       "image_tokens=3/"
       "image_mask=true",
       &Inputs::image_mask, "image_mask"},
      {"joint_decoder[dim=16,n_layers=1,n_heads=2,vocab_size=23,adapter.type=linear,feature_dim=6]/patches=4/"
       "frames=2/"
       "padding=true",
       &Inputs::frame_mask, "frame_mask"},
  };
  for (const auto& [text, mask, name] : masks) {
    SCOPED_TRACE(text);
    Problem problem = small_problem(text + "/seed=7");
    ASSERT_TRUE((problem.inputs.*mask).has_value());
    EXPECT_EQ(judged(problem).verdict, Verdict::match);
    const Shape shape = (problem.inputs.*mask)->shape();
    Tensor<std::uint8_t> all(shape);
    std::ranges::fill(all.data, std::uint8_t{1});
    problem.inputs.*mask = Array::from(all);
    const Judgement judgement = judged(problem);
    EXPECT_EQ(judgement.verdict, Verdict::untrusted);
    EXPECT_EQ(judgement.message, name + " is true everywhere: it masks nothing");
  }
}

TEST(Vacuity, SeededMasksOfMoreThanOnePositionMaskSomething) {
  for (int seed = 0; seed < 50; ++seed) {
    const Problem problem =
        seeded_problem(parse_case_text("joint_decoder[dim=4,n_layers=1,n_heads=2,vocab_size=5]/batch=1/"
                                       "image_tokens=1/text_len=1/padding=true/seed=" +
                                       std::to_string(seed)));
    EXPECT_EQ(vacuity(problem, {}), "") << seed;
  }
}

// 64 tokens for each expert would be its share, and the gate sends all of them to expert 0.
TEST(Vacuity, AnExpertWithoutTokensIsNotTrustedWhereTheGatesAreSeeded) {
  Problem problem = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=2,moe_top_k=1]/batch=4/text_len=32/seed=7");
  EXPECT_EQ(judged(problem).verdict, Verdict::match);
  const std::string gate = "layers.0.mlp.router.gate.weight";
  Tensor<float> weight = problem.parameters.at(gate).to<float>();
  std::ranges::fill(weight.data, 0.0F);
  problem.parameters.insert_or_assign(gate, Array::from(weight));  // equal scores: the lower index
  const Judgement judgement = judged(problem);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_EQ(judgement.message, "layers.0.mlp.router.indices gives expert 1 no token, of 128 choices among 2");
  problem.seeded = false;
  EXPECT_EQ(judged(problem).verdict, Verdict::match);
}

TEST(Vacuity, FewTokensMayLeaveAnExpertOut) {
  const Problem problem = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=8,moe_top_k=1]/batch=1/text_len=4/seed=7");
  EXPECT_EQ(judged(problem).verdict, Verdict::match);
}

TEST(Vacuity, LogitsThatAreOneNumberShowNothing) {
  Problem problem = small_problem(kDense);
  const Shape shape = problem.parameters.at("output_head.proj.weight").shape();
  problem.parameters.insert_or_assign("output_head.proj.weight", Array::from(Tensor<float>(shape)));
  const Judgement judgement = judged(problem);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_EQ(judgement.message, "logits are the same number everywhere, in the oracle too");
}

TEST(Emptiness, SaysWhatATapHoldsInsteadOfResults) {
  const Tensor<double> oracle({4}, {1, 2, 3, 4});
  const auto held = [&](std::vector<float> values) {
    return emptiness(Array::from(Tensor<float>({4}, std::move(values))), oracle);
  };
  EXPECT_EQ(held({0, 0, 0, 0}), "is all zero");
  EXPECT_THAT(held({7, 7, 7, 7}), StartsWith("is one number everywhere: 7"));
  EXPECT_EQ(held({1, 2, 3, 5}), "");
  EXPECT_EQ(held({NAN, NAN, NAN, NAN}), "");  // a NaN that was computed
  const float poison = std::bit_cast<float>(0xFFFFFFFFU);
  EXPECT_EQ(held({1, poison, 3, poison}), "was not written: every bit is set in 2 of 4 elements");
}

TEST(Emptiness, AConstantThatIsRightIsNoFinding) {
  EXPECT_EQ(emptiness(Array::from(Tensor<float>({2}, {3, 3})), Tensor<double>({2}, {3, 3})), "");
  EXPECT_EQ(emptiness(Array::from(Tensor<float>({2}, {3, 3})), Tensor<double>({2}, {4, 4})), "");
  EXPECT_EQ(emptiness(Array::from(Tensor<float>({1}, {3})), Tensor<double>({1}, {4})), "");
}

TEST(Emptiness, UnwrittenMemoryIsNotTrusted) {
  const Problem problem = small_problem(kDense);
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> values = right.at("logits").to<float>();
  values[3] = std::bit_cast<float>(0xFFFFFFFFU);
  const Judgement judgement =
      judge(problem, with_value(right, "logits", Array::from(values)), Dtype::f32, false);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_THAT(judgement.message, StartsWith("logits was not written: every bit is set in 1 of"));
}

}  // namespace
}  // namespace forgecheck
