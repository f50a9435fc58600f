#include "harness/io/hugging_face.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kCheckpointsOfHuggingFace =
    std::filesystem::path(FORGECHECK_SOURCE_DIR) / "golden/checkpoints";

Json llama() {
  std::ifstream file(kCheckpointsOfHuggingFace / "hf_llama/config.json");
  return Json::parse(file);
}
Json mixtral() {
  std::ifstream file(kCheckpointsOfHuggingFace / "hf_mixtral/config.json");
  return Json::parse(file);
}
Json qwen3_moe() {
  Json config = llama();
  config["model_type"] = "qwen3_moe";
  config["num_experts"] = 8;
  config["num_experts_per_tok"] = 2;
  config["norm_topk_prob"] = true;
  config["moe_intermediate_size"] = 32;
  config["decoder_sparse_step"] = 1;
  config["mlp_only_layers"] = Json::array();
  return config;
}

class HuggingFaceConfig : public testing::Test {
 protected:
  ModelConfig load(const Json& json) {
    return load_hf_config(directory_.write("config.json", json.dump())).model;
  }
  ModelConfig load(Json json, const char* change) {
    json.merge_patch(Json::parse(change));
    return load(json);
  }
  /// What follows "<path>: " when the merged patch makes the file wrong; empty if it loads.
  std::string rejection(const Json& json, const char* change) {
    try {
      load(json, change);
    } catch (const Error& error) {
      const std::string message = error.what();
      const std::string prefix = (directory_.path() / "config.json").string() + ": ";
      EXPECT_TRUE(message.starts_with(prefix)) << message;
      return message.substr(prefix.size());
    }
    return "";
  }
  /// Every rejection names the field and its value first.
  void expect_rejected(const Json& json, const char* change, const std::string& start) {
    const std::string message = rejection(json, change);
    EXPECT_TRUE(message.starts_with(start + ": ")) << change << " gave: " << message;
  }

  TemporaryDirectory directory_;
};

TEST_F(HuggingFaceConfig, LlamaFields) {
  const ModelConfig model = load(llama());
  EXPECT_EQ(model.dim, 32);
  EXPECT_EQ(model.n_layers, 2);
  EXPECT_EQ(model.n_heads, 4);
  EXPECT_EQ(model.kv_heads(), 2);
  EXPECT_EQ(model.vocab_size, 96);
  EXPECT_EQ(model.computed_ffn_hidden_dim(), 56);
  EXPECT_EQ(model.max_seq_len, 64);
  EXPECT_EQ(model.norm_eps, 1e-6);
  EXPECT_EQ(model.rope_theta, 10000.0);
  EXPECT_EQ(model.activation, Activation::silu);
  EXPECT_EQ(model.norm_type, NormType::rmsnorm);
  EXPECT_FALSE(model.tie_embeddings);
  EXPECT_FALSE(model.qk_norm);
  EXPECT_EQ(model.num_experts, 0);
}

TEST_F(HuggingFaceConfig, MixtralFields) {
  const ModelConfig model = load(mixtral());
  EXPECT_EQ(model.num_experts, 4);
  EXPECT_EQ(model.moe_top_k, 2);
  EXPECT_EQ(model.moe_frequency, 1);
  EXPECT_EQ(model.moe_router, RouterType::softmax_topk);
  EXPECT_EQ(model.computed_expert_ffn_hidden_dim(), 48);
  EXPECT_EQ(model.rope_theta, 1e6);
  EXPECT_EQ(load(mixtral(), R"({"num_experts_per_tok": 3})").moe_top_k, 3);
}

TEST_F(HuggingFaceConfig, KvHeadsMayBeLeftOutOnlyWhereThatMeansTheSameInEveryVersion) {
  EXPECT_EQ(load(llama(), R"({"num_key_value_heads": null})").kv_heads(), 4);
  for (Json config : {mixtral(), qwen3_moe()}) {
    config["num_key_value_heads"] = nullptr;
    EXPECT_EQ(load(config).kv_heads(), 4);
    expect_rejected(config, R"({"num_key_value_heads": null})", "num_key_value_heads = (missing)");
  }
}

