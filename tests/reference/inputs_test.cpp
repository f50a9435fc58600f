// Every rule of the forward call, identified by its message.
#include "reference/inputs.h"

#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

const Array kTokens = integers({1, 2}, {1, 2});
const Array kEmbeds = Array::from(Tensor<float>({1, 2, 8}));
const Array kTwoImages = Array::from(Tensor<float>({1, 2, 8}));
const Array kTwoBooleans = Array::from(Tensor<std::uint8_t>({1, 2}, {1, 1}));
const Array kFourBooleans = Array::from(Tensor<std::uint8_t>({1, 4}, {1, 1, 1, 1}));

std::string rejection(const Inputs& inputs, const Architecture& architecture = small_text(),
                      bool with_kv_cache = false) {
  return message_of([&] { validate_inputs(architecture, inputs, with_kv_cache); });
}

/// Two text tokens after a prefix of two.
Inputs with_prefix(bool with_modality_ids = false) {
  Inputs inputs;
  inputs.tokens = kTokens;
  inputs.prefix_embeds = kTwoImages;
  if (with_modality_ids) inputs.modality_ids = integers({1, 4}, {0, 0, 1, 1});
  return inputs;
}

TEST(ForwardRules, ExactlyOneOfTokensAndInputsEmbeds) {
  EXPECT_EQ(rejection({}), "[forward] exactly one of tokens and inputs_embeds must be given, got neither");
  Inputs both;
  both.tokens = kTokens;
  EXPECT_EQ(rejection(both), "");
  both.inputs_embeds = kEmbeds;
  EXPECT_EQ(rejection(both), "[forward] exactly one of tokens and inputs_embeds must be given, got both");
  both.tokens.reset();
  EXPECT_EQ(rejection(both), "");
}

TEST(ForwardRules, AtMostOneRouteForImages) {
  const std::string message =
      "[forward] at most one of inputs_embeds, prefix_embeds and image_features may be given";
  Inputs inputs = with_prefix();
  inputs.image_features = kTwoImages;
  EXPECT_EQ(rejection(inputs), message);
  Inputs embeds;
  embeds.inputs_embeds = kEmbeds;
  embeds.prefix_embeds = kTwoImages;
  EXPECT_EQ(rejection(embeds), message);
  embeds.prefix_embeds.reset();
  embeds.image_features = kTwoImages;
  EXPECT_EQ(rejection(embeds), message);
}

TEST(ForwardRules, ImageMaskNeedsImageFeatures) {
  Inputs inputs = with_prefix();
  inputs.image_mask = kTwoBooleans;
  EXPECT_EQ(rejection(inputs), "[forward] image_mask needs image_features");
}

TEST(ForwardRules, ModalityIdsNeedAnExtendedResidual) {
  Inputs inputs;
  inputs.tokens = kTokens;
  inputs.modality_ids = integers({1, 2}, {1, 1});
  EXPECT_EQ(rejection(inputs), "[forward] modality_ids needs prefix_embeds or inputs_embeds");
  inputs.image_features = kTwoImages;
  EXPECT_EQ(rejection(inputs), "[forward] modality_ids needs prefix_embeds or inputs_embeds");
  EXPECT_EQ(rejection(with_prefix(true)), "");
}

TEST(ForwardRules, KeyPaddingMaskNeedsAnExtendedResidual) {
  Inputs inputs;
  inputs.tokens = kTokens;
  inputs.key_padding_mask = kTwoBooleans;
  EXPECT_EQ(rejection(inputs), "[forward] key_padding_mask needs prefix_embeds or inputs_embeds");
  inputs.tokens.reset();
  inputs.inputs_embeds = kEmbeds;
  EXPECT_EQ(rejection(inputs), "");
}

TEST(ForwardRules, KvCacheForbidsEverythingThatChangesTheSequence) {
  const auto with_cache = [](const Inputs& inputs, VlmArch arch = VlmArch::joint_decoder) {
    return rejection(inputs, small_vlm(arch), true);
  };
  Inputs plain;
  plain.tokens = kTokens;
  EXPECT_EQ(with_cache(plain), "");
  Inputs sliced = plain;
  sliced.output_slice = OutputSlice{1, std::nullopt};
  EXPECT_EQ(with_cache(sliced), "[forward] output_slice cannot be combined with a KV cache");
  EXPECT_EQ(with_cache(with_prefix()), "[forward] prefix_embeds cannot be combined with a KV cache");
  Inputs images = plain;
  images.image_features = kTwoImages;
  EXPECT_EQ(with_cache(images, VlmArch::cross_attention),
            "[forward] image_features cannot be combined with a KV cache");
  Inputs embeds;
  embeds.inputs_embeds = kEmbeds;
  EXPECT_EQ(with_cache(embeds), "");
  embeds.modality_ids = integers({1, 2}, {1, 1});
  EXPECT_EQ(with_cache(embeds, VlmArch::mot), "[forward] modality_ids cannot be combined with a KV cache");
  Inputs documents = plain;
  documents.doc_ids = integers({1, 2}, {0, 1});
  EXPECT_EQ(with_cache(documents), "[forward] doc_ids cannot be combined with a KV cache");
  Inputs padded;
  padded.inputs_embeds = kEmbeds;
  padded.key_padding_mask = kTwoBooleans;
  EXPECT_EQ(with_cache(padded), "[forward] key_padding_mask cannot be combined with a KV cache");
}

TEST(ForwardRules, MomaHasNoKvCache) {
  EXPECT_EQ(rejection(with_prefix(true), small_vlm(VlmArch::moma), true),
            "[forward] a KV cache is not possible with moma: expert choice is not causal");
}

