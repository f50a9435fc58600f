#include "reference/models/adapter.h"

#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

Weights<double> one_projection() {
  Weights<double> weights;
  weights.set("adapter.proj.weight", doubles({2, 1}, {2, -1}));
  weights.set("adapter.proj.bias", doubles({2}, {0.5, 0}));
  return weights;
}

TEST(Adapter, LinearIsOneProjectionWithBias) {
  AdapterConfig config;
  config.type = AdapterType::linear;
  const auto out = adapt(config, one_projection(), doubles({1, 2, 1}, {1, 3}), kPlain);
  EXPECT_EQ(out.shape, (Shape{1, 2, 2}));
  EXPECT_EQ(numbers(out), (std::vector<double>{2.5, -1, 6.5, -3}));
}

// W1 = (1, -1), b1 = (0, 1): hidden = act(1, 0) for the feature 1; W2 = (10, 100), b2 = 3.
TEST(Adapter, MlpIsW2OfActivatedW1) {
  Weights<double> weights;
  weights.set("adapter.proj1.weight", doubles({2, 1}, {1, -1}));
  weights.set("adapter.proj1.bias", doubles({2}, {0, 1}));
  weights.set("adapter.proj2.weight", doubles({1, 2}, {10, 100}));
  weights.set("adapter.proj2.bias", doubles({1}, {3}));
  AdapterConfig config;
  EXPECT_EQ(config.activation, Activation::gelu);
  EXPECT_THAT(numbers(adapt(config, weights, doubles({1, 1, 1}, {1}), kPlain)),
              AreNear({3 + 8.413447460685429}));
  config.activation = Activation::relu;
  EXPECT_THAT(numbers(adapt(config, weights, doubles({1, 1, 1}, {-2}), kPlain)), AreNear({303}));
}

// 3 x 3 grid, windows of 2: the means 3, 4.5, 7.5 and 9 (see AveragePool), then the projection.
TEST(Adapter, AvgpoolProjectsTheWindowMeans) {
  AdapterConfig config;
  config.type = AdapterType::avgpool;
  const auto out = adapt(config, one_projection(), doubles({1, 9, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9}), kPlain);
  EXPECT_EQ(numbers(out), (std::vector<double>{6.5, -3, 9.5, -4.5, 15.5, -7.5, 18.5, -9}));
}

/// Feature width 2; q, k and v pass through, o adds (0, 1), out_proj sums.
Weights<double> pooling_weights() {
  Weights<double> weights;
  for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) {
    weights.set("adapter." + std::string(name) + ".weight", diagonal(2, 1));
    weights.set("adapter." + std::string(name) + ".bias", Tensor<double>({2}));
  }
  weights.set("adapter.o_proj.bias", doubles({2}, {0, 1}));
  weights.set("adapter.out_proj.weight", doubles({1, 2}, {1, 1}));
  weights.set("adapter.out_proj.bias", doubles({1}, {0.5}));
  return weights;
}

AdapterConfig attentional_pool(std::int64_t heads) {
  AdapterConfig config;
  config.type = AdapterType::attentional_pool;
  config.pool_heads = heads;
  return config;
}

// With k_proj 0 all scores are 0: each of the 2 x 2 windows returns its mean.
TEST(Adapter, AttentionalPoolAveragesWhereKeysAreEqual) {
  Weights<double> weights = pooling_weights();
  weights.set("adapter.k_proj.weight", diagonal(2, 0));
  const auto features = doubles({2, 4, 2}, {1, 0, 2, 0, 3, 0, 6, 4, 8, 0, 0, 0, 0, 0, 0, -4});
  const auto out = adapt(attentional_pool(1), weights, features, kPlain);
  EXPECT_EQ(out.shape, (Shape{2, 1, 1}));
  EXPECT_THAT(numbers(out), AreNear({3 + 1 + 1 + 0.5, 2 - 1 + 1 + 0.5}));
}

