// The two forms of a case say the same: what is written is read back, for every architecture and every run.
#include "harness/case/case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace forgecheck {
namespace {

using testing::ElementsAre;
using Json = nlohmann::json;

const std::string kModel = "dim=32,n_layers=2,n_heads=4";

class CaseForms : public testing::TestWithParam<std::string> {};

// Each in the form in which case_text writes it: only what differs from the defaults, in a fixed order.
const std::string kTextsOfCase[] = {
    "dense/batch=2,text_len=8/seed=0",
    "dense[" + kModel +
        ",n_kv_heads=2,norm_eps=1e-06,rope_theta=500000.0]/batch=1,text_len=12/seed=7/bfloat16",
    "dense[" + kModel +
        ",norm_type=layernorm,activation=gelu,tie_embeddings=true]/batch=2,text_len=8/seed=7/train",
    "dense[" + kModel + "]/batch=2,text_len=8,documents=3/seed=1/output_slice=2:-1/stages=2",
    "dense[" + kModel + "]/batch=2,text_len=8/seed=1/output_slice=:3",
    "dense[" + kModel + "]/batch=2,text_len=8/seed=1/output_slice=-3:",
    "dense[" + kModel + "]/batch=2,text_len=8/seed=1/output_slice=:",
    "dense[" + kModel + "]/batch=2,text_len=8,embeds=true,padding=true/seed=1",
    "dense[" + kModel + "]/batch=2,text_len=8/seed=1/decode=6+1+1",
    "dense[" + kModel + "]/batch=2,text_len=8/seed=1/generate=5",
    "dense[" + kModel + "]/batch=2,text_len=8/seed=1/generate=0",
    "dense[" + kModel +
        "]/batch=2,text_len=8/seed=1/generate=5,eos_token_id=0,temperature=0.5,top_k=3,top_p=0.9",
    "dense[" + kModel + "]/batch=2,text_len=8,ignore_labels=true/seed=1/loss=cross_entropy",
    "dense[" + kModel +
        "]/batch=2,text_len=8/seed=1/train/loss=chunked_cross_entropy,chunk_size=3,z_loss_weight=0.0001",
    "dense[" + kModel + "]/batch=2,text_len=8/seed=1/greedy_from=4:2",
    "dense[" + kModel + ",qk_norm=true]/batch=2,text_len=8/seed=18446744073709551615",
    "moe[" + kModel +
        ",num_experts=4,moe_router=sigmoid_topk,moe_bias_schedule=cosine_decay]/batch=2,text_len=8/"
        "seed=9223372036854775808/train/moe_step=30:100",
    "moe[" + kModel +
        ",num_experts=4,moe_top_k=1,moe_capacity_factor=0.5,moe_packed_experts=true]/"
        "batch=2,text_len=8/seed=3",
    "joint_decoder[" + kModel + "]/batch=2,text_len=8,image_tokens=4,padding=true/seed=3",
    "joint_decoder[" + kModel +
        ",max_text_len=64,adapter.type=avgpool,adapter.pool_window=3,feature_dim=6]/"
        "batch=2,text_len=8,patches=9,frames=2/seed=3",
    "cross_attention[" + kModel +
        ",cross_attention_every_n_layers=1,cross_attention_n_heads=8]/"
        "batch=2,text_len=8,image_tokens=4,image_mask=true/seed=3",
    "mot[" + kModel +
        ",num_experts=4,mot_modalities=[text,image],num_image_tokens=4]/"
        "batch=2,text_len=8,image_tokens=4/seed=3/mot_moe_totals=true",
    "moma[" + kModel +
        ",moma_experts_per_modality={image=2,text=3},moma_gumbel_noise=false]/"
        "batch=2,text_len=8,image_tokens=4,interleaved=true/seed=3/train",
};

INSTANTIATE_TEST_SUITE_P(All, CaseForms, testing::ValuesIn(kTextsOfCase));

TEST_P(CaseForms, TextIsReadBackAsItself) {
  EXPECT_EQ(case_text(parse_case_text(GetParam())), GetParam());
}

TEST_P(CaseForms, JsonIsReadBackAsItself) {
  const std::string json = case_json(parse_case_text(GetParam()));
  EXPECT_EQ(case_json(parse_case_json(json)), json);
}

TEST_P(CaseForms, JsonAndTextSayTheSame) {
  EXPECT_EQ(case_text(parse_case_json(case_json(parse_case_text(GetParam())))), GetParam());
}

TEST_P(CaseForms, SegmentsMayComeInAnyOrder) {
  const std::size_t first = GetParam().find('/');
  std::string turned;
  for (std::size_t end = GetParam().size(); end != first;) {
    const std::size_t begin = GetParam().rfind('/', end - 1);
    turned += GetParam().substr(begin, end - begin);
    end = begin;
  }
  EXPECT_EQ(case_text(parse_case_text(GetParam().substr(0, first) + turned)), GetParam());
}

TEST(Case, TextSetsWhatItNames) {
  const Case value = parse_case_text(
      "moe[dim=64,n_layers=2,n_heads=8,num_experts=4,moe_top_k=2]/batch=3,text_len=12,documents=2/seed=7/"
      "train/"
      "bfloat16/output_slice=1:/moe_step=4:100/stages=2/greedy_from=5:10");
  EXPECT_EQ(value.architecture.model.dim, 64);
  EXPECT_EQ(value.architecture.model.num_experts, 4);
  EXPECT_FALSE(value.architecture.vlm.has_value());
  EXPECT_EQ(value.inputs.batch, 3);
  EXPECT_EQ(value.inputs.text_len, 12);
  EXPECT_EQ(value.inputs.documents, 2);
  EXPECT_EQ(value.seed, 7U);
  EXPECT_TRUE(value.train);
  EXPECT_EQ(value.dtype, Dtype::bf16);
  EXPECT_EQ(value.run, RunKind::forward);
  ASSERT_TRUE(value.output_slice.has_value());
  EXPECT_EQ(value.output_slice->start, 1);
  EXPECT_EQ(value.output_slice->stop, std::nullopt);
  ASSERT_TRUE(value.moe_step.has_value());
  EXPECT_EQ(value.moe_step->step, 4);
  EXPECT_EQ(value.moe_step->max_steps, 100);
  EXPECT_EQ(value.stages, 2);
  EXPECT_EQ(value.greedy_from, 5);
  EXPECT_EQ(value.greedy_new_tokens, 10);
}

TEST(Case, TextSetsTheRun) {
  EXPECT_THAT(parse_case_text("dense/decode=6+1+1").chunks, ElementsAre(6, 1, 1));
  EXPECT_EQ(parse_case_text("dense/decode=6").run, RunKind::decode);
  const Case generated = parse_case_text("dense/generate=9,eos_token_id=3");
  EXPECT_EQ(generated.run, RunKind::generate);
  EXPECT_EQ(generated.generate.max_new_tokens, 9);
  EXPECT_EQ(generated.generate.eos_token_id, 3);
  const Case loss = parse_case_text("dense/loss=chunked_cross_entropy,chunk_size=5,z_loss_weight=1");
  EXPECT_EQ(loss.run, RunKind::loss);
  EXPECT_EQ(loss.loss.kind, LossKind::chunked_cross_entropy);
  EXPECT_EQ(loss.loss.chunk_size, 5);
  EXPECT_EQ(loss.loss.z_loss_weight, 1.0);
  EXPECT_EQ(parse_case_text("dense/forward").run, RunKind::forward);
}

TEST(Case, TextSetsTheArchitecture) {
  EXPECT_TRUE(parse_case_text("joint_decoder").architecture.is(VlmArch::joint_decoder));
  EXPECT_TRUE(parse_case_text("cross_attention").architecture.is(VlmArch::cross_attention));
  EXPECT_TRUE(parse_case_text("moma").architecture.is(VlmArch::moma));
  const Case mot = parse_case_text("mot[num_image_tokens=5,adapter.type=linear,feature_dim=6]");
  EXPECT_TRUE(mot.architecture.is(VlmArch::mot));
  EXPECT_EQ(mot.architecture.num_image_tokens, 5);
  EXPECT_EQ(mot.architecture.feature_dim, 6);
  ASSERT_TRUE(mot.architecture.adapter.has_value());
  EXPECT_EQ(mot.architecture.adapter->type, AdapterType::linear);
}

// A slash ends the architecture only behind its last bracket.
TEST(Case, APathMayHaveSlashesAndBracketsInIt) {
  const std::string text =
      "mot[" + kModel +
      ",mot_modalities=[text,image],mot_warm_start_path=\"runs/[5]/dense.pt\",num_image_tokens=4]/"
      "batch=2,text_len=8,image_tokens=4/seed=3";
  const Case value = parse_case_text(text);
  EXPECT_EQ(value.architecture.vlm->mot_warm_start_path, "runs/[5]/dense.pt");
  EXPECT_EQ(value.seed, 3U);
  EXPECT_EQ(case_text(value), text);
}

TEST(Case, JsonSetsWhatItNames) {
  const Case value = parse_case_json(R"({
      "model": {"dim": 32, "n_layers": 2, "n_heads": 4, "rope_theta": 500000}, "seed": 18446744073709551615,
      "mode": "train", "dtype": "bfloat16", "run": "loss", "vlm": {"arch": "mot", "max_text_len": 16},
      "num_image_tokens": 5, "adapter": {"type": "linear", "feature_dim": 6}, "output_slice": [5, null],
      "moe_step": [30, 100], "loss": {"kind": "chunked_cross_entropy", "chunk_size": 7, "z_loss_weight": 0.5}})");
  EXPECT_EQ(value.architecture.model.dim, 32);
  EXPECT_EQ(value.architecture.model.rope_theta, 500000.0);
  EXPECT_EQ(value.seed, UINT64_MAX);
  EXPECT_TRUE(value.train);
  EXPECT_EQ(value.dtype, Dtype::bf16);
  EXPECT_EQ(value.run, RunKind::loss);
  EXPECT_TRUE(value.architecture.is(VlmArch::mot));
  EXPECT_EQ(value.architecture.vlm->max_text_len, 16);
  EXPECT_EQ(value.architecture.num_image_tokens, 5);
  EXPECT_EQ(value.architecture.feature_dim, 6);
  ASSERT_TRUE(value.output_slice.has_value());
  EXPECT_EQ(value.output_slice->start, 5);
  EXPECT_EQ(value.output_slice->stop, std::nullopt);
  EXPECT_EQ(value.moe_step->step, 30);
  EXPECT_EQ(value.loss.kind, LossKind::chunked_cross_entropy);
  EXPECT_EQ(value.loss.chunk_size, 7);
  EXPECT_EQ(value.loss.z_loss_weight, 0.5);
}

