#include <limits>

#include "reference/models/blocks.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

/// D 2, one head, one layer; image and text as streams of the block "layers.0". Projections pass x through
/// and the MLPs add nothing, unless a test says otherwise.
class TwoStreams : public testing::Test {
 protected:
  TwoStreams() {
    architecture_.model.dim = 2;
    architecture_.model.n_heads = 1;
    architecture_.model.norm_eps = 1e-30;
    architecture_.model.activation = Activation::relu;
    for (const std::string modality : {"image", "text"}) {
      for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
        set("attn." + std::string(projection) + "." + modality, diagonal(2, 1));
      }
      set("attn_norm." + modality, doubles({2}, {1, 1}));
      set("mlp_norm." + modality, doubles({2}, {1, 1}));
      set("mlp." + modality + ".up_proj", diagonal(2, 0));
      set("mlp." + modality + ".down_proj", diagonal(2, 0));
    }
  }
  void set(const std::string& module, Tensor<double> value) {
    weights_.set("layers.0." + module + ".weight", std::move(value));
  }
  /// What the block adds to each stream; streams are given in the order of the attention.
  std::vector<std::vector<double>> added(std::vector<Stream<double>> streams,
                                         const Ids* key_padding_mask = nullptr) {
    Module parts(architecture_, weights_);
    const auto before = streams;
    mot_block(parts.run, 0, streams, key_padding_mask);
    std::vector<std::vector<double>> difference;
    for (std::size_t m = 0; m < streams.size(); ++m) {
      difference.push_back(numbers(streams[m].x));
      for (std::size_t i = 0; i < difference[m].size(); ++i) difference[m][i] -= before[m].x.data[i];
    }
    return difference;
  }

  Architecture architecture_ = small_vlm(VlmArch::mot);
  Weights<double> weights_;
};

const double kRoot2 = 1.4142135623730951;
const Tensor<double> kX = doubles({1, 1, 2}, {kRoot2, 0});  // its norm is itself

// Image and text both stand at position 0 and are equal: both keys have the same score, values 2 x and 4 x.
TEST_F(TwoStreams, PositionsRestartInEachModality) {
  set("attn.v_proj.image", diagonal(2, 2));
  set("attn.v_proj.text", diagonal(2, 4));
  const auto out = added({{"image", kX}, {"text", kX}});
  EXPECT_THAT(out[0], AreNear({2 * kRoot2, 0}));
  EXPECT_THAT(out[1], AreNear({3 * kRoot2, 0}));
}

TEST_F(TwoStreams, EachHasItsOwnOutputProjectionAndFeedForward) {
  set("attn.o_proj.image", diagonal(2, 3));
  set("attn.o_proj.text", diagonal(2, 5));
  const auto attended = added({{"image", kX}, {"text", kX}});
  EXPECT_THAT(attended[0], AreNear({3 * kRoot2, 0}));
  EXPECT_THAT(attended[1], AreNear({5 * kRoot2, 0}));
  for (const std::string modality : {"image", "text"}) {
    set("attn.o_proj." + modality, diagonal(2, 0));
    set("mlp." + modality + ".up_proj", diagonal(2, 1));
  }
  set("mlp.image.down_proj", diagonal(2, 7));
  set("mlp.text.down_proj", diagonal(2, 9));
  const auto fed = added({{"image", kX}, {"text", kX}});
  EXPECT_THAT(fed[0], AreNear({7 * kRoot2, 0}));
  EXPECT_THAT(fed[1], AreNear({9 * kRoot2, 0}));
}

TEST_F(TwoStreams, EachHasItsOwnNorms) {
  set("attn_norm.image", doubles({2}, {3, 3}));
  set("attn.q_proj.image", diagonal(2, 0));
  set("attn.q_proj.text", diagonal(2, 0));
  const auto out = added({{"image", kX}, {"text", kX}});
  EXPECT_THAT(out[0], AreNear({3 * kRoot2, 0}));
  EXPECT_THAT(out[1], AreNear({2 * kRoot2, 0}));  // mean of 3 x and x
}

// The first stream of the order does not see the second one.
TEST_F(TwoStreams, LaterModalitySeesTheEarlierOne) {
  set("attn.v_proj.image", diagonal(2, 2));
  set("attn.v_proj.text", diagonal(2, 4));
  const auto text_first = added({{"text", kX}, {"image", kX}});
  EXPECT_THAT(text_first[0], AreNear({4 * kRoot2, 0}));
  EXPECT_THAT(text_first[1], AreNear({3 * kRoot2, 0}));
}

TEST_F(TwoStreams, KeyPaddingIsReadInTheJoinedOrder) {
  set("attn.v_proj.image", diagonal(2, 2));
  set("attn.v_proj.text", diagonal(2, 4));
  const Ids without_first({1, 2}, {0, 1});
  EXPECT_THAT(added({{"image", kX}, {"text", kX}}, &without_first)[1], AreNear({4 * kRoot2, 0}));
  EXPECT_THAT(added({{"text", kX}, {"image", kX}}, &without_first)[1], AreNear({2 * kRoot2, 0}));
}

