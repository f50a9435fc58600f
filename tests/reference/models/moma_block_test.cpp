#include "reference/models/blocks.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

/// D 2, attention that adds nothing, one expert for each modality: text multiplies by 10, image by 100. The
/// gates read the first element.
class OneExpertEach : public testing::Test {
 protected:
  OneExpertEach() {
    architecture_.model.dim = 2;
    architecture_.model.n_heads = 1;
    architecture_.model.norm_eps = 1e-30;
    architecture_.model.activation = Activation::relu;
    architecture_.model.max_seq_len = 32;
    architecture_.vlm->moma_experts_per_modality = {{"image", 1}, {"text", 1}};
    architecture_.vlm->moma_capacity_factor = 0.5;
    for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
      weights_.set("layers.0.attention." + std::string(projection) + ".weight", diagonal(2, 0));
    }
    weights_.set("layers.0.attention_norm.weight", doubles({2}, {1, 1}));
    weights_.set("layers.0.mlp_norm.weight", doubles({2}, {1, 1}));
    set_gate("text", {1, 0});
    set_gate("image", {1, 0});
    set_expert("text.experts.0", 10);
    set_expert("image.experts.0", 100);
  }
  void set_gate(const std::string& modality, const std::vector<double>& rows) {
    weights_.set("layers.0.mlp.experts." + modality + ".router.gate.weight",
                 doubles({static_cast<std::int64_t>(rows.size() / 2), 2}, rows));
  }
  /// relu(x) - relu(-x) = x, times the factor.
  void set_expert(const std::string& expert, double factor) {
    weights_.set("layers.0.mlp.experts." + expert + ".up_proj.weight",
                 doubles({4, 2}, {1, 0, 0, 1, -1, 0, 0, -1}));
    weights_.set("layers.0.mlp.experts." + expert + ".down_proj.weight",
                 doubles({2, 4}, {factor, 0, -factor, 0, 0, factor, 0, -factor}));
  }
  /// (batch, tokens / batch) tokens whose logits are as given: x = (l, sqrt(2 - l^2)) is its own norm.
  /// Returns the relative growth of each token.
  std::vector<double> growth(const std::vector<double>& logits, const std::vector<std::int64_t>& ids,
                             const Ids* key_padding_mask = nullptr, std::int64_t batch = 1) {
    const auto tokens = static_cast<std::int64_t>(logits.size());
    Tensor<double> x({batch, tokens / batch, 2});
    for (std::int64_t t = 0; t < tokens; ++t) {
      const double logit = logits[static_cast<std::size_t>(t)];
      x.row(t)[0] = logit;
      x.row(t)[1] = std::sqrt(2 - logit * logit);
    }
    Module parts(architecture_, weights_);
    parts.options = options_;
    parts.run.gumbel = gumbel_;
    const auto out =
        moma_block<double>(parts.run, 0, x, Ids({batch, tokens / batch}, ids), nullptr, key_padding_mask);
    trace_ = parts.tracer.take();
    std::vector<double> ratios;
    for (std::int64_t t = 0; t < tokens; ++t) ratios.push_back(out.row(t)[1] / x.row(t)[1] - 1);
    return ratios;
  }
  std::vector<double> counts(const std::string& modality) {
    return numbers(trace_.at("layers.0.mlp.experts." + modality + ".expert_counts").to<double>());
  }

  Architecture architecture_ = small_vlm(VlmArch::moma);
  Weights<double> weights_;
  ForwardOptions options_;
  std::map<std::string, Tensor<double>> gumbel_;
  Trace trace_;
};

// Scores 1/2, 3/4, 1/4, 2/3; half of the four tokens are chosen.
TEST_F(OneExpertEach, ExpertTakesItsBestTokensAndTheOthersGetNothing) {
  EXPECT_THAT(growth({0, kLn3, -kLn3, kLn2}, {1, 1, 1, 1}), AreNear({0, 7.5, 0, 20.0 / 3}, 1e-13));
  EXPECT_EQ(counts("text"), (std::vector<double>{2}));
}

TEST_F(OneExpertEach, TiesGoToTheEarlierToken) {
  EXPECT_THAT(growth({0, 0, 0, 0}, {1, 1, 1, 1}), AreNear({5, 5, 0, 0}, 1e-13));
}

// Four image and two text tokens, scattered over two samples: 2 and 1 of them are chosen.
TEST_F(OneExpertEach, CompetitionIsInsideAModalityOverTheWholeBatch) {
  const std::vector<double> logits = {kLn3, 0, -kLn3, kLn2, kLn3, 0};
  EXPECT_THAT(growth(logits, {0, 1, 0, 0, 0, 1}, nullptr, 2), AreNear({75, 5, 0, 0, 75, 0}, 1e-12));
  EXPECT_EQ(counts("image"), (std::vector<double>{2}));
  EXPECT_EQ(counts("text"), (std::vector<double>{1}));
}

TEST_F(OneExpertEach, ModalityWithoutTokensIsSkipped) {
  growth({0, kLn3}, {1, 1});
  EXPECT_EQ(counts("image"), (std::vector<double>{0}));
  EXPECT_EQ(trace_.find("layers.0.mlp.experts.image.router.gate"), nullptr);
  EXPECT_NE(trace_.find("layers.0.mlp.experts.text.router.gate"), nullptr);
}

