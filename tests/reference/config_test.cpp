// Derived sizes, and one test for every rule that rejects a [model] section.
#include <tuple>
#include <vector>

#include "tests/reference/config_rejection.h"

namespace forgecheck {
namespace {

TEST(ModelConfig, DefaultsAreUpstreams) {
  const ModelConfig model;
  EXPECT_EQ(model.kv_heads(), 32);
  EXPECT_EQ(model.computed_head_dim(), 128);
  EXPECT_EQ(model.computed_ffn_hidden_dim(), 11008);
  EXPECT_EQ(model.computed_expert_ffn_hidden_dim(), 11008);
  EXPECT_FALSE(model.is_moe_layer(0));
  EXPECT_EQ(rejection({}, [](Architecture&) {}), "");
}

// Values of upstream's property for (dim, ffn_dim_multiplier).
TEST(ModelConfig, FfnWidthIsRoundedUpTo256) {
  const std::vector<std::tuple<std::int64_t, double, std::int64_t>> cases = {
      {4096, 1.3, 14336}, {5120, 1.3, 17920}, {24, 1.0, 256},     {96, 1.0, 256},
      {104, 1.3, 512},    {2048, 1.3, 7168},  {8192, 1.0, 22016}, {1, 1.0, 256}};
  for (const auto& [dim, multiplier, width] : cases) {
    ModelConfig model;
    model.dim = dim;
    model.ffn_dim_multiplier = multiplier;
    EXPECT_EQ(model.computed_ffn_hidden_dim(), width) << "dim = " << dim << ", multiplier = " << multiplier;
  }
}

TEST(ModelConfig, FfnHiddenDimIsTakenAsItIs) {
  ModelConfig model = small_model();
  model.ffn_hidden_dim = 41;
  model.ffn_dim_multiplier = 7.0;
  EXPECT_EQ(model.computed_ffn_hidden_dim(), 41);
}

TEST(ModelConfig, ExpertWidthRoundsHalfToEven) {
  const std::vector<std::tuple<std::int64_t, double, std::int64_t>> cases = {
      {72, 1.0, 64}, {88, 1.0, 96}, {57, 1.0, 64}, {56, 1.0, 64}, {40, 1.0, 32},      {24, 1.0, 32},
      {80, 0.5, 32}, {57, 0.5, 32}, {8, 1.0, 16},  {1, 1.0, 16},  {11008, 0.5, 5504}, {71, 1.0, 64}};
  for (const auto& [ffn, multiplier, width] : cases) {
    ModelConfig model = small_model();
    model.ffn_hidden_dim = ffn;
    model.moe_expert_ffn_multiplier = multiplier;
    EXPECT_EQ(model.computed_expert_ffn_hidden_dim(), width) << "F = " << ffn << ", times " << multiplier;
  }
}

TEST(ModelConfig, MoeLayersCountFromOne) {
  ModelConfig model = small_model();
  model.num_experts = 4;
  model.moe_frequency = 3;
  EXPECT_FALSE(model.is_moe_layer(0));
  EXPECT_TRUE(model.is_moe_layer(2));
  EXPECT_FALSE(model.is_moe_layer(3));
  EXPECT_TRUE(model.is_moe_layer(5));
}

TEST(ModelConfig, SizesMustBePositive) {
  EXPECT_REJECTED(small(), a.model.dim = -3, "model.dim = -3");
  EXPECT_REJECTED(small(), a.model.dim = 0, "model.dim = 0");
  EXPECT_REJECTED(small(), a.model.n_layers = 0, "model.n_layers = 0");
  EXPECT_REJECTED(small(), a.model.n_heads = -1, "model.n_heads = -1");
  EXPECT_REJECTED(small(), a.model.vocab_size = 0, "model.vocab_size = 0");
  EXPECT_REJECTED(small(), a.model.n_kv_heads = 0, "model.n_kv_heads = 0");
  EXPECT_REJECTED(small(), a.model.max_seq_len = 0, "model.max_seq_len = 0");
  EXPECT_REJECTED(small(), a.model.ffn_hidden_dim = 0, "model.ffn_hidden_dim = 0");
  EXPECT_REJECTED(small(), a.model.num_experts = -2, "model.num_experts = -2");
}

TEST(ModelConfig, HeadsMustDivide) {
  EXPECT_REJECTED(small(), a.model.n_heads = 5, "model.n_heads = 5");
  EXPECT_REJECTED(small(), a.model.n_kv_heads = 3, "model.n_kv_heads = 3");
  EXPECT_REJECTED(small(), a.model.n_kv_heads = 8, "model.n_kv_heads = 8");
  EXPECT_REJECTED(small(), a.model.dim = 20, "model.dim = 20");  // head_dim 5 is odd
  EXPECT_REJECTED(small(), a.model.n_heads = 32, "model.dim = 32");
}

TEST(ModelConfig, OptionsAreListed) {
  const std::string message = rejection(small(), [](Architecture& a) { a.model.sdpa_backend = "fast"; });
  EXPECT_EQ(message, "model.sdpa_backend = fast: must be one of auto, flash, efficient, cudnn, math");
  EXPECT_REJECTED(small(), a.model.model_type = "mamba", "model.model_type = mamba");
  EXPECT_REJECTED(small(), a.model.model_type = "", "model.model_type = \"\"");
  EXPECT_ACCEPTED(small(), a.model.sdpa_backend = "cudnn");
}

TEST(ModelConfig, NumbersMustBeFiniteAndInRange) {
  EXPECT_REJECTED(small(), a.model.norm_eps = 0, "model.norm_eps = 0");
  EXPECT_REJECTED(small(), a.model.norm_eps = -1e-5, "model.norm_eps = -1e-05");
  EXPECT_REJECTED(small(), a.model.norm_eps = kNan, "model.norm_eps = nan");
  EXPECT_REJECTED(small(), a.model.qk_norm_eps = 0, "model.qk_norm_eps = 0");
  EXPECT_REJECTED(small(), a.model.rope_theta = kInfinity, "model.rope_theta = inf");
  EXPECT_REJECTED(small(), a.model.rope_theta = -1, "model.rope_theta = -1");
  EXPECT_REJECTED(small(), a.model.init_std = -0.5, "model.init_std = -0.5");
  EXPECT_REJECTED(small(), a.model.moe_aux_loss_weight = kNan, "model.moe_aux_loss_weight = nan");
  EXPECT_REJECTED(small(), a.model.ffn_dim_multiplier = kNan, "model.ffn_dim_multiplier = nan");
  EXPECT_REJECTED(small(), a.model.moe_expert_ffn_multiplier = kInfinity,
                  "model.moe_expert_ffn_multiplier = inf");
}

// They are not used, but a file that says nan is broken.
TEST(ModelConfig, NumbersOfExpertsAreFiniteInADenseModelToo) {
  EXPECT_REJECTED(small(), a.model.moe_aux_loss_weight = kInfinity, "model.moe_aux_loss_weight = inf");
  EXPECT_REJECTED(small(), a.model.moe_capacity_factor = kNan, "model.moe_capacity_factor = nan");
  EXPECT_REJECTED(small(), a.model.moe_sequence_aux_loss_weight = kNan,
                  "model.moe_sequence_aux_loss_weight = nan");
  EXPECT_REJECTED(small(), a.model.moe_expert_ffn_multiplier = kNan, "model.moe_expert_ffn_multiplier = nan");
  EXPECT_REJECTED(small(), a.model.moe_router_z_loss_weight = kNan, "model.moe_router_z_loss_weight = nan");
  EXPECT_REJECTED(small(), a.model.init_std = kInfinity, "model.init_std = inf");
  EXPECT_ACCEPTED(small(), a.model.moe_aux_loss_weight = -1; a.model.init_std = 0);
}

TEST(ModelConfig, FfnMultiplierMustMakeAWidth) {
  EXPECT_REJECTED(small(), a.model.ffn_hidden_dim.reset();
                  a.model.ffn_dim_multiplier = 0.001, "model.ffn_dim_multiplier = 0.001");
  EXPECT_REJECTED(small(), a.model.ffn_hidden_dim.reset();
                  a.model.ffn_dim_multiplier = -1, "model.ffn_dim_multiplier = -1");
  EXPECT_REJECTED(small(), a.model.ffn_hidden_dim.reset();
                  a.model.ffn_dim_multiplier = 1e300, "model.ffn_dim_multiplier = 1e+300");
}

TEST(ModelConfig, MoeRules) {
  Architecture moe = small();
  moe.model.num_experts = 4;
  EXPECT_ACCEPTED(moe, a.model.moe_top_k = 4);
  EXPECT_REJECTED(moe, a.model.moe_top_k = 0, "model.moe_top_k = 0");
  EXPECT_REJECTED(moe, a.model.moe_top_k = 5, "model.moe_top_k = 5");
  EXPECT_REJECTED(moe, a.model.moe_frequency = 0, "model.moe_frequency = 0");
  EXPECT_REJECTED(moe, a.model.moe_sequence_aux_loss_weight = -0.1,
                  "model.moe_sequence_aux_loss_weight = -0.1");
  EXPECT_REJECTED(moe, a.model.moe_router_z_loss_weight = -1, "model.moe_router_z_loss_weight = -1");
  EXPECT_REJECTED(moe, a.model.moe_expert_ffn_multiplier = 0, "model.moe_expert_ffn_multiplier = 0");
  EXPECT_REJECTED(moe, a.model.moe_capacity_factor = -1.25, "model.moe_capacity_factor = -1.25");
  EXPECT_REJECTED(moe, a.model.moe_shared_experts = -1, "model.moe_shared_experts = -1");
  // As upstream, a dense model ignores them.
  EXPECT_ACCEPTED(small(), a.model.moe_top_k = 0; a.model.moe_frequency = 0;
                  a.model.moe_router_z_loss_weight = -1);
}

TEST(ModelConfig, SizesMustNotOverflow) {
  constexpr std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_REJECTED(small(), a.model.dim = huge, "model.dim = 4611686018427387904");
  EXPECT_REJECTED(small(), a.model.vocab_size = huge, "model.vocab_size = 4611686018427387904");
  EXPECT_REJECTED(small(), a.model.max_seq_len = huge, "model.max_seq_len = 4611686018427387904");
  EXPECT_REJECTED(small(), a.model.n_layers = huge, "model.n_layers = 4611686018427387904");
  EXPECT_REJECTED(small(), a.model.num_experts = huge, "model.num_experts = 4611686018427387904");
  EXPECT_REJECTED(small(), a.model.ffn_hidden_dim = std::int64_t{1} << 60,
                  "model.ffn_hidden_dim = 1152921504606846976");
  EXPECT_REJECTED(small(VlmArch::moma), a.vlm->moma_experts_per_modality["text"] = huge,
                  "vlm.moma_experts_per_modality.text = 4611686018427387904");
}

// As float64, 2^60 elements have 2^63 bytes: one more than an int64 counts.
TEST(ModelConfig, TheLargestTensorHasFewerThanTwoToThe60Elements) {
  constexpr std::int64_t rows = std::int64_t{1} << 55;  // of 32
  EXPECT_ACCEPTED(small(), a.model.vocab_size = rows - 1);
  EXPECT_REJECTED(small(), a.model.vocab_size = rows, "model.vocab_size = 36028797018963968");
  EXPECT_ACCEPTED(small(), a.model.max_seq_len = rows - 1);
  EXPECT_REJECTED(small(), a.model.max_seq_len = rows, "model.max_seq_len = 36028797018963968");
}

// A layer counts 20 * dim * (expert width + 1) = 31360 elements here, one of MoT as many for each modality.
TEST(ModelConfig, AllLayersTogetherMustFitAndThoseOfMotForEachModality) {
  EXPECT_ACCEPTED(small(), a.model.n_layers = 36764078590779);
  EXPECT_REJECTED(small(), a.model.n_layers = 36764078590780, "model.n_layers = 36764078590780");
  EXPECT_ACCEPTED(small(VlmArch::mot), a.model.n_layers = 18382039295389);
  EXPECT_REJECTED(small(VlmArch::mot), a.model.n_layers = 18382039295390, "model.n_layers = 18382039295390");
}

TEST(ModelConfig, HeadsPositionsAndTheWindow) {
  EXPECT_ACCEPTED(small(), a.model.head_dim = 10);
  EXPECT_ACCEPTED(small(), a.model.head_dim = 10; a.model.n_heads = 5);  // need not divide dim then
  EXPECT_REJECTED(small(), a.model.head_dim = 0, "model.head_dim = 0");
  EXPECT_REJECTED(small(), a.model.head_dim = 7, "model.head_dim = 7");
  EXPECT_REJECTED(small(), a.model.head_dim = std::int64_t{1} << 60, "model.head_dim = 1152921504606846976");
  EXPECT_REJECTED(small(), a.model.sliding_window = -1, "model.sliding_window = -1");
  EXPECT_REJECTED(small(), a.model.rope_factor = 0, "model.rope_factor = 0");
  EXPECT_REJECTED(small(), a.model.rope_low_freq_factor = kNan, "model.rope_low_freq_factor = nan");
  EXPECT_REJECTED(small(), a.model.rope_high_freq_factor = -1, "model.rope_high_freq_factor = -1");
  EXPECT_REJECTED(small(), a.model.rope_high_freq_factor = 1, "model.rope_high_freq_factor = 1");
  EXPECT_REJECTED(small(), a.model.rope_original_max_seq_len = 0, "model.rope_original_max_seq_len = 0");
  EXPECT_REJECTED(small(), a.model.num_experts = 2;
                  a.model.moe_ffn_hidden_dim = 0, "model.moe_ffn_hidden_dim = 0");
}

// Upstream's image models have none of them, and nothing says what they would compute.
TEST(ModelConfig, OptionsOfOtherFamiliesAreForTextModels) {
  for (const VlmArch arch : {VlmArch::joint_decoder, VlmArch::cross_attention, VlmArch::mot, VlmArch::moma}) {
    EXPECT_REJECTED(small(arch), a.model.head_dim = 8, "model.head_dim = 8");
    EXPECT_REJECTED(small(arch), a.model.qkv_bias = true, "model.qkv_bias = true");
    EXPECT_REJECTED(small(arch), a.model.sliding_window = 2, "model.sliding_window = 2");
    EXPECT_REJECTED(small(arch), a.model.rope_scaling = RopeScaling::linear, "model.rope_scaling = linear");
    EXPECT_REJECTED(small(arch), a.model.moe_ffn_hidden_dim = 16, "model.moe_ffn_hidden_dim = 16");
  }
}

TEST(ModelConfig, FirstBrokenRuleOnly) {
  EXPECT_REJECTED(small(), a.model.n_heads = 5; a.model.n_layers = -1;
                  a.model.norm_eps = 0, "model.n_layers = -1");
}

}  // namespace
}  // namespace forgecheck