/// 3 image tokens and 4 text tokens in two samples.
Inputs image_and_text() {
  Inputs inputs = token_inputs({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  inputs.prefix_embeds = random_input("images", {2, 3, 8});
  inputs.modality_ids = integers({2, 7}, {0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1});
  return inputs;
}

class MotModel : public testing::Test {
 protected:
  Tensor<double> logits(const Inputs& inputs) {
    auto weights = seeded_weights<double>(architecture_);
    return run_model(architecture_, weights, inputs).logits;
  }
  Architecture architecture_ = small_vlm(VlmArch::mot);
};

TEST_F(MotModel, TextSeesImagesButImagesDoNotSeeText) {
  Inputs inputs = image_and_text();
  const auto before = logits(inputs);
  inputs.tokens = integers({2, 4}, {9, 2, 3, 4, 5, 6, 7, 8});  // the first text token of sample 0
  const auto after = logits(inputs);
  for (std::int64_t s = 0; s < 3; ++s) EXPECT_EQ(logits_at(after, 0, s), logits_at(before, 0, s)) << s;
  for (std::int64_t s = 3; s < 7; ++s) EXPECT_NE(logits_at(after, 0, s), logits_at(before, 0, s)) << s;
  inputs = image_and_text();
  inputs.prefix_embeds = random_input("other images", {2, 3, 8});
  EXPECT_NE(logits_at(logits(inputs), 0, 6), logits_at(before, 0, 6));
}

TEST_F(MotModel, WithTextFirstImagesSeeText) {
  architecture_.vlm->mot_modalities = {"text", "image"};
  Inputs inputs = image_and_text();
  const auto before = logits(inputs);
  inputs.tokens = integers({2, 4}, {1, 2, 3, 9, 5, 6, 7, 8});  // the last text token of sample 0
  const auto after = logits(inputs);
  for (std::int64_t s = 3; s < 6; ++s) EXPECT_EQ(logits_at(after, 0, s), logits_at(before, 0, s)) << s;
  for (const std::int64_t s : {0, 1, 2, 6}) EXPECT_NE(logits_at(after, 0, s), logits_at(before, 0, s)) << s;
  inputs = image_and_text();
  inputs.prefix_embeds = random_input("other images", {2, 3, 8});
  for (std::int64_t s = 3; s < 7; ++s)
    EXPECT_EQ(logits_at(logits(inputs), 0, s), logits_at(before, 0, s)) << s;
}

TEST_F(MotModel, SplitsByPositionWhateverTheIdsSay) {
  Inputs inputs = image_and_text();
  const auto before = logits(inputs);
  inputs.modality_ids = integers({2, 7}, {1, 1, 1, 0, 0, 7, 0, 0, 1, 0, 1, 0, 1, 0});
  EXPECT_TRUE(identical(logits(inputs), before));
}

TEST_F(MotModel, DocumentsAreNotUsed) {
  Inputs inputs = image_and_text();
  const auto before = logits(inputs);
  inputs.doc_ids = integers({2, 7}, {0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 4, 5, 6});
  EXPECT_TRUE(identical(logits(inputs), before));
}

// norm is there and unused. Doubling one of the final norms doubles the logits of its positions, exactly.
TEST_F(MotModel, EachModalityHasItsOwnFinalNormInResidualOrder) {
  for (const auto& order : {std::vector<std::string>{"image", "text"}, {"text", "image"}}) {
    architecture_.vlm->mot_modalities = order;
    auto weights = seeded_weights<double>(architecture_);
    const auto before = run_model(architecture_, weights, image_and_text()).logits;
    weights.mutable_at("norm.weight")[0] = std::numeric_limits<double>::quiet_NaN();
    for (double& weight : weights.mutable_at("mot_norms.text.weight").data) weight *= 2;
    const auto after = run_model(architecture_, weights, image_and_text()).logits;
    for (std::int64_t s = 0; s < 7; ++s) {
      auto expected = logits_at(before, 1, s);
      for (double& value : expected) value *= s < 3 ? 1 : 2;
      EXPECT_EQ(logits_at(after, 1, s), expected) << "position " << s;
    }
  }
}

class MotMoeModel : public testing::Test {
 protected:
  MotMoeModel() {
    architecture_.model.num_experts = 2;
    architecture_.model.moe_frequency = 2;
  }
  Architecture architecture_ = small_vlm(VlmArch::mot);
  ForwardOptions options_;
};

// Divergence D2: as upstream, the model's losses and counts do not include these layers.
TEST_F(MotMoeModel, LossesAreReportedOnlyOnRequest) {
  auto weights = seeded_weights<double>(architecture_);
  const auto silent = run_model(architecture_, weights, image_and_text(), options_);
  EXPECT_EQ(silent.aux_loss, 0);
  EXPECT_EQ(silent.z_loss, 0);
  EXPECT_EQ(silent.trace.find("layers.1.mlp.image.expert_counts"), nullptr);
  options_.mot_moe_totals = true;
  const auto reported = run_model(architecture_, weights, image_and_text(), options_);
  EXPECT_GT(reported.aux_loss, 0);
  EXPECT_GT(reported.z_loss, 0);
  EXPECT_EQ(reported.trace.at("layers.1.mlp.image.expert_counts").shape(), (Shape{2}));
  EXPECT_TRUE(identical(reported.logits, silent.logits));
}

TEST_F(MotMoeModel, StepDoesNotReachTheRouters) {
  architecture_.model.moe_router = RouterType::sigmoid_topk;
  architecture_.model.moe_bias_schedule = BiasSchedule::linear_warmup;  // rate 0 at step 0
  architecture_.model.moe_top_k = 1;
  options_.training = true;
  options_.moe_step = {50, 100};
  const std::string bias = "layers.1.mlp.text.router.expert_bias",
                    ema = "layers.1.mlp.text.router.expert_ema";
  auto weights = seeded_weights<double>(architecture_);
  const auto bias_before = numbers(weights.at(bias)), ema_before = numbers(weights.at(ema));
  run_model(architecture_, weights, image_and_text(), options_);
  EXPECT_EQ(numbers(weights.at(bias)), bias_before);
  EXPECT_NE(numbers(weights.at(ema)), ema_before);
  options_.mot_moe_totals = true;
  run_model(architecture_, weights, image_and_text(), options_);
  EXPECT_NE(numbers(weights.at(bias)), bias_before);
}

}  // namespace
}  // namespace forgecheck
