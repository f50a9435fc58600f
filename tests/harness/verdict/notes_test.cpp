// What a right trace does not show is a note, and under --strict a failure.
#include "harness/verdict/notes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/verdict/judge.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Judgement judged(const Problem& problem) {
  return judge_float32(problem, run_permuted(problem, Dtype::f32));
}

/// The notes on a right trace of the problem, which must match.
std::vector<std::string> notes_of(const Problem& problem) {
  const Judgement judgement = judged(problem);
  EXPECT_EQ(judgement.verdict, Verdict::match) << judgement.message;
  EXPECT_EQ(judgement.message, "");
  return judgement.notes;
}

/// Every element of a parameter of the problem.
void set_parameter(Problem& problem, const std::string& name, float value) {
  Array& parameter = problem.parameters.at(name);
  parameter = Array::from(Tensor<float>(
      parameter.shape(), std::vector<float>(static_cast<std::size_t>(parameter.size()), value)));
}

constexpr const char* kDenseOfNotes = "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=6/seed=7";

TEST(Notes, ACaseThatShowsEverythingHasNone) {
  for (const std::string& text : small_cases()) {
    EXPECT_THAT(notes_of(small_problem(text)), IsEmpty()) << text;
  }
}

TEST(Notes, ADocumentMaskWithOneDocumentIsNoted) {
  const std::string note = "doc_ids has one document in every row: the trace does not test it";
  Problem problem = small_problem(std::string(kDenseOfNotes) + "/documents=2");
  EXPECT_THAT(notes_of(problem), IsEmpty());
  problem.inputs.doc_ids = Array::from(Tensor<std::int64_t>({2, 6}, std::vector<std::int64_t>(12, 5)));
  EXPECT_THAT(notes_of(problem), ElementsAre(note));
  problem.inputs.doc_ids = Array::from(
      Tensor<std::int64_t>({2, 6}, std::vector<std::int64_t>{1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2}));
  EXPECT_THAT(notes_of(problem), ElementsAre(note)) << "another document in each row is still no mask";
}

TEST(Notes, ARowOfOnePositionHasNothingToMask) {
  Problem problem = small_problem("dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=1/seed=7");
  problem.inputs.doc_ids = Array::from(Tensor<std::int64_t>({2, 1}, {5, 5}));
  EXPECT_THAT(notes_on(problem, {}, {}), IsEmpty());
}

TEST(Notes, AMaskThatIsTrueEverywhereIsNotedAndIsNoFault) {
  const struct {
    std::string text;
    std::optional<Array> Inputs::*mask;
    std::string name;
  } masks[] = {
      {"joint_decoder[dim=16,n_layers=1,n_heads=2,vocab_size=23]/image_tokens=3/padding=true",
       &Inputs::key_padding_mask, "key_padding_mask"},
      {"cross_attention[dim=16,n_layers=1,n_heads=2,vocab_size=23,cross_attention_every_n_layers=1]/"
       "image_tokens=3/image_mask=true",
       &Inputs::image_mask, "image_mask"},
      {"joint_decoder[dim=16,n_layers=1,n_heads=2,vocab_size=23,adapter.type=linear,feature_dim=6]/patches=4/"
       "frames=2/padding=true",
       &Inputs::frame_mask, "frame_mask"},
  };
  for (const auto& [text, mask, name] : masks) {
    SCOPED_TRACE(text);
    Problem problem = small_problem(text + "/seed=7");
    ASSERT_TRUE((problem.inputs.*mask).has_value());
    EXPECT_THAT(notes_of(problem), IsEmpty());
    Tensor<std::uint8_t> all((problem.inputs.*mask)->shape());
    std::ranges::fill(all.data, std::uint8_t{1});
    problem.inputs.*mask = Array::from(all);
    EXPECT_THAT(notes_of(problem), ElementsAre(name + " is true everywhere: the trace does not test it"));
  }
}

TEST(Notes, SeededMasksOfMoreThanOnePositionMaskSomething) {
  for (int seed = 0; seed < 50; ++seed) {
    const Problem problem = small_problem(
        "joint_decoder[dim=4,n_layers=1,n_heads=2,vocab_size=5]/batch=1/"
        "image_tokens=1/text_len=1/padding=true/seed=" +
        std::to_string(seed));
    EXPECT_THAT(notes_on(problem, {}, {}), IsEmpty()) << seed;
  }
}

// 64 tokens for each expert would be its share, and the gate sends all of them to expert 0.
TEST(Notes, AnExpertWithoutTokensIsNoted) {
  Problem problem = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=2,moe_top_k=1]/batch=4/text_len=32/seed=7");
  EXPECT_THAT(notes_of(problem), IsEmpty());
  set_parameter(problem, "layers.0.mlp.router.gate.weight", 0.0F);  // equal scores: the lower index
  EXPECT_THAT(notes_of(problem), ElementsAre("layers.0.mlp.router.indices gives no token to expert 1 (of 2): "
                                             "the trace does not test it"));
}