TEST_F(HuggingFaceConfig, RopeThetaAtEitherPlace) {
  EXPECT_EQ(load(llama(), R"({"rope_parameters": null, "rope_theta": 500000.0})").rope_theta, 500000.0);
  EXPECT_EQ(load(llama(), R"({"rope_parameters": null})").rope_theta, 10000.0);
  EXPECT_EQ(load(mixtral(), R"({"rope_parameters": null})").rope_theta, 1e6);
  EXPECT_EQ(load(llama(), R"({"rope_scaling": {"rope_type": "default"}})").rope_theta, 10000.0);
  expect_rejected(llama(), R"({"rope_theta": 5.0})", "rope_theta = 5.0");
}

TEST_F(HuggingFaceConfig, ScaledPositions) {
  EXPECT_EQ(load(llama()).rope_scaling, RopeScaling::none);
  ModelConfig model = load(llama(), R"({"rope_scaling": {"type": "linear", "factor": 2.0}})");
  EXPECT_EQ(model.rope_scaling, RopeScaling::linear);
  EXPECT_EQ(model.rope_factor, 2.0);
  Json given = {{"rope_type", "llama3"},   {"rope_theta", 5e5},
                {"factor", 8.0},           {"low_freq_factor", 1.5},
                {"high_freq_factor", 4.5}, {"original_max_position_embeddings", 32}};
  Json config = llama();
  config["rope_parameters"] = given;
  model = load(config);
  EXPECT_EQ(model.rope_scaling, RopeScaling::llama3);
  EXPECT_EQ(model.rope_theta, 5e5);
  EXPECT_EQ(model.rope_factor, 8.0);
  EXPECT_EQ(model.rope_low_freq_factor, 1.5);
  EXPECT_EQ(model.rope_high_freq_factor, 4.5);
  EXPECT_EQ(model.rope_original_max_seq_len, 32);
  for (const char* needed :
       {"factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    Json without = given;
    without.erase(needed);
    config["rope_parameters"] = without;
    EXPECT_THAT(rejection(config, "{}"), testing::EndsWith(std::string(": needs ") + needed));
  }
  config["rope_parameters"] = given;
  EXPECT_EQ(rejection(config, R"({"rope_parameters": {"low_freq_factor": 5.0}})"),
            "high_freq_factor = 4.5: must be larger than rope_low_freq_factor = 5");
  EXPECT_THAT(rejection(config, R"({"rope_parameters": {"beta_fast": 32}})"),
              testing::EndsWith(": beta_fast = 32 does not exist here"));
  expect_rejected(llama(), R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}})",
                  R"(rope_scaling = {"factor":4.0,"rope_type":"yarn"})");
}

TEST_F(HuggingFaceConfig, AllOfAHeadIsRotatedAndNothingIsScaled) {
  const auto theta = [&](const char* change) { return load(llama(), change).rope_theta; };
  EXPECT_EQ(theta(R"({"partial_rotary_factor": 1.0})"), 10000.0);
  EXPECT_EQ(theta(R"({"rope_parameters": {"partial_rotary_factor": 1.0}})"), 10000.0);
  EXPECT_EQ(theta(R"({"rope_scaling": {"type": "default"}})"), 10000.0);
  EXPECT_EQ(theta(R"({"rope_theta": 10000.0})"), 10000.0);
  expect_rejected(llama(), R"({"partial_rotary_factor": 0.5})", "partial_rotary_factor = 0.5");
  const std::string rest = R"("rope_theta":10000.0,"rope_type":"default"})";
  expect_rejected(llama(), R"({"rope_parameters": {"partial_rotary_factor": 0.5}})",
                  R"(rope_parameters = {"partial_rotary_factor":0.5,)" + rest);
  expect_rejected(llama(), R"({"rope_parameters": {"factor": 8.0}})",
                  R"(rope_parameters = {"factor":8.0,)" + rest);
  expect_rejected(llama(), R"({"rope_parameters": {"rope_theta": 0}})",
                  R"(rope_parameters = {"rope_theta":0,"rope_type":"default"})");
}

TEST_F(HuggingFaceConfig, TiedEmbeddings) {
  EXPECT_TRUE(load(llama(), R"({"tie_word_embeddings": true})").tie_embeddings);
  EXPECT_FALSE(load(llama(), R"({"tie_word_embeddings": null})").tie_embeddings);
}

