// Whole models judged against the oracle, each with settings that could be taken for each other, so that
// whoever reads the wrong one computes something else. The tests of the kernels cannot see which one a model
// passes on.
#include <gtest/gtest.h>

#include "harness/backend/gpu_backend.h"
#include "harness/fuzz/random_case.h"
#include "harness/verdict/judge.h"

namespace forgecheck {
namespace {

const std::string kSizes = "dim=16,n_layers=2,n_heads=2,vocab_size=23,max_seq_len=32,ffn_hidden_dim=24";
const std::string kExperts = kSizes + ",num_experts=4";
const std::string kSigmoid = kExperts + ",moe_router=sigmoid_topk";
const std::string kVision = kSizes + ",max_text_len=12";
const std::string kMot = kSizes + ",max_text_len=12,num_image_tokens=4";

class Oracle : public testing::Test {
 protected:
  const std::unique_ptr<Backend> backend =
      make_gpu_backend(simt_unavailable().empty() ? "gpu:simt" : "gpu:cuda");

  /// Every tap of the reference, in its order, within the judge's tolerances, in both types.
  void expect_match(const std::string& text) {
    for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
      SCOPED_TRACE(text + " " + std::string(torch_name(dtype)));
      Case definition = parse_case_text(text);
      definition.dtype = dtype;
      const Problem problem = seeded_problem(definition);
      const Trace trace = backend->run(problem, {});
      EXPECT_EQ(names(trace), names(make_backend("reference")->run(problem, {})));
      const Judgement judgement = judge(problem, trace, problem.definition.dtype, false, Detail::verdicts);
      // Routing scores that are equal in eight bits are not rare.
      EXPECT_TRUE(is_success(judgement.verdict)) << judgement.message;
    }
  }

