#include "reference/models/init.h"

#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

std::vector<double> values(const ParameterTable& table, const std::string& name) {
  return numbers(table.at(name).to<double>());
}

double standard_deviation(const std::vector<double>& sample) {
  double squares = 0;
  for (const double x : sample) squares += x * x;
  return std::sqrt(squares / static_cast<double>(sample.size()));
}

/// Within five standard errors, std / sqrt(2 n) each.
void expect_normal(const ParameterTable& table, const std::string& name, double deviation) {
  const auto sample = values(table, name);
  const auto n = static_cast<double>(sample.size());
  ASSERT_GE(n, 4000);
  EXPECT_NEAR(standard_deviation(sample), deviation, 5 * deviation / std::sqrt(2 * n)) << name;
  double sum = 0;
  for (const double x : sample) sum += x;
  EXPECT_NEAR(sum / n, 0, 5 * deviation / std::sqrt(n)) << name;
}

Architecture wide() {
  Architecture architecture = small_text();
  architecture.model.dim = 64;
  architecture.model.n_layers = 8;  // sqrt(2 L) = 4
  architecture.model.n_heads = 4;
  architecture.model.n_kv_heads = 4;
  architecture.model.vocab_size = 128;
  architecture.model.ffn_hidden_dim = 96;
  architecture.model.init_std = 0.02;
  return architecture;
}

TEST(Initialize, HasEveryParameterInFloat32) {
  for (const Architecture& architecture : {small_moe(RouterType::sigmoid_topk), small_vlm(VlmArch::mot),
                                           small_vlm(VlmArch::moma), small_vlm(VlmArch::cross_attention)}) {
    const ParameterTable table = initialize(architecture, 1);
    EXPECT_EQ(table.size(), all_parameters(architecture).size());
    for (const ParameterInfo& info : all_parameters(architecture)) {
      EXPECT_EQ(table.at(info.name).shape(), info.shape) << info.name;
      EXPECT_EQ(table.at(info.name).dtype(), Dtype::f32) << info.name;
    }
  }
}

TEST(Initialize, SeedRepeatsAndEveryTensorIsItsOwn) {
  const ParameterTable first = initialize(small_text(), 7), again = initialize(small_text(), 7);
  const ParameterTable other = initialize(small_text(), 8);
  for (const auto& [name, value] : first) EXPECT_EQ(values(again, name), values(first, name)) << name;
  const std::string name = "layers.0.attention.q_proj.weight";
  EXPECT_NE(values(other, name), values(first, name));
  EXPECT_NE(values(first, "layers.1.attention.q_proj.weight"), values(first, name));
}

TEST(Initialize, WeightsAreNormalAndResidualProjectionsSmaller) {
  const ParameterTable table = initialize(wide(), 3);
  expect_normal(table, "token_embedding.embedding.weight", 0.02);
  expect_normal(table, "output_head.proj.weight", 0.02);
  expect_normal(table, "layers.0.attention.q_proj.weight", 0.02);
  expect_normal(table, "layers.0.mlp.gate_proj.weight", 0.02);
  expect_normal(table, "layers.5.attention.o_proj.weight", 0.005);
  expect_normal(table, "layers.5.mlp.down_proj.weight", 0.005);
}

TEST(Initialize, PackedExpertsAllHaveInitStd) {
  Architecture architecture = wide();
  architecture.model.num_experts = 2;
  const ParameterTable unpacked = initialize(architecture, 3);
  expect_normal(unpacked, "layers.0.mlp.experts.1.down_proj.weight", 0.005);
  expect_normal(unpacked, "layers.0.mlp.experts.1.up_proj.weight", 0.02);
  architecture.model.moe_packed_experts = true;
  const ParameterTable packed = initialize(architecture, 3);
  for (const char* name : {"up_w", "gate_w", "down_w"}) {
    expect_normal(packed, "layers.0.mlp." + std::string(name), 0.02);
  }
}