TEST_F(HuggingFaceConfig, Qwen3HasQkNormWithTheNormsEps) {
  const ModelConfig model = load(llama(), R"({"model_type": "qwen3"})");
  EXPECT_TRUE(model.qk_norm);
  EXPECT_EQ(model.qk_norm_eps, 1e-6);
  EXPECT_EQ(load(llama()).qk_norm_eps, 1e-5);
}

TEST_F(HuggingFaceConfig, Qwen3MoeFields) {
  ModelConfig model = load(qwen3_moe(), R"({"decoder_sparse_step": 2, "num_experts_per_tok": 3})");
  EXPECT_EQ(model.num_experts, 8);
  EXPECT_EQ(model.moe_top_k, 3);
  EXPECT_EQ(model.moe_frequency, 2);
  EXPECT_EQ(model.computed_ffn_hidden_dim(), 56);
  EXPECT_EQ(model.computed_expert_ffn_hidden_dim(), 32);
  model = load(qwen3_moe(), R"({"decoder_sparse_step": null, "mlp_only_layers": null})");
  EXPECT_EQ(model.moe_frequency, 1);
  expect_rejected(qwen3_moe(), R"({"norm_topk_prob": false})", "norm_topk_prob = false");
  expect_rejected(qwen3_moe(), R"({"norm_topk_prob": null})", "norm_topk_prob = (missing)");
  expect_rejected(qwen3_moe(), R"({"mlp_only_layers": [0]})", "mlp_only_layers = [0]");
  EXPECT_EQ(load(qwen3_moe(), R"({"moe_intermediate_size": 40})").computed_expert_ffn_hidden_dim(), 40);
  EXPECT_EQ(load(qwen3_moe(), R"({"num_experts": null, "num_local_experts": 6})").num_experts, 6);
}

TEST_F(HuggingFaceConfig, Qwen2HasBiasesOfQueriesKeysAndValues) {
  const ModelConfig model = load(llama(), R"({"model_type": "qwen2"})");
  EXPECT_TRUE(model.qkv_bias);
  EXPECT_FALSE(model.qk_norm);
  EXPECT_FALSE(load(llama()).qkv_bias);
  EXPECT_FALSE(load(llama(), R"({"model_type": "qwen3"})").qkv_bias);
}

TEST_F(HuggingFaceConfig, ExpertsHaveAnyWidth) {
  const ModelConfig model = load(mixtral(), R"({"intermediate_size": 56})");
  EXPECT_EQ(model.computed_expert_ffn_hidden_dim(), 56);
  EXPECT_EQ(load(mixtral()).moe_ffn_hidden_dim, std::nullopt);  // upstream's rule gives the same
}

TEST_F(HuggingFaceConfig, ForeignPartsAreRejected) {
  expect_rejected(llama(), R"({"model_type": "gpt2"})", "model_type = \"gpt2\"");
  expect_rejected(llama(), R"({"model_type": null})", "model_type = (missing)");
  expect_rejected(llama(), R"({"attention_bias": true})", "attention_bias = true");
  expect_rejected(llama(), R"({"mlp_bias": true})", "mlp_bias = true");
  expect_rejected(llama(), R"({"use_bias": true})", "use_bias = true");
  expect_rejected(llama(), R"({"use_qkv_bias": true})", "use_qkv_bias = true");
  expect_rejected(llama(), R"({"hidden_act": "gelu"})", "hidden_act = \"gelu\"");
  expect_rejected(llama(), R"({"quantization_config": {"bits": 4}})", "quantization_config = {\"bits\":4}");
  expect_rejected(mixtral(), R"({"router_jitter_noise": 0.1})", "router_jitter_noise = 0.1");
}

TEST_F(HuggingFaceConfig, MistralAndMixtralHaveAWindowWhereOneIsGiven) {
  Json mistral = llama();
  mistral["model_type"] = "mistral";
  EXPECT_EQ(load(mistral).sliding_window, 4096);  // its default
  EXPECT_EQ(load(mistral, R"({"sliding_window": 5})").sliding_window, 5);
  EXPECT_EQ(load(mixtral(), R"({"sliding_window": 6})").sliding_window, 6);
  EXPECT_EQ(load(mixtral()).sliding_window, 0);
  mistral["sliding_window"] = nullptr;
  EXPECT_EQ(load(mistral).sliding_window, 0);
  expect_rejected(llama(), R"({"sliding_window": 4096})", "sliding_window = 4096");
}