TEST(Notes, FewTokensMayLeaveAnExpertOut) {
  Problem many = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=2,moe_top_k=1]/batch=1/text_len=127/seed=7");
  set_parameter(many, "layers.0.mlp.router.gate.weight", 0.0F);
  EXPECT_THAT(notes_of(many), IsEmpty()) << "63.5 tokens would be a share";
  Problem problem = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=8,moe_top_k=1]/batch=1/text_len=4/seed=7");
  EXPECT_THAT(notes_of(problem), IsEmpty());
}

/// A problem as if its weights came from a checkpoint.
Problem trained(const std::string& text) {
  Problem problem = small_problem(text);
  problem.seeded = false;
  return problem;
}

// 12 tokens, one slot, 2 experts: a factor of 2 is room for all of them, 0.5 for 3 in each expert.
TEST(Notes, ACapacityThatDropsNoTokenOfARealBatchIsNoted) {
  const auto with_factor = [](const std::string& factor) {
    return "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=2,moe_top_k=1,moe_capacity_factor=" +
           factor + "]/batch=2/text_len=6/seed=7";
  };
  EXPECT_THAT(notes_of(trained(with_factor("2"))),
              ElementsAre("moe_capacity_factor = 2 drops no token: the trace does not test it"));
  EXPECT_THAT(notes_of(trained(with_factor("0.5"))), IsEmpty());
  EXPECT_THAT(notes_of(small_problem(with_factor("2"))), IsEmpty()) << "the case was made that way";
}

/// The notes where the routers of the layers chose `chosen`, of three experts with a capacity factor of 0.5.
std::vector<std::string> notes_of_choices(const std::vector<Tensor<std::int64_t>>& chosen) {
  ReferenceRun oracle;
  for (std::size_t layer = 0; layer < chosen.size(); ++layer) {
    oracle.decisions["layers." + std::to_string(layer) + ".mlp.router.indices"] = {
        chosen[layer], Tensor<double>({chosen[layer].rows(), 3})};
  }
  return notes_on(trained("moe[dim=16,n_layers=2,n_heads=2,vocab_size=23,num_experts=3,moe_top_k=2,"
                          "moe_capacity_factor=0.5]/batch=2/text_len=6/seed=7"),
                  {}, oracle);
}

// Two tokens in two slots: the capacity is ceil(2 * 2 / 3 * 0.5) = 1 in each slot.
TEST(Notes, AnExpertDropsTokensWhereASlotHasMoreThanItsCapacity) {
  using Slots = Tensor<std::int64_t>;
  const std::string note = "moe_capacity_factor = 0.5 drops no token: the trace does not test it";
  const Slots full({2, 2}, {0, 1, 2, 0}), over({2, 2}, {0, 1, 0, 2}), over_second({2, 2}, {0, 1, 2, 1});
  EXPECT_THAT(notes_of_choices({full}), ElementsAre(note)) << "expert 0 has one token in each slot";
  EXPECT_THAT(notes_of_choices({over}), IsEmpty());
  EXPECT_THAT(notes_of_choices({over_second}), IsEmpty());
  EXPECT_THAT(notes_of_choices({full, full}), ElementsAre(note));
  EXPECT_THAT(notes_of_choices({over, full}), IsEmpty());
  EXPECT_THAT(notes_of_choices({full, over}), IsEmpty());
  EXPECT_THAT(notes_of_choices({}), IsEmpty()) << "nothing is routed";
}

TEST(Notes, ARouterBiasOfZeroIsNoted) {
  Problem problem = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=4,moe_router=sigmoid_topk]/text_len=6/"
      "seed=7");
  EXPECT_THAT(notes_of(problem), IsEmpty());
  set_parameter(problem, "layers.0.mlp.router.expert_bias", 0.0F);
  EXPECT_THAT(notes_of(problem),
              ElementsAre("expert_bias is zero in every router: what it does to the choices is not tested"));
}

TEST(Notes, NormGainsOfOneAreNoted) {
  Problem problem = small_problem(kDenseOfNotes);
  for (const std::string name : {"layers.0.attention_norm.weight", "layers.0.mlp_norm.weight"}) {
    set_parameter(problem, name, 1.0F);
  }
  EXPECT_THAT(notes_of(problem), IsEmpty()) << "the last norm's gains still show";
  set_parameter(problem, "norm.weight", 1.0F);
  EXPECT_THAT(notes_of(problem),
              ElementsAre("the weight of every norm is 1: that norms multiply by it is not tested"));
}

