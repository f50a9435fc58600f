#include "reference/models/blocks.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

/// D 2. The block's attention has as many heads as the test says; its MLP adds nothing.
Architecture two_wide(std::int64_t heads) {
  Architecture architecture = small_vlm(VlmArch::cross_attention);
  architecture.model.dim = 2;
  architecture.model.n_heads = 1;
  architecture.model.activation = Activation::relu;
  architecture.vlm->cross_attention_n_heads = heads;
  return architecture;
}

Weights<double> passing_weights() {
  const std::string name = "cross_attention_layers.0.";
  Weights<double> weights;
  for (const char* projection : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    weights.set(name + "attn." + projection + ".weight", diagonal(2, 1));
  }
  for (const char* norm : {"attn_norm", "mlp_norm"})
    weights.set(name + norm + ".weight", doubles({2}, {1, 1}));
  weights.set(name + "mlp.up_proj.weight", diagonal(2, 0));
  weights.set(name + "mlp.down_proj.weight", diagonal(2, 0));
  return weights;
}

/// What the block adds to x.
std::vector<double> added(Architecture architecture, Weights<double> weights, const Tensor<double>& x,
                          const Tensor<double>& images, const Ids* image_mask = nullptr) {
  Module parts(std::move(architecture), std::move(weights));
  auto out = numbers(cross_attention_block(parts.run, 0, x, images, image_mask));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] -= x.data[i];
  return out;
}

const Tensor<double> kText = doubles({1, 2, 2}, {1, 1, 1, 1});
const Tensor<double> kImages = doubles({1, 2, 2}, {4, 0, 0, 8});

// Queries are 0, so every query averages all images, including that of the first text token.
TEST(CrossAttention, EveryTextTokenSeesEveryImageToken) {
  auto weights = passing_weights();
  weights.set("cross_attention_layers.0.attn.q_proj.weight", diagonal(2, 0));
  EXPECT_THAT(added(two_wide(1), weights, kText, kImages), AreNear({2, 4, 2, 4}));
}

TEST(CrossAttention, MaskedImageTokensAreNotSeen) {
  auto weights = passing_weights();
  weights.set("cross_attention_layers.0.attn.q_proj.weight", diagonal(2, 0));
  const Ids second({1, 2}, {0, 1}), none({1, 2}, {0, 0});
  EXPECT_THAT(added(two_wide(1), weights, kText, kImages, &second), AreNear({0, 8, 0, 8}));
  EXPECT_THAT(added(two_wide(1), weights, kText, kImages, &none), AreNear({2, 4, 2, 4}));
}

// Equal text tokens get equal results at every position, and the order of the images does not matter.
TEST(CrossAttention, HasNoPositions) {
  const auto forward = added(two_wide(1), passing_weights(), kText, doubles({1, 2, 2}, {1, 0.5, -2, 1}));
  const auto backward = added(two_wide(1), passing_weights(), kText, doubles({1, 2, 2}, {-2, 1, 1, 0.5}));
  EXPECT_EQ(std::vector(forward.begin(), forward.begin() + 2),
            std::vector(forward.begin() + 2, forward.end()));
  EXPECT_THAT(backward, AreNear(forward));
}

// Two heads of size 1: scores 1 * ln 3 / sqrt 1 and 0, so head 0 has p = (3/4, 1/4).
TEST(CrossAttention, HeadSizeIsOfTheBlocksOwnHeads) {
  const auto images = doubles({1, 2, 2}, {kLn3, 0, 0, 0});
  EXPECT_THAT(added(two_wide(2), passing_weights(), doubles({1, 1, 2}, {1, 1}), images),
              AreNear({0.75 * kLn3, 0}, 1e-5));  // allows for the norm's eps
  EXPECT_THAT(added(two_wide(1), passing_weights(), doubles({1, 1, 2}, {1, 1}), images),
              AreNear({kLn3 / (1 + std::exp(-kLn3 / std::sqrt(2.0))), 0}, 1e-5));
}

// The mean square 1e-6 with eps 1e-5 gives 1e-3 / sqrt(1.1e-5); norm_eps would give 1e-3.
TEST(CrossAttention, NormsHaveEpsOneHundredThousandth) {
  Architecture architecture = two_wide(1);
  architecture.model.norm_eps = 1.0;
  Module parts(architecture, passing_weights());
  cross_attention_block<double>(parts.run, 0, doubles({1, 1, 2}, {1e-3, -1e-3}), Tensor<double>({1, 1, 2}),
                                nullptr);
  for (const char* norm : {"attn_norm", "mlp_norm"}) {
    EXPECT_THAT(
        numbers(parts.tracer.trace().at("cross_attention_layers.0." + std::string(norm)).to<double>()),
        AreNear({0.30151134457776363, -0.30151134457776363}))
        << norm;
  }
}

TEST(CrossAttention, BlockFollowsEveryNthLayer) {
  Architecture architecture = small_vlm(VlmArch::cross_attention);
  architecture.model.n_layers = 5;
  auto weights = seeded_weights<double>(architecture);
  Inputs inputs = token_inputs({1, 4}, {1, 2, 3, 4});
  inputs.image_features = random_input("images", {1, 3, 8});
  const auto outcome = run_model(architecture, weights, inputs);
  std::vector<std::string> blocks;
  for (const auto& [name, value] : outcome.trace.entries()) {
    const bool block =
        name.find('.') != std::string::npos && name.find('.', name.find('.') + 1) == std::string::npos;
    if (block) blocks.push_back(name);
  }
  EXPECT_EQ(blocks, (std::vector<std::string>{"layers.0", "layers.1", "cross_attention_layers.0", "layers.2",
                                              "layers.3", "cross_attention_layers.1", "layers.4"}));
}

TEST(CrossAttention, MaskedImagesDoNotReachTheLogits) {
  const Architecture architecture = small_vlm(VlmArch::cross_attention);
  auto weights = seeded_weights<double>(architecture);
  Inputs inputs = token_inputs({1, 4}, {1, 2, 3, 4});
  auto images = seeded_tensor("images", {1, 3, 8}, 0, 1.0F, 0.0F);
  inputs.image_features = Array::from(images);
  inputs.image_mask = Array::from(Tensor<std::uint8_t>({1, 3}, {1, 1, 0}));
  const auto before = run_model(architecture, weights, inputs).logits;
  images.row(2)[0] += 5;
  inputs.image_features = Array::from(images);
  EXPECT_TRUE(identical(run_model(architecture, weights, inputs).logits, before));
  images.row(1)[0] += 5;
  inputs.image_features = Array::from(images);
  const auto after = run_model(architecture, weights, inputs).logits;
  EXPECT_NE(logits_at(after, 0, 0), logits_at(before, 0, 0));  // a later image token, the first text token
}

}  // namespace
}  // namespace forgecheck