TEST_F(HuggingFaceConfig, QwenHasAWindowWhereItIsSwitchedOnForAllLayers) {
  Json qwen2 = llama();
  qwen2["model_type"] = "qwen2";
  qwen2["sliding_window"] = 7;
  EXPECT_EQ(load(qwen2).sliding_window, 0);
  EXPECT_EQ(load(qwen2, R"({"use_sliding_window": false})").sliding_window, 0);
  qwen2["use_sliding_window"] = true;
  expect_rejected(qwen2, "{}", "max_window_layers = (missing)");
  expect_rejected(qwen2, R"({"max_window_layers": 1})", "max_window_layers = 1");
  EXPECT_EQ(load(qwen2, R"({"max_window_layers": 0})").sliding_window, 7);
  EXPECT_EQ(load(qwen2, R"({"layer_types": ["sliding_attention", "sliding_attention"]})").sliding_window, 7);
  expect_rejected(qwen2, R"({"layer_types": ["sliding_attention", "full_attention"]})",
                  "layer_types = [\"sliding_attention\",\"full_attention\"]");
  expect_rejected(llama(), R"({"layer_types": ["full_attention", "sliding_attention"]})",
                  "layer_types = [\"full_attention\",\"sliding_attention\"]");
}

TEST_F(HuggingFaceConfig, HeadDimMayBeLeftOut) {
  EXPECT_EQ(load(llama(), R"({"head_dim": null})").computed_head_dim(), 8);
  // Of Qwen3 the default is 128, whatever the width.
  Json qwen3 = llama();
  qwen3["model_type"] = "qwen3";
  qwen3.erase("head_dim");
  EXPECT_EQ(load(qwen3).computed_head_dim(), 128);
  EXPECT_EQ(load(llama(), R"({"head_dim": 16})").head_dim, 16);
  EXPECT_EQ(load(llama(), R"({"head_dim": 8})").head_dim, std::nullopt);  // as it is without
  expect_rejected(llama(), R"({"head_dim": 7})", "head_dim = 7");
}

TEST_F(HuggingFaceConfig, SizesAreNeeded) {
  for (const char* field : {"hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size",
                            "intermediate_size", "max_position_embeddings", "rms_norm_eps"}) {
    expect_rejected(llama(), ("{\"" + std::string(field) + "\": null}").c_str(), std::string(field));
  }
  const std::string rule = "hidden_size: expected an integer from 1 to 2147483647, got ";
  for (const std::string size : {"32.0", "-32", "0", "2147483648", "18446744073709551615", "\"32\""}) {
    EXPECT_EQ(rejection(llama(), ("{\"hidden_size\": " + size + "}").c_str()), rule + size);
  }
  expect_rejected(llama(), R"({"num_key_value_heads": 3})", "num_key_value_heads = 3");
}

TEST_F(HuggingFaceConfig, AWrongTypeIsNamedWithItsPath) {
  EXPECT_EQ(rejection(llama(), R"({"rms_norm_eps": "small"})"),
            "rms_norm_eps: expected a number, got \"small\"");
  EXPECT_EQ(rejection(llama(), R"({"tie_word_embeddings": 1})"),
            "tie_word_embeddings: expected true or false, got 1");
  EXPECT_EQ(rejection(llama(), R"({"rope_scaling": 3})"), "rope_scaling: expected an object, got 3");
  EXPECT_EQ(rejection(llama(), R"({"rope_scaling": {"rope_theta": "x"}})"),
            "rope_scaling.rope_theta: expected a number, got \"x\"");
  EXPECT_EQ(rejection(llama(), R"({"layer_types": ["full_attention", 3]})"),
            "layer_types[1]: expected a text, got 3");
  EXPECT_EQ(rejection(qwen3_moe(), R"({"mlp_only_layers": 3})"), "mlp_only_layers: expected a list, got 3");
}

