// One test for every rule of [vlm], [vision_encoder] and [adapter], and for those between the sections.
#include "tests/reference/config_rejection.h"

namespace forgecheck {
namespace {

TEST(VlmConfig, TextLengthMustBePositive) {
  EXPECT_REJECTED(small(VlmArch::joint_decoder), a.vlm->max_text_len = 0, "vlm.max_text_len = 0");
}

TEST(VlmConfig, CrossAttentionRules) {
  const Architecture valid = small(VlmArch::cross_attention);
  EXPECT_REJECTED(valid, a.vlm->cross_attention_every_n_layers = 0, "vlm.cross_attention_every_n_layers = 0");
  EXPECT_REJECTED(valid, a.vlm->cross_attention_n_heads = -1, "vlm.cross_attention_n_heads = -1");
  EXPECT_REJECTED(valid, a.vlm->cross_attention_n_kv_heads = -4, "vlm.cross_attention_n_kv_heads = -4");
  EXPECT_REJECTED(valid, a.vlm->cross_attention_n_kv_heads = 3, "vlm.cross_attention_n_kv_heads = 3");
  EXPECT_REJECTED(valid, a.vlm->cross_attention_n_heads = 33, "vlm.cross_attention_n_heads = 33");
  EXPECT_ACCEPTED(valid, a.vlm->cross_attention_n_heads = 8; a.vlm->cross_attention_n_kv_heads = 2);
}

TEST(VlmConfig, CrossAttentionKvHeadsFallBackToTheBlocksOwn) {
  ModelConfig model = small_model();
  model.n_kv_heads = 2;
  VlmConfig vlm;
  vlm.arch = VlmArch::cross_attention;
  EXPECT_EQ(vlm.resolved_heads(model), 4);
  EXPECT_EQ(vlm.resolved_kv_heads(model), 4);
  vlm.cross_attention_n_heads = 8;
  EXPECT_EQ(vlm.resolved_kv_heads(model), 8);
}

TEST(VlmConfig, MotRules) {
  const Architecture valid = small(VlmArch::mot);
  EXPECT_REJECTED(valid, a.vlm->mot_modalities = {"text"}, "vlm.mot_modalities = [text]");
  EXPECT_REJECTED(valid, (a.vlm->mot_modalities = {"image", "audio"}), "vlm.mot_modalities = [image,audio]");
  EXPECT_REJECTED(valid, (a.vlm->mot_modalities = {"text", "audio"}), "vlm.mot_modalities = [text,audio]");
  EXPECT_REJECTED(valid, (a.vlm->mot_modalities = {"image", "text", "text"}),
                  "vlm.mot_modalities = [image,text,text]");
  EXPECT_REJECTED(valid, (a.vlm->mot_modalities = {"image", "text", "a.b"}),
                  "vlm.mot_modalities = [image,text,a.b]");
  EXPECT_REJECTED(valid, a.vlm->mot_image_n_heads = -1, "vlm.mot_image_n_heads = -1");
  EXPECT_REJECTED(valid, a.vlm->mot_image_n_kv_heads = -1, "vlm.mot_image_n_kv_heads = -1");
  EXPECT_REJECTED(valid, a.vlm->mot_image_n_heads = 8, "vlm.mot_image_n_heads = 8");
  EXPECT_REJECTED(valid, a.model.n_kv_heads = 2;
                  a.vlm->mot_image_n_kv_heads = 4, "vlm.mot_image_n_kv_heads = 4");
  EXPECT_REJECTED(valid, a.vlm->mot_warm_start_from_text = true, "vlm.mot_warm_start_path = \"\"");
  EXPECT_ACCEPTED(valid, a.model.n_kv_heads = 2; a.vlm->mot_image_n_heads = 4;
                  a.vlm->mot_image_n_kv_heads = 2);
  EXPECT_ACCEPTED(valid, a.model.n_kv_heads = 2);
}

TEST(VlmConfig, MomaRules) {
  const Architecture valid = small(VlmArch::moma);
  EXPECT_ACCEPTED(valid, (void)a);
  EXPECT_REJECTED(valid, (a.vlm->moma_modalities = {"image", "image"}),
                  "vlm.moma_modalities = [image,image]");
  EXPECT_REJECTED(valid, a.vlm->moma_experts_per_modality.erase("text"),
                  "vlm.moma_experts_per_modality.text = none");
  EXPECT_REJECTED(valid, a.vlm->moma_experts_per_modality["audio"] = 2,
                  "vlm.moma_experts_per_modality.audio = 2");
  EXPECT_REJECTED(valid, a.vlm->moma_experts_per_modality["image"] = 0,
                  "vlm.moma_experts_per_modality.image = 0");
  EXPECT_REJECTED(valid, a.vlm->moma_capacity_factor = -0.5, "vlm.moma_capacity_factor = -0.5");
  EXPECT_REJECTED(valid, a.vlm->moma_capacity_factor = kNan, "vlm.moma_capacity_factor = nan");
  EXPECT_REJECTED(valid, a.model.num_experts = 4, "model.num_experts = 4");
}

TEST(VlmConfig, CapacityFactorZeroIsOneOverExperts) {
  VlmConfig vlm;
  vlm.moma_experts_per_modality = {{"image", 2}, {"text", 7}};
  EXPECT_EQ(vlm.effective_capacity_factor("text"), 1.0 / 7);
  vlm.moma_capacity_factor = 0.6;
  EXPECT_EQ(vlm.effective_capacity_factor("text"), 0.6);
  vlm.moma_capacity_factor = 0;
  EXPECT_THROW(vlm.effective_capacity_factor("audio"), ConfigError);
}

TEST(VlmConfig, RulesOfOtherArchitecturesDoNotApply) {
  EXPECT_ACCEPTED(small(VlmArch::joint_decoder), a.vlm->mot_modalities.clear();
                  a.vlm->moma_capacity_factor = -1; a.model.num_experts = 4);
}

TEST(VisionEncoderConfig, Rules) {
  EXPECT_REJECTED(small(), a.vision_encoder.emplace().type = "dino", "vision_encoder.type = dino");
  EXPECT_REJECTED(small(), a.vision_encoder.emplace().feature_dim = -1, "vision_encoder.feature_dim = -1");
  EXPECT_REJECTED(small(), a.vision_encoder.emplace().num_tokens = -1, "vision_encoder.num_tokens = -1");
  EXPECT_REJECTED(small(), a.feature_dim = -8, "feature_dim = -8");
  EXPECT_REJECTED(small(), a.num_image_tokens = -8, "num_image_tokens = -8");
}

TEST(AdapterConfig, Rules) {
  EXPECT_REJECTED(small(), a.adapter.emplace().hidden_dim = -1, "adapter.hidden_dim = -1");
  EXPECT_REJECTED(small(), a.adapter.emplace().pool_window = 0, "adapter.pool_window = 0");
  EXPECT_REJECTED(small(), a.adapter.emplace().pool_heads = 0, "adapter.pool_heads = 0");
  EXPECT_REJECTED(small(), a.feature_dim = 12;
                  (a.adapter = AdapterConfig{}).value().type = AdapterType::attentional_pool,
                  "adapter.pool_heads = 16");
  EXPECT_ACCEPTED(small(), a.feature_dim = 12; a.adapter.emplace().type = AdapterType::avgpool);
}

TEST(AdapterConfig, TokensThatComeOut) {
  AdapterConfig adapter;
  EXPECT_EQ(adapter.output_num_tokens(7), 7);
  adapter.type = AdapterType::avgpool;
  adapter.pool_window = 3;
  EXPECT_EQ(adapter.output_num_tokens(729), 81);
  EXPECT_EQ(adapter.output_num_tokens(25), 4);  // ragged: ceil(5 / 3) = 2 per side
  EXPECT_EQ(adapter.output_num_tokens(0), 0);
  EXPECT_THROW(adapter.output_num_tokens(50), ConfigError);
  adapter.type = AdapterType::attentional_pool;
  EXPECT_EQ(adapter.output_num_tokens(36), 4);
  EXPECT_THROW(adapter.output_num_tokens(25), ConfigError);
}

TEST(AdapterConfig, GridOfLargeSquaresIsExact) {
  AdapterConfig adapter;
  adapter.type = AdapterType::avgpool;
  adapter.pool_window = 1;
  constexpr std::int64_t side = 3037000499;  // the largest whose square is below 2^63
  EXPECT_EQ(adapter.output_num_tokens(side * side), side * side);
  EXPECT_THROW(adapter.output_num_tokens(side * side - 1), ConfigError);
}

TEST(Architecture, ResidualMustFit) {
  for (const VlmArch arch : {VlmArch::joint_decoder, VlmArch::mot, VlmArch::moma}) {
    Architecture architecture = small(arch);
    architecture.model.max_seq_len = 512 + 64;
    architecture.vision_encoder.emplace().num_tokens = 64;
    EXPECT_ACCEPTED(architecture, (void)a);
    EXPECT_REJECTED(architecture, a.model.max_seq_len = 575, "model.max_seq_len = 575");
    // An adapter that pools leaves room.
    EXPECT_ACCEPTED(architecture, a.model.max_seq_len = 528; a.adapter.emplace().type = AdapterType::avgpool);
    EXPECT_REJECTED(architecture, a.vision_encoder->num_tokens = 0;
                    a.num_image_tokens = 65, "model.max_seq_len = 576");
  }
}

TEST(Architecture, CrossAttentionHasNoImageTokensInTheResidual) {
  Architecture architecture = small(VlmArch::cross_attention);
  architecture.vision_encoder.emplace().num_tokens = 5000;
  architecture.model.max_seq_len = 512;
  EXPECT_ACCEPTED(architecture, (void)a);
  EXPECT_REJECTED(architecture, a.model.max_seq_len = 511, "model.max_seq_len = 511");
}

TEST(Architecture, PoolingNeedsASquareGrid) {
  Architecture architecture = small(VlmArch::joint_decoder);
  architecture.vision_encoder.emplace().num_tokens = 65;
  architecture.adapter.emplace().type = AdapterType::avgpool;
  EXPECT_REJECTED(architecture, (void)a, "vision_encoder.num_tokens = 65");
}

TEST(Architecture, NamesAreThoseOfCases) {
  EXPECT_EQ(arch_name(small()), "dense");
  EXPECT_EQ(arch_name(small(VlmArch::joint_decoder)), "joint_decoder");
  EXPECT_EQ(arch_name(small(VlmArch::cross_attention)), "cross_attention");
  EXPECT_EQ(arch_name(small(VlmArch::mot)), "mot");
  EXPECT_EQ(arch_name(small(VlmArch::moma)), "moma");
  Architecture moe = small();
  moe.model.num_experts = 4;
  EXPECT_EQ(arch_name(moe), "moe");
}

}  // namespace
}  // namespace forgecheck