TEST(ForwardRules, ModalityIdsAreInt64OfTheResidualsShape) {
  Inputs inputs = with_prefix();
  inputs.modality_ids = kFourBooleans;
  EXPECT_EQ(rejection(inputs), "[forward] modality_ids has type bool, expected int64");
  inputs.modality_ids = Array::from(Tensor<float>({1, 4}));
  EXPECT_EQ(rejection(inputs), "[forward] modality_ids has type float32, expected int64");
  inputs.modality_ids = integers({1, 2}, {1, 1});  // for the text only
  EXPECT_EQ(rejection(inputs), "[forward] modality_ids has shape 1x2, expected 1x4");
  inputs.modality_ids = integers({4}, {0, 0, 1, 1});
  EXPECT_EQ(rejection(inputs), "[forward] modality_ids has shape 4, expected 2 axes");
}

TEST(ForwardRules, MotAndMomaRequireModalityIds) {
  EXPECT_EQ(rejection(with_prefix(), small_vlm(VlmArch::mot)),
            "[forward] modality_ids is required by arch = mot");
  EXPECT_EQ(rejection(with_prefix(), small_vlm(VlmArch::moma)),
            "[forward] modality_ids is required by arch = moma");
  EXPECT_EQ(rejection(with_prefix(true), small_vlm(VlmArch::moma)), "");
}

TEST(ForwardRules, MomaCountsIdsOutOfRange) {
  Inputs inputs = with_prefix();
  inputs.modality_ids = integers({1, 4}, {0, 2, -1, 1});
  EXPECT_EQ(rejection(inputs, small_vlm(VlmArch::moma)),
            "[forward] modality_ids has 2 of 4 values outside 0 .. 1");
  // MoT splits by position and never reads them.
  Architecture mot = small_vlm(VlmArch::mot);
  mot.num_image_tokens = 2;
  EXPECT_EQ(rejection(inputs, mot), "");
}

TEST(ForwardRules, MotHandlesImageAndTextOnly) {
  Architecture architecture = small_vlm(VlmArch::mot);
  architecture.vlm->mot_modalities = {"image", "text", "audio"};
  EXPECT_EQ(rejection(with_prefix(true), architecture),
            "[forward] vlm.mot_modalities has 3 entries: the forward call handles image and text only");
}

TEST(ForwardRules, MotNeedsItsImageTokens) {
  Architecture architecture = small_vlm(VlmArch::mot);
  architecture.num_image_tokens = 5;
  EXPECT_EQ(rejection(with_prefix(true), architecture),
            "[forward] num_image_tokens = 5 is more than the residual length 4");
}

TEST(ForwardRules, CrossAttentionNeedsImagesWhereABlockFires) {
  Architecture architecture = small_vlm(VlmArch::cross_attention);
  Inputs inputs;
  inputs.tokens = kTokens;
  EXPECT_EQ(rejection(inputs, architecture),
            "[forward] image_features is required by arch = cross_attention");
  architecture.vlm->cross_attention_every_n_layers = 3;  // the only block stands after the last layer
  EXPECT_EQ(rejection(inputs, architecture),
            "[forward] image_features is required by arch = cross_attention");
  architecture.vlm->cross_attention_every_n_layers = 4;  // past the last of 3 layers
  EXPECT_EQ(rejection(inputs, architecture), "");
}

TEST(ForwardRules, SequenceMustFit) {
  Architecture architecture = small_text();
  architecture.model.max_seq_len = 4;
  EXPECT_EQ(rejection(with_prefix(), architecture), "");
  architecture.model.max_seq_len = 3;
  EXPECT_EQ(rejection(with_prefix(), architecture),
            "[forward] a sequence of 4 positions is past model.max_seq_len = 3");
}

// There are no weights: arithmetic would fail with another message.
TEST(ForwardRules, AreCheckedBeforeAnyArithmetic) {
  Weights<double> none;
  Inputs inputs = with_prefix();
  inputs.image_mask = kTwoBooleans;
  EXPECT_EQ(message_of([&] { run_model(small_text(), none, inputs); }),
            "[forward] image_mask needs image_features");
  inputs = with_prefix();
  inputs.doc_ids = integers({1, 1}, {0});
  EXPECT_EQ(message_of([&] { run_model(small_text(), none, inputs); }),
            "[forward] doc_ids has shape 1x1, expected 1x4");
  EXPECT_EQ(message_of([&] { run_model(small_text(), none, with_prefix()); }),
            "parameter token_embedding.embedding.weight is missing");
}

// What Python's list(range(5))[start:stop] gives.
TEST(OutputSlice, FollowsPythonsSliceRules) {
  using Range = std::pair<std::int64_t, std::int64_t>;
  EXPECT_EQ((OutputSlice{}).resolve(5), Range(0, 5));
  EXPECT_EQ((OutputSlice{2, 4}).resolve(5), Range(2, 4));
  EXPECT_EQ((OutputSlice{-2, std::nullopt}).resolve(5), Range(3, 5));
  EXPECT_EQ((OutputSlice{std::nullopt, -1}).resolve(5), Range(0, 4));
  EXPECT_EQ((OutputSlice{-9, 2}).resolve(5), Range(0, 2));
  EXPECT_EQ((OutputSlice{1, 99}).resolve(5), Range(1, 5));
  const auto [begin, end] = OutputSlice{4, 2}.resolve(5);  // empty
  EXPECT_EQ(begin, end);
  const auto [far_begin, far_end] = OutputSlice{7, std::nullopt}.resolve(5);
  EXPECT_EQ(far_begin, far_end);
}

}  // namespace
}  // namespace forgecheck