TEST(Initialize, NormsAreOneAndBiasesZero) {
  Architecture architecture = small_moe(RouterType::sigmoid_topk);
  architecture.model.norm_type = NormType::layernorm;
  architecture.model.qk_norm = true;
  const ParameterTable table = initialize(architecture, 1);
  EXPECT_EQ(values(table, "layers.1.mlp_norm.weight"), std::vector<double>(8, 1));
  EXPECT_EQ(values(table, "layers.1.mlp_norm.bias"), std::vector<double>(8, 0));
  EXPECT_EQ(values(table, "layers.1.attention.q_norm.weight"), std::vector<double>(4, 1));
  EXPECT_EQ(values(table, "layers.1.mlp.router.expert_bias"), std::vector<double>(4, 0));
  EXPECT_EQ(values(table, "layers.1.mlp.router.expert_ema"), std::vector<double>(4, 0.25));
}

TEST(Initialize, AdapterIsUniformByItsInputWidth) {
  Architecture architecture = wide();
  architecture.vlm.emplace();
  architecture.adapter.emplace();
  architecture.feature_dim = 100;  // bounds 1/10 for proj1, 1/8 for proj2
  const ParameterTable table = initialize(architecture, 1);
  for (const auto& [module, bound] : {std::pair("proj1", 0.1), std::pair("proj2", 0.125)}) {
    const std::string name = "adapter." + std::string(module);
    const auto weight = values(table, name + ".weight"), bias = values(table, name + ".bias");
    const auto [low, high] = std::minmax_element(weight.begin(), weight.end());
    EXPECT_LE(*high, bound + 1e-8);
    EXPECT_GE(*low, -bound - 1e-8);
    EXPECT_GT(*high, 0.99 * bound);
    EXPECT_LT(*low, -0.99 * bound);
    EXPECT_NEAR(standard_deviation(weight), bound / std::sqrt(3.0), 0.05 * bound);
    for (const double x : bias) EXPECT_LE(std::fabs(x), bound + 1e-8);
    EXPECT_GT(standard_deviation(bias), 0.2 * bound);
  }
}

TEST(Initialize, FreshCrossAttentionBlocksAreTheIdentity) {
  const Architecture architecture = small_vlm(VlmArch::cross_attention);
  const ParameterTable table = initialize(architecture, 5);
  EXPECT_EQ(values(table, "cross_attention_layers.0.attn.o_proj.weight"), std::vector<double>(64, 0));
  EXPECT_EQ(values(table, "cross_attention_layers.0.mlp.down_proj.weight"), std::vector<double>(96, 0));
  EXPECT_GT(standard_deviation(values(table, "cross_attention_layers.0.attn.q_proj.weight")), 0);
  Weights<double> weights(table, Dtype::f32);
  Inputs inputs = token_inputs({1, 4}, {1, 2, 3, 4});
  const auto text = run_model(small_text(), weights, inputs).logits;
  inputs.image_features = random_input("images", {1, 3, 8});
  EXPECT_TRUE(identical(run_model(architecture, weights, inputs).logits, text));
}

TEST(Initialize, FreshMotBlocksAreTheIdentity) {
  const Architecture architecture = small_vlm(VlmArch::mot);
  Weights<double> weights(initialize(architecture, 5), Dtype::f32);
  Inputs inputs = token_inputs({1, 4}, {1, 2, 3, 4});
  inputs.prefix_embeds = random_input("images", {1, 3, 8});
  inputs.modality_ids = integers({1, 7}, {0, 0, 0, 1, 1, 1, 1});
  const auto outcome = run_model(architecture, weights, inputs);
  EXPECT_EQ(numbers(outcome.tap("layers.2.text")), numbers(outcome.tap("token_embedding")));
  EXPECT_EQ(numbers(outcome.tap("layers.2.image")), numbers(inputs.prefix_embeds->to<double>()));
}

TEST(Initialize, ExpertsInsideMotAreNotZero) {
  Architecture architecture = small_vlm(VlmArch::mot);
  architecture.model.num_experts = 2;
  architecture.model.moe_frequency = 2;
  const ParameterTable table = initialize(architecture, 5);
  EXPECT_GT(standard_deviation(values(table, "layers.1.mlp.image.experts.0.down_proj.weight")), 0);
  EXPECT_EQ(standard_deviation(values(table, "layers.0.mlp.image.down_proj.weight")), 0);
  EXPECT_EQ(standard_deviation(values(table, "layers.1.attn.o_proj.text.weight")), 0);
}