 private:
  static std::vector<std::string> names(const Trace& trace) {
    std::vector<std::string> all;
    for (const auto& [name, value] : trace.entries()) all.push_back(name);
    return all;
  }
};

TEST_F(Oracle, TheBiasScheduleIsFollowedAtTheStepOfTraining) {
  for (const std::string schedule : {"cosine_decay", "linear_warmup"}) {
    expect_match("moe[" + kSigmoid + ",moe_bias_schedule=" + schedule + "]/text_len=6/train/moe_step=5:100");
  }
}

TEST_F(Oracle, TheOptionsOfOtherFamiliesAreFollowed) {
  for (const std::string option :
       {"head_dim=10", "qkv_bias=true", "sliding_window=3", "rope_scaling=linear,rope_factor=4",
        "rope_scaling=llama3,rope_factor=8,rope_original_max_seq_len=16", "qk_norm=true,qk_norm_eps=0.01"}) {
    expect_match("dense[" + kSizes + "," + option + "]/batch=2,text_len=12");
    expect_match("dense[" + kSizes + "," + option + "]/batch=2,text_len=12/decode=5+1+1+5");
  }
  expect_match("moe[" + kExperts + ",moe_ffn_hidden_dim=13,moe_shared_experts=1]/batch=2,text_len=6");
}

TEST_F(Oracle, RandomModelsOfOtherFamilies) {
  std::int64_t judged = 0;
  for (std::uint64_t seed = 0; judged < 30; ++seed) {
    const Case definition = random_case(seed, Family::any);
    if (definition.architecture.vlm) continue;
    expect_match(case_text(definition));
    ++judged;
  }
}

// Divergence D2: the step does not reach the layers of mot, unless a case asks for it.
TEST_F(Oracle, LayersOfMotStayAtTheBeginningOfTheBiasSchedule) {
  for (const std::string schedule : {"cosine_decay", "linear_warmup"}) {
    const std::string mot = "mot[" + kMot +
                            ",num_experts=4,moe_router=sigmoid_topk,moe_bias_schedule=" + schedule +
                            "]/text_len=5,image_tokens=4/train/moe_step=60:100";
    expect_match(mot);
    expect_match(mot + "/mot_moe_totals=true");
  }
}

TEST_F(Oracle, ARouterLearnsInTrainingOnly) {
  for (const std::string train : {"", "/train"}) {
    expect_match("moe[" + kSigmoid + "]/text_len=6" + train);
    expect_match("moe[" + kExperts + ",moe_gradient_scale=true]/text_len=7" + train);
    expect_match("moma[" + kVision + "]/text_len=6,image_tokens=4" + train);
  }
}

TEST_F(Oracle, EveryLossHasItsOwnWeight) {
  const std::string loss = "/text_len=6/train/loss=cross_entropy,z_loss_weight=0.02";
  expect_match("moe[" + kExperts + ",moe_aux_loss_weight=0.5,moe_router_z_loss_weight=0.1]" + loss);
  expect_match("moe[" + kSigmoid + ",moe_aux_loss_weight=0.5,moe_sequence_aux_loss_weight=0.05]" + loss);
}

TEST_F(Oracle, CapacityAndSharedExpertsComeAfterTheRouter) {
  expect_match("moe[" + kExperts + ",moe_capacity_factor=0.5,moe_shared_experts=1]/text_len=9");
  expect_match("moe[" + kExperts + ",moe_packed_experts=true,moe_frequency=2,activation=gelu]/text_len=9");
}

TEST_F(Oracle, DocumentsDoNotSeeEachOther) {
  expect_match("dense[" + kSizes + "]/batch=3,text_len=10,documents=3");
}

TEST_F(Oracle, PaddingIsSeenByNoQueryAndChosenByNoExpert) {
  expect_match("joint_decoder[" + kVision + "]/text_len=6,image_tokens=4,padding=true,documents=2");
  expect_match("mot[" + kMot + "]/text_len=5,image_tokens=4,padding=true");
  expect_match("moma[" + kVision + "]/text_len=6,image_tokens=4,interleaved=true,padding=true");
}

TEST_F(Oracle, TheMaskOfImagesIsForCrossAttention) {
  expect_match("cross_attention[" + kVision +
               ",cross_attention_every_n_layers=1,cross_attention_n_heads=4,cross_attention_n_kv_heads=1]/"
               "text_len=5,image_tokens=7,image_mask=true");
}

TEST_F(Oracle, EveryNormHasItsOwnEps) {
  const std::string eps = ",norm_eps=0.5,qk_norm=true,qk_norm_eps=0.1";
  expect_match("dense[" + kSizes + eps + "]/text_len=6");
  expect_match("cross_attention[" + kVision + eps +
               ",cross_attention_every_n_layers=2]/text_len=5,image_tokens=4");
  expect_match("mot[" + kMot + eps + "]/text_len=5,image_tokens=4");
  expect_match("moma[" + kVision + eps + ",norm_type=layernorm]/text_len=5,image_tokens=4");
}

TEST_F(Oracle, ImagesComeFirstWhicheverModalityIsNamedFirst) {
  expect_match("mot[" + kMot + ",mot_modalities=[text,image]]/text_len=5,image_tokens=4");
  expect_match("moma[" + kVision +
               ",moma_modalities=[text,image],moma_experts_per_modality={image=2,text=3}]/"
               "text_len=6,image_tokens=4");
}

TEST_F(Oracle, AnAdapterHasItsOwnHeadsAndActivation) {
  const std::string vision = "joint_decoder[" + kVision + ",feature_dim=8,adapter.";
  expect_match(vision + "type=attentional_pool,adapter.pool_heads=4]/text_len=5,patches=16");
  expect_match(vision + "activation=silu,adapter.hidden_dim=10,activation=relu]/text_len=5,patches=3");
  expect_match(vision + "type=avgpool]/batch=3,text_len=5,patches=9,frames=2,padding=true");
}

TEST_F(Oracle, AModalityMayHaveNoTokens) {
  expect_match("moma[" + kVision + "]/text_len=6,embeds=true/train");
}

TEST_F(Oracle, LogitsAreOfTheSliceAskedFor) {
  expect_match("dense[" + kSizes + ",tie_embeddings=true]/text_len=6/output_slice=-4:-1");
  expect_match("mot[" + kMot + "]/text_len=5,image_tokens=4/output_slice=3:");
}

TEST_F(Oracle, GenerationMayFillTheWholeSequence) {
  expect_match("dense[" + kSizes + "]/text_len=4/generate=28");
  expect_match("dense[" + kSizes + "]/text_len=4/generate=28,temperature=0.8,top_k=5");
}

}  // namespace
}  // namespace forgecheck