// An empty section is there: it has the defaults.
TEST(Case, AnEmptySectionOfTheJsonIsASection) {
  const Case value = parse_case_json(R"({"vlm": {}, "adapter": {}})");
  EXPECT_TRUE(value.architecture.is(VlmArch::joint_decoder));
  ASSERT_TRUE(value.architecture.adapter.has_value());
  EXPECT_EQ(value.architecture.adapter->type, AdapterType::mlp_2layer);
  EXPECT_FALSE(parse_case_json("{}").architecture.adapter.has_value());
}

TEST(Case, JsonWritesOnlyWhatDiffers) {
  EXPECT_EQ(Json::parse(case_json(Case{})), Json::parse(R"({"model": {}, "seed": 0, "mode": "eval",
                                                            "dtype": "float32", "run": "forward"})"));
  EXPECT_EQ(
      Json::parse(case_json(parse_case_text("moma[dim=64,n_heads=4]/seed=5/train"))),
      Json::parse(R"({"model": {"dim": 64, "n_heads": 4}, "vlm": {"arch": "moma"}, "seed": 5, "mode": "train",
                            "dtype": "float32", "run": "forward"})"));
}

TEST(Case, JsonReadsGradients) {
  const Case value =
      parse_case_json(R"({"model": {}, "run": "gradients", "loss": {"kind": "cross_entropy"}})");
  EXPECT_EQ(value.run, RunKind::gradients);
  EXPECT_EQ(Json::parse(case_json(value)).at("run"), "gradients");
}

TEST(Case, TextOfGradientsIsReadBack) {
  const Case value = parse_case_json(R"({"model": {}, "run": "gradients"})");
  EXPECT_EQ(parse_case_text(case_text(value)).run, RunKind::gradients);
}

}  // namespace
}  // namespace forgecheck