class QkNorm : public testing::Test {
 protected:
  /// The trace without its q_norm and k_norm taps, as most programs record it.
  static Trace without_norm_taps(const Trace& trace) {
    Trace result;
    for (const auto& [name, value] : trace.entries()) {
      if (!name.ends_with("q_norm") && !name.ends_with("k_norm")) result.add(name, value);
    }
    return result;
  }
  static constexpr const char* kNote =
      "the gains of QK-norm are all equal and the trace has no q_norm or k_norm tap: whether QK-norm comes "
      "before RoPE is not tested";

  Problem problem_ =
      small_problem("dense[dim=16,n_layers=1,n_heads=2,vocab_size=23,qk_norm=true]/text_len=6/seed=7");
};

TEST_F(QkNorm, EqualGainsWithoutNormTapsHideTheOrder) {
  const Trace seeded = without_norm_taps(run_permuted(problem_, Dtype::f32));
  EXPECT_THAT(judge_float32(problem_, seeded).notes, IsEmpty()) << "seeded gains show the order";
  set_parameter(problem_, "layers.0.attention.q_norm.weight", 1.5F);
  const Trace one = without_norm_taps(run_permuted(problem_, Dtype::f32));
  EXPECT_THAT(judge_float32(problem_, one).notes, IsEmpty()) << "the keys' gains show it";
  set_parameter(problem_, "layers.0.attention.k_norm.weight", 0.5F);
  const Trace both = run_permuted(problem_, Dtype::f32);
  EXPECT_THAT(judge_float32(problem_, both).notes, IsEmpty()) << "the taps show it";
  EXPECT_THAT(judge_float32(problem_, without_norm_taps(both)).notes, ElementsAre(kNote));
}

TEST_F(QkNorm, OneGainThatDiffersShowsTheOrder) {
  for (const std::string name : {"q_norm", "k_norm"}) {
    set_parameter(problem_, "layers.0.attention." + name + ".weight", 1.5F);
  }
  for (const std::int64_t place : {0, 1, 7}) {
    Tensor<float> gains({8}, std::vector<float>(8, 0.5F));
    gains[place] = 2;
    problem_.parameters.at("layers.0.attention.k_norm.weight") = Array::from(gains);
    const Trace trace = without_norm_taps(run_permuted(problem_, Dtype::f32));
    EXPECT_THAT(judge_float32(problem_, trace).notes, IsEmpty()) << place;
  }
}

TEST(Notes, ASequenceOfOnePositionInARealBatchIsNoted) {
  const std::string note =
      "the sequence has one position: RoPE and the causal mask change nothing, so the trace does not test "
      "them";
  const std::string model = "[dim=16,n_layers=1,n_heads=2,vocab_size=23,max_seq_len=16";
  const std::vector<std::string> single = {
      "dense" + model + "]/text_len=1/seed=7", "dense" + model + "]/text_len=1/embeds=true/seed=7",
      "cross_attention" + model +
          ",max_text_len=8,cross_attention_every_n_layers=1]/text_len=1,image_tokens=3/seed=7"};
  for (const std::string& text : single) EXPECT_THAT(notes_of(trained(text)), ElementsAre(note)) << text;
  EXPECT_THAT(notes_of(small_problem(single[0])), IsEmpty()) << "the case was made that way";
  for (const std::string& several :
       {"dense" + model + "]/text_len=2/seed=7", "dense" + model + "]/text_len=1/generate=3/seed=7",
        "dense" + model + "]/text_len=1/greedy_from=1:2/seed=7",
        "joint_decoder" + model + ",max_text_len=8]/text_len=1,image_tokens=3/seed=7",
        "joint_decoder" + model +
            ",max_text_len=8,adapter.type=linear,feature_dim=6]/text_len=1,patches=4/seed=7"}) {
    EXPECT_THAT(notes_of(trained(several)), IsEmpty()) << several;
  }
}

TEST(Notes, AFailureHasNone) {
  const Problem problem = trained("dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=1/seed=7");
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> logits = right.at("logits").to<float>();
  logits[0] += 1;
  const Judgement judgement = judge_float32(problem, with_value(right, "logits", Array::from(logits)));
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_THAT(judgement.notes, IsEmpty());
}

TEST(FailOnNotes, MakesOnlyASuccessWithNotesAFailure) {
  Judgement judgement;
  fail_on_notes(judgement);
  EXPECT_EQ(judgement.verdict, Verdict::match);
  judgement.notes = {"one", "two"};
  Judgement wrong = judgement;
  wrong.verdict = Verdict::mismatch;
  wrong.message = "is wrong";
  fail_on_notes(wrong);
  EXPECT_EQ(wrong.verdict, Verdict::mismatch);
  EXPECT_EQ(wrong.message, "is wrong");
  fail_on_notes(judgement);
  EXPECT_EQ(judgement.verdict, Verdict::untrusted);
  EXPECT_EQ(judgement.message, "one; two");
  EXPECT_THAT(judgement.notes, ElementsAre("one", "two"));
}

}  // namespace
}  // namespace forgecheck
