// The table of fields: types, messages, what is written, and the round trip of what is written.
#include "harness/case/case_fields.h"

#include <gtest/gtest.h>

#include <set>

#include "harness/case/nearest_name.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

/// The message of the ConfigError that setting the field throws; empty if it is set.
std::string rejection(const std::string& section, const std::string& name, const FieldValue& given,
                      Case value = {}) {
  try {
    set_field(value, section, name, given);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

Case vlm(VlmArch arch) {
  Case value;
  value.architecture.vlm.emplace().arch = arch;
  return value;
}

/// "name=value" of what a form writes of a section.
std::string written(const Case& value, const std::string& section, Form form = Form::json) {
  FieldList fields;
  for (const CaseField& field : case_fields()) {
    const auto current = field.section == section ? written_value(value, field, form) : std::nullopt;
    if (current) fields.emplace_back(field.name, *current);
  }
  return format_fields(fields);
}

TEST(CaseFields, EveryTypeIsSet) {
  Case value;
  const auto set = [&](const char* name, const FieldValue& given) { set_field(value, "model", name, given); };
  set("dim", std::int64_t{64});
  set("n_kv_heads", std::int64_t{2});
  set("norm_eps", 1e-6);
  set("rope_theta", std::int64_t{500000});
  set("qk_norm", true);
  set("sdpa_backend", std::string("math"));
  set("norm_type", std::string("layernorm"));
  set("activation", std::string("relu"));
  set("moe_router", std::string("sigmoid_topk"));
  set("moe_bias_schedule", std::string("linear_warmup"));
  const ModelConfig& model = value.architecture.model;
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

TEST(CaseFields, FieldsOfTheCaseItselfAreSet) {
  Case value;
  set_field(value, "", "seed", std::uint64_t{UINT64_MAX});
  set_field(value, "", "mode", std::string("train"));
  set_field(value, "", "dtype", std::string("bfloat16"));
  set_field(value, "", "run", std::string("gradients"));
  set_field(value, "", "chunks", Integers{3, 1});
  set_field(value, "", "output_slice", Integers{std::nullopt, -1});
  set_field(value, "", "moe_step", Integers{4, 100});
  set_field(value, "", "greedy_from", Integers{5, 10});
  set_field(value, "loss", "kind", std::string("chunked_cross_entropy"));
  set_field(value, "adapter", "feature_dim", std::int64_t{6});
  EXPECT_EQ(value.seed, UINT64_MAX);
  EXPECT_TRUE(value.train);
  EXPECT_EQ(value.dtype, Dtype::bf16);
  EXPECT_EQ(value.run, RunKind::gradients);
  EXPECT_EQ(value.chunks, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(value.output_slice->start, std::nullopt);
  EXPECT_EQ(value.output_slice->stop, -1);
  EXPECT_EQ(value.moe_step->step, 4);
  EXPECT_EQ(value.moe_step->max_steps, 100);
  EXPECT_EQ(value.greedy_from, 5);
  EXPECT_EQ(value.greedy_new_tokens, 10);
  EXPECT_EQ(value.loss.kind, LossKind::chunked_cross_entropy);
  EXPECT_EQ(value.architecture.feature_dim, 6);
  EXPECT_EQ(rejection("", "seed", std::int64_t{-1}), "case.seed = -1: needs an integer in 0 .. 2^64 - 1");
  EXPECT_EQ(rejection("", "moe_step", Integers{4, std::nullopt}),
            "case.moe_step = [4,null]: needs a pair of integers");
  EXPECT_EQ(rejection("", "stages", std::uint64_t{UINT64_MAX}),
            "case.stages = 18446744073709551615: needs an integer");
}

TEST(CaseFields, NamesOfASectionAreDifferentAndDefaultsAreTheirOwn) {
  std::set<std::pair<std::string, std::string>> names;
  for (const CaseField& field : case_fields()) {
    EXPECT_TRUE(names.emplace(field.section, field.name).second) << field.name;
    Case value;
    value.architecture.adapter.emplace();
    if (field.default_value && (!field.arch || field.section != "vlm")) {
      EXPECT_TRUE(field.set(value, *field.default_value)) << field.name;
      EXPECT_EQ(field.get(value), field.default_value) << field.name;
    }
  }
}

TEST(CaseFields, UnknownNameHintsAtTheNearest) {
  EXPECT_EQ(rejection("model", "n_head", std::int64_t{4}),
            "model.n_head = 4: unknown field, did you mean n_heads?");
  EXPECT_EQ(rejection("adapter", "pool_windw", std::int64_t{4}),
            "adapter.pool_windw = 4: unknown field, did you mean pool_window?");
  EXPECT_EQ(rejection("model", "colour", std::string("red")), "model.colour = red: unknown field");
  EXPECT_EQ(rejection("", "adaptr", std::int64_t{4}),
            "case.adaptr = 4: unknown field, did you mean adapter?");
}

TEST(CaseFields, WrongTypeSaysWhatIsNeeded) {
  EXPECT_EQ(rejection("model", "dim", 2.0), "model.dim = 2.0: needs an integer");
  EXPECT_EQ(rejection("model", "n_kv_heads", 2.5), "model.n_kv_heads = 2.5: needs an integer");
  EXPECT_EQ(rejection("model", "dim", true), "model.dim = true: needs an integer");
  EXPECT_EQ(rejection("model", "norm_eps", std::string("small")), "model.norm_eps = small: needs a number");
  EXPECT_EQ(rejection("model", "norm_eps", false), "model.norm_eps = false: needs a number");
  EXPECT_EQ(rejection("model", "qk_norm", std::int64_t{1}), "model.qk_norm = 1: needs true or false");
  EXPECT_EQ(rejection("model", "model_type", std::int64_t{1}), "model.model_type = 1: needs a string");
  EXPECT_EQ(rejection("model", "activation", std::string("tanh")),
            "model.activation = tanh: needs one of silu, gelu, relu");
  EXPECT_EQ(rejection("model", "activation", std::int64_t{1}),
            "model.activation = 1: needs one of silu, gelu, relu");
  EXPECT_EQ(rejection("vlm", "mot_modalities", std::string("image"), vlm(VlmArch::mot)),
            "vlm.mot_modalities = image: needs a list of strings");
  EXPECT_EQ(rejection("vlm", "moma_experts_per_modality", std::int64_t{4}, vlm(VlmArch::moma)),
            "vlm.moma_experts_per_modality = 4: needs a table of integers");
  EXPECT_EQ(rejection("vlm", "arch", std::string("late_fusion")),
            "vlm.arch = late_fusion: needs one of joint_decoder, cross_attention, mot, moma");
}

TEST(CaseFields, RejectedValueChangesNothing) {
  Case value;
  EXPECT_THROW(set_field(value, "model", "n_kv_heads", 2.5), ConfigError);
  EXPECT_FALSE(value.architecture.model.n_kv_heads.has_value());
}

TEST(CaseFields, FieldsOfAnotherArchAreUnknown) {
  EXPECT_EQ(rejection("vlm", "moma_gumbel_noise", true, vlm(VlmArch::mot)),
            "vlm.moma_gumbel_noise = true: unknown field, it belongs to vlm.arch = moma");
  EXPECT_NE(rejection("vlm", "cross_attention_n_heads", std::int64_t{8}, vlm(VlmArch::joint_decoder)), "");
  EXPECT_EQ(rejection("vlm", "cross_attention_n_heads", std::int64_t{8}, vlm(VlmArch::cross_attention)), "");
  // No hint at what would be wrong too.
  EXPECT_EQ(rejection("vlm", "mot_modality", true, vlm(VlmArch::joint_decoder)),
            "vlm.mot_modality = true: unknown field");
}

TEST(CaseFields, OfDefaultsOnlyWhatIsAlwaysWrittenIsWritten) {
  EXPECT_EQ(written({}, "model"), "");
  EXPECT_EQ(written({}, "inputs"), "");
  EXPECT_EQ(written({}, ""), "seed=0,mode=eval,dtype=float32,run=forward");
  EXPECT_EQ(written({}, "inputs", Form::text), "batch=2,text_len=8");
  EXPECT_EQ(written({}, "", Form::text), "seed=0");
  EXPECT_EQ(written(vlm(VlmArch::joint_decoder), "vlm"), "arch=joint_decoder");
}

TEST(CaseFields, ChangedFieldsAreInDeclarationOrder) {
  Case value;
  ModelConfig& model = value.architecture.model;
  model.moe_top_k = 3;
  model.n_kv_heads = 32;  // given, though it equals n_heads
  model.dim = 64;
  model.activation = Activation::gelu;
  model.norm_eps = 1e-6;
  model.qk_norm_eps = 1e-6;
  EXPECT_EQ(written(value, "model"),
            "dim=64,n_kv_heads=32,norm_eps=1e-06,activation=gelu,moe_top_k=3,qk_norm_eps=1e-06");
}

TEST(CaseFields, ChangedFieldsOfAVlmAreThoseOfItsArch) {
  Case value = vlm(VlmArch::moma);
  value.architecture.vlm->moma_experts_per_modality = {{"image", 2}, {"text", 3}};
  value.architecture.vlm->mot_image_n_heads = 4;
  EXPECT_EQ(written(value, "vlm"), "arch=moma,moma_experts_per_modality={image=2,text=3}");
}

TEST(CaseFields, EveryFieldRoundTripsThroughText) {
  const auto expect_round_trip = [](const std::string& section, const std::string& fields) {
    Case value;
    for (const auto& [name, given] : parse_fields(fields)) set_field(value, section, name, given);
    EXPECT_EQ(written(value, section), fields);
  };
  expect_round_trip(
      "model",
      "dim=64,n_layers=3,n_heads=8,n_kv_heads=2,vocab_size=61,ffn_dim_multiplier=1.3,ffn_hidden_dim=48,"
      "norm_type=layernorm,norm_eps=0.05,activation=relu,max_seq_len=32,rope_theta=500000.0,tie_embeddings="
      "true,"
      "qk_norm=true,init_std=0.1,model_type=other,sdpa_backend=flash,num_experts=4,moe_top_k=1,moe_frequency="
      "2,"
      "moe_router=sigmoid_topk,moe_shared_experts=1,moe_aux_loss_weight=0.0,moe_capacity_factor=1.25,"
      "moe_sequence_aux_loss_weight=0.001,moe_gradient_scale=true,moe_bias_schedule=cosine_decay,"
      "moe_packed_experts=true,moe_expert_ffn_multiplier=0.5,moe_router_z_loss_weight=1e-05,qk_norm_eps=1e-"
      "06");
  expect_round_trip(
      "vlm",
      "arch=cross_attention,max_text_len=16,cross_attention_every_n_layers=1,cross_attention_n_heads=8,"
      "cross_attention_n_kv_heads=2");
  expect_round_trip("vlm",
                    "arch=mot,mot_modalities=[text,image],mot_image_n_heads=4,mot_image_n_kv_heads=2,"
                    "mot_warm_start_from_text=true,mot_warm_start_path=\"runs/dense step 5.pt\"");
  expect_round_trip(
      "vlm",
      "arch=moma,moma_modalities=[text,image,audio],moma_experts_per_modality={audio=1,image=2,text=3},"
      "moma_capacity_factor=0.6,moma_gumbel_noise=false");
  expect_round_trip("adapter",
                    "type=avgpool,hidden_dim=28,activation=relu,pool_window=3,pool_heads=4,feature_dim=9");
}

TEST(NearestName, OnlyTypingErrorsAreNear) {
  const std::vector<std::string> names = {"verify", "fuzz", "replay"};
  EXPECT_EQ(nearest_name("verfy", names), "verify");
  EXPECT_EQ(nearest_name("fuz", names), "fuzz");
  EXPECT_EQ(nearest_name("fzuz", names), "fuzz");
  EXPECT_EQ(nearest_name("bench", names), "");
  EXPECT_EQ(nearest_name("", names), "");
}

// One letter in three may be wrong, and one in any name.
TEST(NearestName, UpToAThirdOfTheLettersMayBeWrong) {
  const std::vector<std::string> names = {"verify", "fuzz"};
  EXPECT_EQ(nearest_name("verxyy", names), "verify");
  EXPECT_EQ(nearest_name("verxyz", names), "");
  EXPECT_EQ(nearest_name("fuxx", names), "");
  EXPECT_EQ(nearest_name("fxz", names), "");
  EXPECT_EQ(nearest_name("f", {"fu"}), "fu");
  EXPECT_EQ(nearest_name("f", {"fuz"}), "");
}

TEST(NearestName, OfEquallyNearNamesTheFirstAndOfOthersTheNearest) {
  EXPECT_EQ(nearest_name("abcf", {"abcd", "abce"}), "abcd");
  EXPECT_EQ(nearest_name("abcdef", {"abcdxy", "abcdex"}), "abcdex");
  EXPECT_EQ(nearest_name("abcdef", {"abcdex", "abcdxy"}), "abcdex");
}

}  // namespace
}  // namespace forgecheck