class WarmStart : public testing::Test {
 protected:
  WarmStart() {
    architecture_.model.qk_norm = text_.model.qk_norm = true;
    source_ = seeded_parameters(text_);
    target_ = initialize(architecture_, 5);
  }
  Architecture architecture_ = small_vlm(VlmArch::mot), text_ = small_text();
  ParameterTable source_, target_;
};

TEST_F(WarmStart, CopiesEveryBlockIntoEveryModality) {
  mot_warm_start(architecture_, target_, source_);
  for (const std::string modality : {"image", "text"}) {
    const std::pair<std::string, std::string> copies[] = {
        {"layers.2.attention_norm.weight", "layers.2.attn_norm." + modality + ".weight"},
        {"layers.0.attention.o_proj.weight", "layers.0.attn.o_proj." + modality + ".weight"},
        {"layers.0.attention.k_proj.weight", "layers.0.attn.k_proj." + modality + ".weight"},
        {"layers.1.attention.q_norm.weight", "layers.1.attn.q_norm." + modality + ".weight"},
        {"layers.1.mlp_norm.weight", "layers.1.mlp_norm." + modality + ".weight"},
        {"layers.1.mlp.down_proj.weight", "layers.1.mlp." + modality + ".down_proj.weight"},
        {"norm.weight", "mot_norms." + modality + ".weight"}};
    for (const auto& [from, to] : copies) EXPECT_EQ(values(target_, to), values(source_, from)) << to;
  }
  // Not part of the blocks: they are loaded separately.
  EXPECT_NE(values(target_, "output_head.proj.weight"), values(source_, "output_head.proj.weight"));
}

TEST_F(WarmStart, IsIdempotentAndTakesThePrefix) {
  mot_warm_start(architecture_, target_, source_);
  const ParameterTable once = target_;
  mot_warm_start(architecture_, target_, source_);
  for (const auto& [name, value] : once) EXPECT_EQ(values(target_, name), values(once, name)) << name;
  ParameterTable prefixed;
  for (const auto& [name, value] : source_) prefixed.emplace("transformer." + name, value);
  target_ = initialize(architecture_, 5);
  mot_warm_start(architecture_, target_, prefixed);
  for (const auto& [name, value] : once) EXPECT_EQ(values(target_, name), values(once, name)) << name;
}

TEST_F(WarmStart, ShapeMismatchLeavesTheTargetUntouched) {
  const ParameterTable before = target_;
  source_.at("layers.2.mlp.up_proj.weight") = Array::from(Tensor<float>({13, 8}));
  EXPECT_EQ(
      message_of([&] { mot_warm_start(architecture_, target_, source_); }),
      "[mot_warm_start] layers.2.mlp.up_proj.weight for layers.2.mlp.image.up_proj.weight has shape 13x8, "
      "expected 12x8");
  for (const auto& [name, value] : before) EXPECT_EQ(values(target_, name), values(before, name)) << name;
}

TEST_F(WarmStart, SkipsMoeFeedForwardsAndAbsentNames) {
  architecture_.model.num_experts = 2;
  architecture_.model.moe_frequency = 2;
  target_ = initialize(architecture_, 5);
  const ParameterTable before = target_;
  source_.erase("norm.weight");
  mot_warm_start(architecture_, target_, source_);
  for (const std::string name : {"layers.1.mlp.text.experts.0.up_proj.weight",
                                 "layers.1.mlp.text.router.gate.weight", "mot_norms.text.weight"}) {
    EXPECT_EQ(values(target_, name), values(before, name)) << name;
  }
  EXPECT_EQ(values(target_, "layers.0.mlp.text.up_proj.weight"),
            values(source_, "layers.0.mlp.up_proj.weight"));
  EXPECT_EQ(values(target_, "layers.1.attn.q_proj.text.weight"),
            values(source_, "layers.1.attention.q_proj.weight"));
}

TEST_F(WarmStart, OtherArchitecturesAreLeftAlone) {
  ParameterTable dense = initialize(text_, 5);
  const ParameterTable before = dense;
  mot_warm_start(text_, dense, source_);
  for (const auto& [name, value] : before) EXPECT_EQ(values(dense, name), values(before, name)) << name;
}

}  // namespace
}  // namespace forgecheck