// The mean is the query. Patches (a, 0) four times over a: here (2, 0) twice and (0, 0) twice, mean (1, 0),
// so with one head of size 2 the scores are 2 / sqrt 2 and 0, with two heads of size 1 they are 2 and 0.
TEST(Adapter, AttentionalPoolAsksWithTheWindowMean) {
  const auto features = doubles({1, 4, 2}, {2, 0, 0, 0, 2, 0, 0, 0});
  const auto pooled = [](double score) { return 2 / (1 + std::exp(-score)) + 1.5; };
  EXPECT_THAT(numbers(adapt(attentional_pool(1), pooling_weights(), features, kPlain)),
              AreNear({pooled(std::sqrt(2.0))}));
  EXPECT_THAT(numbers(adapt(attentional_pool(2), pooling_weights(), features, kPlain)),
              AreNear({pooled(2.0)}));
}

/// A model with an image of 4 patches of width 5, pooled to one token by avgpool.
Architecture with_vision(VlmArch arch) {
  Architecture architecture = small_vlm(arch);
  architecture.feature_dim = 5;
  architecture.adapter.emplace().type = AdapterType::avgpool;
  return architecture;
}

Inputs resolved(const Architecture& architecture, const Inputs& inputs) {
  Tracer tracer;
  return resolve_vision(architecture, seeded_weights<double>(architecture), inputs, {}, tracer);
}

std::string rejection(const Architecture& architecture, const Inputs& inputs) {
  return message_of([&] { resolved(architecture, inputs); });
}

Inputs video() {
  Inputs inputs = token_inputs({2, 2}, {1, 2, 3, 4});
  inputs.vision_features = random_input("video", {2, 3, 4, 5});
  return inputs;
}

TEST(ResolveVision, WithoutFeaturesNothingChanges) {
  const Inputs inputs = token_inputs({1, 2}, {1, 2});
  const Inputs out = resolved(with_vision(VlmArch::joint_decoder), inputs);
  EXPECT_FALSE(out.prefix_embeds.has_value());
  EXPECT_EQ(out.tokens->bytes().data(), inputs.tokens->bytes().data());
}

TEST(ResolveVision, FramesFoldIntoTheBatchAndJoinInOrder) {
  const Architecture architecture = with_vision(VlmArch::joint_decoder);
  const Inputs out = resolved(architecture, video());
  ASSERT_EQ(out.prefix_embeds->shape(), (Shape{2, 3, 8}));
  EXPECT_FALSE(out.vision_features.has_value());
  // Each frame separately, as an image.
  const Array features = *video().vision_features;
  const auto weights = seeded_weights<double>(architecture);
  for (std::int64_t i = 0; i < 6; ++i) {
    const auto all = features.to<double>();
    const Tensor<double> frame({1, 4, 5}, {all.data.begin() + i * 20, all.data.begin() + (i + 1) * 20});
    EXPECT_EQ(numbers_of_row(out.prefix_embeds->to<double>(), i),
              numbers(adapt(*architecture.adapter, weights, frame, kPlain)))
        << "frame " << i % 3 << " of sample " << i / 3;
  }
}

TEST(ResolveVision, FrameMaskRepeatsForEachTokenAndKeepsTheText) {
  Architecture architecture = with_vision(VlmArch::joint_decoder);
  architecture.adapter->type = AdapterType::linear;  // 4 tokens per frame
  Inputs inputs = video();
  inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 3}, {1, 0, 1, 0, 1, 1}));
  const Inputs out = resolved(architecture, inputs);
  EXPECT_FALSE(out.frame_mask.has_value());
  EXPECT_EQ(out.key_padding_mask->to_int64().data,
            (std::vector<std::int64_t>{1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1,  //
                                       0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}));
}

