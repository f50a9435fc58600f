// Compares the tables of names and shapes with those of upstream's modules (tests/data/configs/params.json,
// recorded from KempnerForge on the meta device), and tests where the table depends on a field.
#include "reference/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "harness/io/sha256.h"
#include "harness/io/toml_config.h"

namespace forgecheck {
namespace {

const std::filesystem::path kConfigs = std::filesystem::path(FORGECHECK_SOURCE_DIR) / "tests/data/configs";

nlohmann::json recorded_tables() {
  std::ifstream file(kConfigs / "params.json");
  return nlohmann::json::parse(file);
}

/// The sorted lines "name AxBxC", joined by newlines.
std::string table_text(const std::vector<ParameterInfo>& parameters) {
  std::vector<std::string> lines;
  for (const auto& info : parameters) lines.push_back(info.name + " " + to_string(info.shape));
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const auto& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

std::map<std::string, ParameterInfo> by_name(const std::vector<ParameterInfo>& parameters) {
  std::map<std::string, ParameterInfo> table;
  for (const auto& info : parameters) {
    EXPECT_TRUE(table.emplace(info.name, info).second) << info.name << " is listed twice";
  }
  return table;
}

Architecture small() {
  Architecture architecture;
  architecture.model.dim = 32;
  architecture.model.n_layers = 2;
  architecture.model.n_heads = 4;
  architecture.model.n_kv_heads = 2;
  architecture.model.vocab_size = 61;
  architecture.model.ffn_hidden_dim = 48;
  architecture.model.max_seq_len = 1024;
  return architecture;
}

class UpstreamConfig : public testing::TestWithParam<std::string> {};

TEST_P(UpstreamConfig, TableIsUpstreams) {
  const nlohmann::json recorded = recorded_tables().at(GetParam());
  const Architecture architecture = load_toml_config(kConfigs / GetParam());
  const std::string arch = architecture.vlm ? arch_name(architecture) : "text";
  EXPECT_EQ(arch, recorded.at("arch").get<std::string>());
  const std::vector<ParameterInfo> parameters = model_parameters(architecture);
  EXPECT_EQ(parameters.size(), recorded.at("tensors").get<std::size_t>());
  std::int64_t count = 0;
  for (const auto& info : parameters) count += element_count(info.shape);
  EXPECT_EQ(count, recorded.at("parameters").get<std::int64_t>());
  const std::string text = table_text(parameters);
  EXPECT_EQ(sha256_hex(std::as_bytes(std::span(text))), recorded.at("sha256_of_table").get<std::string>());
}

std::vector<std::string> config_files() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(kConfigs)) {
    if (entry.path().extension() == ".toml") names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string test_name(const testing::TestParamInfo<std::string>& file) {
  return std::filesystem::path(file.param).stem().string();
}
INSTANTIATE_TEST_SUITE_P(Parameters, UpstreamConfig, testing::ValuesIn(config_files()), test_name);

TEST(Parameters, EveryRecordedConfigIsHere) {
  std::vector<std::string> recorded;
  const nlohmann::json tables = recorded_tables();
  for (const auto& [name, table] : tables.items()) recorded.push_back(name);
  EXPECT_EQ(config_files(), recorded);
  EXPECT_GE(recorded.size(), 30U);
}

TEST(Parameters, OrderIsUpstreamsModules) {
  Architecture architecture = small();
  architecture.model.n_layers = 1;
  architecture.model.qk_norm = true;
  const std::vector<std::string> expected = {"token_embedding.embedding.weight",
                                             "layers.0.attention_norm.weight",
                                             "layers.0.attention.q_proj.weight",
                                             "layers.0.attention.k_proj.weight",
                                             "layers.0.attention.v_proj.weight",
                                             "layers.0.attention.o_proj.weight",
                                             "layers.0.attention.q_norm.weight",
                                             "layers.0.attention.k_norm.weight",
                                             "layers.0.mlp_norm.weight",
                                             "layers.0.mlp.gate_proj.weight",
                                             "layers.0.mlp.up_proj.weight",
                                             "layers.0.mlp.down_proj.weight",
                                             "norm.weight",
                                             "output_head.proj.weight"};
  std::vector<std::string> names;
  for (const auto& info : model_parameters(architecture)) names.push_back(info.name);
  EXPECT_EQ(names, expected);
}

// A module's own parameters and buffers stand before its children.
TEST(Parameters, AMixturesOrderIsUpstreamsModules) {
  Architecture architecture = small();
  ModelConfig& model = architecture.model;
  model.n_layers = 1;
  model.num_experts = 1;
  model.moe_top_k = 1;
  model.moe_router = RouterType::sigmoid_topk;
  model.moe_shared_experts = 1;
  const auto names_of_mlp = [&] {
    const std::string prefix = "layers.0.mlp.";
    std::vector<std::string> names;
    for (const auto& info : model_parameters(architecture)) {
      if (info.name.starts_with(prefix)) names.push_back(info.name.substr(prefix.size()));
    }
    return names;
  };
  std::vector<std::string> expected = {"router.expert_bias",           "router.expert_ema",
                                       "router.gate.weight",           "shared_expert.gate_proj.weight",
                                       "shared_expert.up_proj.weight", "shared_expert.down_proj.weight",
                                       "experts.0.gate_proj.weight",   "experts.0.up_proj.weight",
                                       "experts.0.down_proj.weight"};
  EXPECT_EQ(names_of_mlp(), expected);
  model.moe_packed_experts = true;
  expected.resize(6);
  expected.insert(expected.begin(), {"up_w", "down_w", "gate_w"});
  EXPECT_EQ(names_of_mlp(), expected);
}

TEST(Parameters, GroupedQueryShapes) {
  const auto table = by_name(model_parameters(small()));
  EXPECT_EQ(table.at("layers.1.attention.q_proj.weight").shape, (Shape{32, 32}));
  EXPECT_EQ(table.at("layers.1.attention.k_proj.weight").shape, (Shape{16, 32}));
  EXPECT_EQ(table.at("layers.1.attention.o_proj.weight").shape, (Shape{32, 32}));
  EXPECT_EQ(table.at("layers.1.mlp.down_proj.weight").shape, (Shape{32, 48}));
}

TEST(Parameters, HeadsOfAWidthOfTheirOwn) {
  Architecture architecture = small();
  architecture.model.head_dim = 10;
  architecture.model.qk_norm = true;
  const auto table = by_name(model_parameters(architecture));
  EXPECT_EQ(table.at("layers.1.attention.q_proj.weight").shape, (Shape{40, 32}));
  EXPECT_EQ(table.at("layers.1.attention.k_proj.weight").shape, (Shape{20, 32}));
  EXPECT_EQ(table.at("layers.1.attention.o_proj.weight").shape, (Shape{32, 40}));
  EXPECT_EQ(table.at("layers.1.attention.q_norm.weight").shape, (Shape{10}));
}

TEST(Parameters, BiasesOfQueriesKeysAndValues) {
  Architecture architecture = small();
  const std::size_t without = model_parameters(architecture).size();
  architecture.model.qkv_bias = true;
  const auto table = by_name(model_parameters(architecture));
  EXPECT_EQ(table.size(), without + 6);  // of two layers
  EXPECT_EQ(table.at("layers.1.attention.q_proj.bias").shape, (Shape{32}));
  EXPECT_EQ(table.at("layers.1.attention.v_proj.bias").shape, (Shape{16}));
  EXPECT_EQ(table.at("layers.1.attention.k_proj.bias").kind, ParameterKind::linear_bias);
}

TEST(Parameters, ExpertsOfAWidthOfTheirOwn) {
  Architecture architecture = small();
  architecture.model.num_experts = 4;
  architecture.model.moe_ffn_hidden_dim = 7;
  EXPECT_EQ(by_name(model_parameters(architecture)).at("layers.1.mlp.experts.3.down_proj.weight").shape,
            (Shape{32, 7}));
}

TEST(Parameters, LayerNormHasBiasesAndGeluHasNoGate) {
  Architecture architecture = small();
  architecture.model.norm_type = NormType::layernorm;
  architecture.model.activation = Activation::gelu;
  architecture.model.qk_norm = true;
  const auto table = by_name(model_parameters(architecture));
  EXPECT_EQ(table.at("layers.0.attention_norm.bias").kind, ParameterKind::norm_bias);
  EXPECT_TRUE(table.contains("norm.bias"));
  EXPECT_FALSE(table.contains("layers.0.attention.q_norm.bias"));  // always RMSNorm
  EXPECT_FALSE(table.contains("layers.0.mlp.gate_proj.weight"));
}

TEST(Parameters, TiedHeadIsNotListed) {
  Architecture architecture = small();
  const std::size_t untied = model_parameters(architecture).size();
  architecture.model.tie_embeddings = true;
  EXPECT_EQ(model_parameters(architecture).size(), untied - 1);
  EXPECT_FALSE(by_name(model_parameters(architecture)).contains("output_head.proj.weight"));
}

TEST(Parameters, SigmoidRouterHasBiasAndBuffer) {
  Architecture architecture = small();
  architecture.model.num_experts = 4;
  architecture.model.moe_frequency = 2;
  architecture.model.moe_shared_experts = 3;
  EXPECT_FALSE(by_name(model_parameters(architecture)).contains("layers.1.mlp.router.expert_bias"));
  architecture.model.moe_router = RouterType::sigmoid_topk;
  const auto table = by_name(model_parameters(architecture));
  EXPECT_TRUE(table.at("layers.1.mlp.router.expert_ema").is_buffer());
  EXPECT_FALSE(table.at("layers.1.mlp.router.expert_bias").is_buffer());
  EXPECT_EQ(table.at("layers.1.mlp.router.gate.weight").kind, ParameterKind::router_gate);
  EXPECT_TRUE(table.contains("layers.1.mlp.experts.3.down_proj.weight"));
  EXPECT_TRUE(table.contains("layers.1.mlp.shared_expert.gate_proj.weight"));  // three are one
  EXPECT_TRUE(table.contains("layers.0.mlp.gate_proj.weight"));                // layer 0 is dense
}

TEST(Parameters, PackedExpertsAreTransposed) {
  Architecture architecture = small();
  architecture.model.num_experts = 4;
  architecture.model.moe_packed_experts = true;
  const auto table = by_name(model_parameters(architecture));
  EXPECT_EQ(table.at("layers.0.mlp.up_w").shape, (Shape{4, 32, 48}));
  EXPECT_EQ(table.at("layers.0.mlp.gate_w").shape, (Shape{4, 32, 48}));
  EXPECT_EQ(table.at("layers.0.mlp.down_w").shape, (Shape{4, 48, 32}));
  EXPECT_EQ(table.at("layers.0.mlp.down_w").kind, ParameterKind::packed_linear);
  EXPECT_FALSE(table.contains("layers.0.mlp.experts.0.up_proj.weight"));
}

TEST(Parameters, CrossAttentionBlocksHaveOwnHeadsAndNoQkNorm) {
  Architecture architecture = small();
  architecture.model.n_layers = 5;
  architecture.model.qk_norm = true;
  architecture.vlm.emplace().arch = VlmArch::cross_attention;
  architecture.vlm->cross_attention_every_n_layers = 2;
  architecture.vlm->cross_attention_n_heads = 8;
  architecture.vlm->cross_attention_n_kv_heads = 2;
  const auto table = by_name(model_parameters(architecture));
  EXPECT_EQ(table.at("cross_attention_layers.1.attn.k_proj.weight").shape, (Shape{8, 32}));
  EXPECT_FALSE(table.contains("cross_attention_layers.2.attn.k_proj.weight"));
  EXPECT_FALSE(table.contains("cross_attention_layers.0.attn.q_norm.weight"));
}

TEST(Parameters, MotCopiesEachPartPerModality) {
  Architecture architecture = small();
  architecture.vlm.emplace().arch = VlmArch::mot;
  architecture.model.num_experts = 2;
  architecture.model.moe_frequency = 2;
  architecture.model.qk_norm = true;
  const auto table = by_name(model_parameters(architecture));
  for (const char* name :
       {"layers.0.attn_norm.image.weight", "layers.0.attn.o_proj.text.weight",
        "layers.0.mlp.text.up_proj.weight", "layers.0.attn.k_norm.image.weight",
        "layers.1.mlp.image.router.gate.weight", "layers.1.mlp.text.experts.1.down_proj.weight",
        "mot_norms.text.weight", "norm.weight"}) {
    EXPECT_TRUE(table.contains(name)) << name;
  }
}

TEST(Parameters, MomaHasExpertsPerModality) {
  Architecture architecture = small();
  architecture.vlm.emplace().arch = VlmArch::moma;
  architecture.vlm->moma_experts_per_modality = {{"image", 2}, {"text", 3}};
  const auto table = by_name(model_parameters(architecture));
  EXPECT_EQ(table.at("layers.0.mlp.experts.text.router.gate.weight").shape, (Shape{3, 32}));
  EXPECT_EQ(table.at("layers.1.mlp.experts.image.experts.1.up_proj.weight").shape, (Shape{48, 32}));
  EXPECT_FALSE(table.contains("layers.1.mlp.experts.image.experts.2.up_proj.weight"));
}

TEST(Parameters, AdapterExistsOnlyWithFeatures) {
  Architecture architecture = small();
  architecture.vlm.emplace();
  architecture.adapter.emplace();
  EXPECT_TRUE(adapter_parameters(architecture).empty());
  architecture.feature_dim = 20;
  auto table = by_name(adapter_parameters(architecture));
  EXPECT_EQ(table.at("adapter.proj1.weight").shape, (Shape{32, 20}));  // hidden_dim 0 is dim
  EXPECT_EQ(table.at("adapter.proj2.bias").shape, (Shape{32}));
  architecture.adapter->hidden_dim = 28;
  table = by_name(adapter_parameters(architecture));
  EXPECT_EQ(table.at("adapter.proj2.weight").shape, (Shape{32, 28}));
  architecture.adapter->type = AdapterType::avgpool;
  EXPECT_EQ(by_name(adapter_parameters(architecture)).at("adapter.proj.weight").shape, (Shape{32, 20}));
  architecture.adapter->type = AdapterType::attentional_pool;
  table = by_name(adapter_parameters(architecture));
  EXPECT_EQ(table.at("adapter.o_proj.weight").shape, (Shape{20, 20}));
  EXPECT_EQ(table.at("adapter.out_proj.weight").shape, (Shape{32, 20}));
  EXPECT_EQ(table.size(), 10U);
  EXPECT_EQ(all_parameters(architecture).size(), model_parameters(architecture).size() + 10);
}

}  // namespace
}  // namespace forgecheck