TEST_F(HuggingFaceConfig, BrokenFilesAreFormatErrors) {
  EXPECT_THROW(load_hf_config(directory_.write("config.json", "{\"hidden_size\": ")), FormatError);
  EXPECT_THROW(load_hf_config(directory_.write("config.json", "[]")), FormatError);
  EXPECT_THROW(load_hf_config(directory_.path() / "none.json"), FormatError);
  EXPECT_THROW(load_hf_config(directory_.path()), FormatError);
}

// Every name, from transformers' modeling_{llama,mixtral,qwen2,qwen3,qwen3_moe}.py.
TEST(HuggingFaceNames, KnownNames) {
  const std::vector<std::pair<std::string, std::string>> of_model = {
      {"model.embed_tokens.weight", "token_embedding.embedding.weight"},
      {"model.norm.weight", "norm.weight"},
      {"lm_head.weight", "output_head.proj.weight"},
  };
  for (const auto& [hf, own] : of_model) {
    EXPECT_EQ(kempnerforge_name(hf), own);
    EXPECT_EQ(hugging_face_name(own, false), hf);
  }
  EXPECT_EQ(hugging_face_name("adapter.proj.weight", false), "adapter.proj.weight");
  const std::vector<std::pair<std::string, std::string>> of_layer = {
      {"input_layernorm.weight", "attention_norm.weight"},
      {"self_attn.q_proj.weight", "attention.q_proj.weight"},
      {"self_attn.k_proj.weight", "attention.k_proj.weight"},
      {"self_attn.v_proj.weight", "attention.v_proj.weight"},
      {"self_attn.o_proj.weight", "attention.o_proj.weight"},
      {"self_attn.q_proj.bias", "attention.q_proj.bias"},
      {"self_attn.k_proj.bias", "attention.k_proj.bias"},
      {"self_attn.v_proj.bias", "attention.v_proj.bias"},
      {"self_attn.q_norm.weight", "attention.q_norm.weight"},
      {"self_attn.k_norm.weight", "attention.k_norm.weight"},
      {"post_attention_layernorm.weight", "mlp_norm.weight"},
      {"mlp.gate_proj.weight", "mlp.gate_proj.weight"},
      {"mlp.up_proj.weight", "mlp.up_proj.weight"},
      {"mlp.down_proj.weight", "mlp.down_proj.weight"},
      {"block_sparse_moe.gate.weight", "mlp.router.gate.weight"},
      {"block_sparse_moe.experts.7.w1.weight", "mlp.experts.7.gate_proj.weight"},
      {"block_sparse_moe.experts.7.w2.weight", "mlp.experts.7.down_proj.weight"},
      {"block_sparse_moe.experts.7.w3.weight", "mlp.experts.7.up_proj.weight"},
      {"mlp.gate.weight", "mlp.router.gate.weight"},
      {"mlp.experts.10.gate_proj.weight", "mlp.experts.10.gate_proj.weight"},
      {"mlp.experts.10.up_proj.weight", "mlp.experts.10.up_proj.weight"},
      {"mlp.experts.10.down_proj.weight", "mlp.experts.10.down_proj.weight"},
  };
  for (const auto& [hf, own] : of_layer) {
    EXPECT_EQ(kempnerforge_name("model.layers.0." + hf), "layers.0." + own);
    EXPECT_EQ(kempnerforge_name("model.layers.12." + hf), "layers.12." + own);
    EXPECT_EQ(hugging_face_name("layers.12." + own, hf.starts_with("block_sparse_moe.")),
              "model.layers.12." + hf);
  }
}

TEST(HuggingFaceNames, UnknownNamesAreEmpty) {
  for (const char* name :
       {"", "model.layers", "model.layers.", "model.layers.0", "model.layers.0.",
        "model.layers.x.input_layernorm.weight", "model.layers.00.input_layernorm.weight",
        "model.layers.0.self_attn.o_proj.bias", "embed_tokens.weight",
        "model.layers.0.mlp.experts.0.w1.weight", "model.layers.0.block_sparse_moe.experts.0.up_proj.weight",
        "model.layers.0.mlp.experts.up_proj.weight", "model.layers.0.self_attn.rotary_emb.inv_freq"}) {
    EXPECT_EQ(kempnerforge_name(name), "") << name;
  }
}

}  // namespace
}  // namespace forgecheck
