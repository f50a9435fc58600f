// Fields by name: their types, their messages, and the round trip through the list of changed fields.
#include "harness/case/config_fields.h"

#include <gtest/gtest.h>

#include "harness/case/nearest_name.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

/// The message of the ConfigError that setting the field throws; empty if it is set.
template <class Config>
std::string rejection(Config config, const std::string& key, const FieldValue& value) {
  try {
    set_field(config, key, value);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

VlmConfig vlm(VlmArch arch) {
  VlmConfig config;
  config.arch = arch;
  return config;
}

TEST(ConfigFields, EveryTypeIsSet) {
  ModelConfig model;
  set_field(model, "dim", std::int64_t{64});
  set_field(model, "n_kv_heads", std::int64_t{2});
  set_field(model, "norm_eps", 1e-6);
  set_field(model, "rope_theta", std::int64_t{500000});
  set_field(model, "qk_norm", true);
  set_field(model, "sdpa_backend", std::string("math"));
  set_field(model, "norm_type", std::string("layernorm"));
  set_field(model, "activation", std::string("relu"));
  set_field(model, "moe_router", std::string("sigmoid_topk"));
  set_field(model, "moe_bias_schedule", std::string("linear_warmup"));
  EXPECT_EQ(model.dim, 64);
  EXPECT_EQ(model.n_kv_heads, 2);
  EXPECT_EQ(model.norm_eps, 1e-6);
  EXPECT_EQ(model.rope_theta, 500000.0);
  EXPECT_TRUE(model.qk_norm);
  EXPECT_EQ(model.sdpa_backend, "math");
  EXPECT_EQ(model.norm_type, NormType::layernorm);
  EXPECT_EQ(model.activation, Activation::relu);
  EXPECT_EQ(model.moe_router, RouterType::sigmoid_topk);
  EXPECT_EQ(model.moe_bias_schedule, BiasSchedule::linear_warmup);
}

TEST(ConfigFields, UnknownNameHintsAtTheNearest) {
  EXPECT_EQ(rejection(ModelConfig{}, "n_head", std::int64_t{4}),
            "model.n_head = 4: unknown field, did you mean n_heads?");
  EXPECT_EQ(rejection(AdapterConfig{}, "pool_windw", std::int64_t{4}),
            "adapter.pool_windw = 4: unknown field, did you mean pool_window?");
  EXPECT_EQ(rejection(ModelConfig{}, "colour", std::string("red")), "model.colour = red: unknown field");
}

TEST(ConfigFields, WrongTypeSaysWhatIsNeeded) {
  EXPECT_EQ(rejection(ModelConfig{}, "dim", 2.0), "model.dim = 2.0: needs an integer");
  EXPECT_EQ(rejection(ModelConfig{}, "n_kv_heads", 2.5), "model.n_kv_heads = 2.5: needs an integer");
  EXPECT_EQ(rejection(ModelConfig{}, "dim", true), "model.dim = true: needs an integer");
  EXPECT_EQ(rejection(ModelConfig{}, "norm_eps", std::string("small")),
            "model.norm_eps = small: needs a number");
  EXPECT_EQ(rejection(ModelConfig{}, "norm_eps", false), "model.norm_eps = false: needs a number");
  EXPECT_EQ(rejection(ModelConfig{}, "qk_norm", std::int64_t{1}), "model.qk_norm = 1: needs true or false");
  EXPECT_EQ(rejection(ModelConfig{}, "model_type", std::int64_t{1}), "model.model_type = 1: needs a string");
  EXPECT_EQ(rejection(ModelConfig{}, "activation", std::string("tanh")),
            "model.activation = tanh: needs one of silu, gelu, relu");
  EXPECT_EQ(rejection(ModelConfig{}, "activation", std::int64_t{1}),
            "model.activation = 1: needs one of silu, gelu, relu");
  EXPECT_EQ(rejection(vlm(VlmArch::mot), "mot_modalities", std::string("image")),
            "vlm.mot_modalities = image: needs a list of strings");
  EXPECT_EQ(rejection(vlm(VlmArch::moma), "moma_experts_per_modality", std::int64_t{4}),
            "vlm.moma_experts_per_modality = 4: needs a table of integers");
  EXPECT_EQ(rejection(VlmConfig{}, "arch", std::string("late_fusion")),
            "vlm.arch = late_fusion: needs one of joint_decoder, cross_attention, mot, moma");
}

TEST(ConfigFields, RejectedValueChangesNothing) {
  ModelConfig model;
  EXPECT_THROW(set_field(model, "n_kv_heads", 2.5), ConfigError);
  EXPECT_FALSE(model.n_kv_heads.has_value());
}

TEST(ConfigFields, FieldsOfAnotherArchAreUnknown) {
  EXPECT_EQ(rejection(vlm(VlmArch::mot), "moma_gumbel_noise", true),
            "vlm.moma_gumbel_noise = true: unknown field, it belongs to vlm.arch = moma");
  EXPECT_NE(rejection(VlmConfig{}, "cross_attention_n_heads", std::int64_t{8}), "");
  EXPECT_EQ(rejection(vlm(VlmArch::cross_attention), "cross_attention_n_heads", std::int64_t{8}), "");
  // No hint at what would be wrong too.
  EXPECT_EQ(rejection(VlmConfig{}, "mot_modality", true), "vlm.mot_modality = true: unknown field");
}

TEST(ConfigFields, ArchIsSetBeforeTheOthers) {
  VlmConfig config;
  set_fields(config, {{"mot_image_n_heads", std::int64_t{4}}, {"arch", std::string("mot")}});
  EXPECT_EQ(config.arch, VlmArch::mot);
  EXPECT_EQ(config.mot_image_n_heads, 4);
}

TEST(ConfigFields, DefaultsHaveNoChangedFields) {
  EXPECT_TRUE(changed_fields(ModelConfig{}).empty());
  EXPECT_TRUE(changed_fields(VlmConfig{}).empty());
  EXPECT_TRUE(changed_fields(VisionEncoderConfig{}).empty());
  EXPECT_TRUE(changed_fields(AdapterConfig{}).empty());
}

TEST(ConfigFields, ChangedFieldsAreInDeclarationOrder) {
  ModelConfig model;
  model.moe_top_k = 3;
  model.n_kv_heads = 32;  // given, though it equals n_heads
  model.dim = 64;
  model.activation = Activation::gelu;
  model.norm_eps = 1e-6;
  model.qk_norm_eps = 1e-6;
  EXPECT_EQ(format_fields(changed_fields(model)),
            "dim=64,n_kv_heads=32,norm_eps=1e-06,activation=gelu,moe_top_k=3,qk_norm_eps=1e-06");
}

TEST(ConfigFields, ChangedFieldsOfAVlmAreThoseOfItsArch) {
  VlmConfig config = vlm(VlmArch::moma);
  config.moma_experts_per_modality = {{"image", 2}, {"text", 3}};
  config.mot_image_n_heads = 4;
  EXPECT_EQ(format_fields(changed_fields(config)), "arch=moma,moma_experts_per_modality={image=2,text=3}");
}

// Sets every field to something else, by way of the text form, and reads it back from there.
template <class Config>
void expect_round_trip(const std::string& fields) {
  Config config;
  set_fields(config, parse_fields(fields));
  EXPECT_EQ(format_fields(changed_fields(config)), fields);
}

TEST(ConfigFields, EveryFieldRoundTripsThroughText) {
  expect_round_trip<ModelConfig>(
      "dim=64,n_layers=3,n_heads=8,n_kv_heads=2,vocab_size=61,ffn_dim_multiplier=1.3,ffn_hidden_dim=48,"
      "norm_type=layernorm,norm_eps=0.05,activation=relu,max_seq_len=32,rope_theta=500000.0,tie_embeddings="
      "true,"
      "qk_norm=true,init_std=0.1,model_type=other,sdpa_backend=flash,num_experts=4,moe_top_k=1,moe_frequency="
      "2,"
      "moe_router=sigmoid_topk,moe_shared_experts=1,moe_aux_loss_weight=0.0,moe_capacity_factor=1.25,"
      "moe_sequence_aux_loss_weight=0.001,moe_gradient_scale=true,moe_bias_schedule=cosine_decay,"
      "moe_packed_experts=true,moe_expert_ffn_multiplier=0.5,moe_router_z_loss_weight=1e-05,qk_norm_eps=1e-"
      "06");
  expect_round_trip<VlmConfig>(
      "arch=cross_attention,max_text_len=16,cross_attention_every_n_layers=1,cross_attention_n_heads=8,"
      "cross_attention_n_kv_heads=2");
  expect_round_trip<VlmConfig>(
      "arch=mot,mot_modalities=[text,image],mot_image_n_heads=4,mot_image_n_kv_heads=2,"
      "mot_warm_start_from_text=true,mot_warm_start_path=\"runs/dense step 5.pt\"");
  expect_round_trip<VlmConfig>(
      "arch=moma,moma_modalities=[text,image,audio],moma_experts_per_modality={audio=1,image=2,text=3},"
      "moma_capacity_factor=0.6,moma_gumbel_noise=false");
  expect_round_trip<VisionEncoderConfig>("type=clip,path=\"openai/clip\",feature_dim=384,num_tokens=64");
  expect_round_trip<AdapterConfig>("type=avgpool,hidden_dim=28,activation=relu,pool_window=3,pool_heads=4");
}

TEST(NearestName, OnlyTypingErrorsAreNear) {
  const std::vector<std::string> names = {"verify", "fuzz", "replay"};
  EXPECT_EQ(nearest_name("verfy", names), "verify");
  EXPECT_EQ(nearest_name("fuz", names), "fuzz");
  EXPECT_EQ(nearest_name("bench", names), "");
  EXPECT_EQ(nearest_name("", names), "");
}

}  // namespace
}  // namespace forgecheck