// ceil(1/7 * 21) is 3 in double and 4 in float.
TEST_F(OneExpertEach, CapacityIsComputedInDouble) {
  architecture_.vlm->moma_capacity_factor = 1.0 / 7;
  const std::vector<double> taken = growth(std::vector<double>(21, 0.5), std::vector<std::int64_t>(21, 1));
  EXPECT_EQ(counts("text"), (std::vector<double>{3}));
  EXPECT_EQ(std::count_if(taken.begin(), taken.end(), [](double growth) { return growth > 1; }), 3);
}

TEST_F(OneExpertEach, CapacityIsAtLeastOneToken) {
  architecture_.vlm->moma_capacity_factor = 0.01;
  EXPECT_THAT(growth({0, kLn3}, {1, 1}), AreNear({0, 7.5}, 1e-13));
}

// The best token is padding: two remain, and one of them is chosen. Nothing is added to the padded one.
TEST_F(OneExpertEach, PaddedTokensLeaveTheCompetition) {
  const Ids valid({1, 4}, {1, 0, 1, 0});
  EXPECT_THAT(growth({0, kLn3, -kLn3, kLn2}, {1, 1, 1, 1}, &valid), AreNear({5, 0, 0, 0}, 1e-13));
  EXPECT_EQ(counts("text"), (std::vector<double>{1}));
}

TEST_F(OneExpertEach, TokenTakenByTwoExpertsGetsBoth) {
  architecture_.vlm->moma_experts_per_modality["text"] = 2;
  architecture_.vlm->moma_capacity_factor = 1.0;
  set_gate("text", {1, 0, -1, 0});
  set_expert("text.experts.1", 1000);
  EXPECT_THAT(growth({kLn3, 0}, {1, 1}), AreNear({7.5 + 250, 5 + 500}, 1e-11));
  EXPECT_EQ(counts("text"), (std::vector<double>{2, 2}));
}

// c = 0 stands for 1 / experts: 2 of 4 tokens for each of two experts. Expert 1 prefers the smallest logits.
TEST_F(OneExpertEach, CapacityIsByDefaultOneOverTheExperts) {
  architecture_.vlm->moma_experts_per_modality["text"] = 2;
  architecture_.vlm->moma_capacity_factor = 0.0;
  set_gate("text", {1, 0, -1, 0});
  set_expert("text.experts.1", 1000);
  EXPECT_THAT(growth({0, kLn3, -kLn3, kLn2}, {1, 1, 1, 1}), AreNear({500, 7.5, 750, 20.0 / 3}, 1e-11));
}

// Logits (0, ln 3) and noise (ln 3, -2 ln 3): scores 3/4 and 1/4, so the other token is chosen.
TEST_F(OneExpertEach, NoiseCountsInTrainingOnly) {
  gumbel_.emplace("layers.0.text", doubles({2, 1}, {kLn3, -2 * kLn3}));
  EXPECT_THAT(growth({0, kLn3}, {1, 1}), AreNear({0, 7.5}, 1e-13));
  options_.training = true;
  EXPECT_THAT(growth({0, kLn3}, {1, 1}), AreNear({7.5, 0}, 1e-13));
  architecture_.vlm->moma_gumbel_noise = false;
  EXPECT_THAT(growth({0, kLn3}, {1, 1}), AreNear({0, 7.5}, 1e-13));
}

TEST_F(OneExpertEach, MissingNoiseIsNamed) {
  options_.training = true;
  EXPECT_EQ(message_of([&] {
              growth({0, kLn3}, {1, 1});
            }),
            "[moma] training with moma_gumbel_noise needs the input gumbel.layers.0.text");
  gumbel_.emplace("layers.0.text", doubles({2, 1}, {0, 0}));
  EXPECT_NO_THROW(growth({0, kLn3}, {1, 1}));  // none is needed for the empty modality
}

TEST_F(OneExpertEach, NoiseMustFitTheTokensThatTakePart) {
  options_.training = true;
  gumbel_.emplace("layers.0.text", doubles({2, 1}, {0, 0}));
  const Ids valid({1, 2}, {1, 0});
  EXPECT_EQ(message_of([&] {
              growth({0, kLn3}, {1, 1}, &valid);
            }),
            "[expert_choice] noise has shape 2x1, expected 1x1");
}

TEST(MomaModel, RunsOnTextAlone) {
  const Architecture architecture = small_vlm(VlmArch::moma);
  auto weights = seeded_weights<double>(architecture);
  Inputs inputs;
  inputs.inputs_embeds = random_input("x", {1, 4, 8});
  inputs.modality_ids = integers({1, 4}, {1, 1, 1, 1});
  const auto outcome = run_model(architecture, weights, inputs);
  EXPECT_EQ(outcome.logits.shape, (Shape{1, 4, 11}));
  EXPECT_EQ(numbers(outcome.tap("layers.2.mlp.experts.image.expert_counts")), (std::vector<double>{0, 0}));
  EXPECT_EQ(numbers(outcome.tap("layers.2.mlp.experts.text.expert_counts")), (std::vector<double>{2, 2}));
}

}  // namespace
}  // namespace forgecheck