TEST(ResolveVision, CrossAttentionTakesFeaturesAndMaskBesideTheText) {
  Inputs inputs = video();
  inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 3}, {1, 0, 1, 0, 1, 1}));
  const Inputs out = resolved(with_vision(VlmArch::cross_attention), inputs);
  EXPECT_EQ(out.image_features->shape(), (Shape{2, 3, 8}));
  EXPECT_FALSE(out.prefix_embeds.has_value());
  EXPECT_FALSE(out.key_padding_mask.has_value());
  EXPECT_EQ(out.image_mask->to_int64().data, (std::vector<std::int64_t>{1, 0, 1, 0, 1, 1}));
}

TEST(ResolveVision, MaskedFramesDoNotReachTheText) {
  const Architecture architecture = with_vision(VlmArch::joint_decoder);
  auto weights = seeded_weights<double>(architecture);
  Inputs inputs = video();
  inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 3}, {1, 0, 1, 1, 0, 1}));
  const auto before = run_model(architecture, weights, inputs).logits;
  auto features = inputs.vision_features->to<float>();
  for (std::int64_t i = 20; i < 40; ++i) features[i] += 1;  // frame 1 of sample 0
  inputs.vision_features = Array::from(features);
  const auto after = run_model(architecture, weights, inputs).logits;
  for (const std::int64_t s : {0, 2, 3, 4}) EXPECT_EQ(logits_at(after, 0, s), logits_at(before, 0, s)) << s;
  EXPECT_NE(logits_at(after, 0, 1), logits_at(before, 0, 1));
}

TEST(ResolveVision, WrongInputsAreNamed) {
  const Architecture architecture = with_vision(VlmArch::joint_decoder);
  Inputs inputs = token_inputs({2, 2}, {1, 2, 3, 4});
  inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 3}));
  EXPECT_EQ(rejection(architecture, inputs), "[adapter] frame_mask needs vision_features with frames");
  inputs.vision_features = random_input("image", {2, 4, 5});
  EXPECT_EQ(rejection(architecture, inputs), "[adapter] frame_mask needs vision_features with frames");
  inputs = video();
  inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 2}));
  EXPECT_EQ(rejection(architecture, inputs), "[adapter] frame_mask has shape 2x2, expected 2x3");
  inputs = video();
  inputs.frame_mask = integers({2, 3}, {1, 0, 1, 0, 1, 1});
  EXPECT_EQ(rejection(architecture, inputs), "[adapter] frame_mask has type int64, expected bool");
  inputs = video();
  inputs.vision_features = Array::from(Ids({2, 4, 5}));
  EXPECT_EQ(rejection(architecture, inputs),
            "[adapter] vision_features has type int64, expected a floating point type");
  inputs.vision_features = random_input("image", {2, 4, 6});
  EXPECT_EQ(
      rejection(architecture, inputs),
      "[adapter] vision_features has shape 2x4x6, expected (batch, [frames,] patches, feature_dim = 5)");
  EXPECT_EQ(rejection(small_vlm(VlmArch::joint_decoder), video()),
            "[adapter] vision_features needs an adapter with a feature_dim");
  inputs = video();
  inputs.prefix_embeds = random_input("prefix", {2, 1, 8});
  EXPECT_EQ(
      rejection(architecture, inputs),
      "[adapter] vision_features excludes prefix_embeds, image_features and inputs_embeds: it makes them");
}

// There are no weights: arithmetic would fail with another message.
TEST(ResolveVision, RulesComeBeforeTheArithmetic) {
  Architecture architecture = with_vision(VlmArch::joint_decoder);
  architecture.model.max_seq_len = 4;
  Weights<double> none;
  EXPECT_EQ(message_of([&] { run_model(architecture, none, video()); }),
            "[forward] a sequence of 5 positions is past model.max_seq_len = 4");
  architecture.model.max_seq_len = 5;
  EXPECT_THAT(message_of([&] { run_model(architecture, none, video()); }),
              testing::StartsWith("parameter adapter.proj."));
}

}  // namespace
}  // namespace forgecheck
