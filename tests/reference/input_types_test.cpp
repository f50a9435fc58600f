// The types and shapes of the inputs of a forward call, identified by their messages.
#include "reference/inputs.h"

#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

const Array kTokens = integers({1, 2}, {1, 2});
const Array kTwoBooleans = Array::from(Tensor<std::uint8_t>({1, 2}, {1, 1}));

std::string rejection(const Inputs& inputs, const Architecture& architecture = small_text()) {
  return message_of([&] { validate_inputs(architecture, inputs, false); });
}

/// Two text tokens after a prefix of two.
Inputs with_prefix() {
  Inputs inputs;
  inputs.tokens = kTokens;
  inputs.prefix_embeds = Array::from(Tensor<float>({1, 2, 8}));
  return inputs;
}

TEST(ForwardRules, TypesAndShapesAreChecked) {
  Inputs inputs = with_prefix();
  inputs.tokens = Array::from(Tensor<float>({1, 2}));
  EXPECT_EQ(rejection(inputs), "[forward] tokens has type float32, expected int64");
  inputs.tokens = integers({2}, {1, 2});
  EXPECT_EQ(rejection(inputs), "[forward] tokens has shape 2, expected 2 axes");
  inputs.tokens = Array::from(Ids({0, 2}));
  EXPECT_EQ(rejection(inputs), "[forward] the text has shape 0x2: nothing to compute");
  inputs.tokens = Array::from(Ids({1, 0}));
  EXPECT_EQ(rejection(inputs), "[forward] the text has shape 1x0: nothing to compute");
  inputs = with_prefix();
  inputs.prefix_embeds = Array::from(Tensor<float>({1, 2, 7}));
  EXPECT_EQ(rejection(inputs), "[forward] prefix_embeds has shape 1x2x7, expected 1x2x8");
  inputs.prefix_embeds = Array::from(Tensor<float>({2, 2, 8}));
  EXPECT_EQ(rejection(inputs), "[forward] prefix_embeds has shape 2x2x8, expected 1x2x8");
  inputs = with_prefix();
  inputs.doc_ids = integers({1, 2}, {0, 0});
  EXPECT_EQ(rejection(inputs), "[forward] doc_ids has shape 1x2, expected 1x4");
  inputs = {};
  inputs.tokens = kTokens;
  inputs.image_features = Array::from(Tensor<float>({1, 0, 8}));
  EXPECT_EQ(rejection(inputs), "[forward] image_features has shape 1x0x8: no tokens");
  inputs.image_features = Array::from(Tensor<float>({2, 2, 8}));  // another batch than the text's
  EXPECT_EQ(rejection(inputs), "[forward] image_features has shape 2x2x8, expected 1x2x8");
}

// Each tensor once with another type, another number of axes and another size.
TEST(ForwardRules, EveryTensorHasItsTypeAndShape) {
  const auto type = [](const std::string& name, const std::string& message) {
    return "[forward] " + name + " has type " + message;
  };
  const auto shape = [](const std::string& name, const std::string& message) {
    return "[forward] " + name + " has shape " + message;
  };
  const Array integer_embeds = Array::from(Ids({1, 2, 8})), flat = Array::from(Tensor<float>(Shape{8}));
  const Array narrow = Array::from(Tensor<float>({1, 2, 7})), float_mask = Array::from(Tensor<float>({1, 2}));
  const std::string floating = "int64, expected a floating point type";

  const auto with = [](std::optional<Array> Inputs::*field, const Array& value, Inputs inputs) {
    inputs.*field = value;
    return rejection(inputs);
  };
  const Inputs none;
  EXPECT_EQ(with(&Inputs::inputs_embeds, integer_embeds, none), type("inputs_embeds", floating));
  EXPECT_EQ(with(&Inputs::inputs_embeds, flat, none), shape("inputs_embeds", "8, expected 3 axes"));
  EXPECT_EQ(with(&Inputs::inputs_embeds, narrow, none), shape("inputs_embeds", "1x2x7, expected 1x2x8"));
  Inputs text;
  text.tokens = kTokens;
  for (const auto& [name, field] : {std::pair("prefix_embeds", &Inputs::prefix_embeds),
                                    std::pair("image_features", &Inputs::image_features)}) {
    EXPECT_EQ(with(field, integer_embeds, text), type(name, floating));
    EXPECT_EQ(with(field, flat, text), shape(name, "8, expected 3 axes"));
    EXPECT_EQ(with(field, narrow, text), shape(name, "1x2x7, expected 1x2x8"));
  }
  Inputs images = text;
  images.image_features = Array::from(Tensor<float>({1, 3, 8}));
  EXPECT_EQ(with(&Inputs::image_mask, kTwoBooleans, images), shape("image_mask", "1x2, expected 1x3"));
  EXPECT_EQ(with(&Inputs::image_mask, float_mask, images), type("image_mask", "float32, expected bool"));
  EXPECT_EQ(with(&Inputs::key_padding_mask, kTwoBooleans, with_prefix()),
            shape("key_padding_mask", "1x2, expected 1x4"));
  EXPECT_EQ(with(&Inputs::key_padding_mask, float_mask, with_prefix()),
            type("key_padding_mask", "float32, expected bool"));
  EXPECT_EQ(with(&Inputs::doc_ids, float_mask, text), type("doc_ids", "float32, expected int64"));
}

TEST(ForwardRules, IntegersAreInt64AndMasksAreBool) {
  const auto of_type = [](Dtype dtype, const Shape& shape) { return Array(dtype, shape, nullptr); };
  for (const Dtype wrong : {Dtype::i32, Dtype::u8, Dtype::f16}) {
    const std::string type(torch_name(wrong));
    Inputs inputs;
    inputs.tokens = of_type(wrong, {1, 2});
    EXPECT_EQ(rejection(inputs), "[forward] tokens has type " + type + ", expected int64");
    inputs.tokens = kTokens;
    inputs.doc_ids = of_type(wrong, {1, 2});
    EXPECT_EQ(rejection(inputs), "[forward] doc_ids has type " + type + ", expected int64");
    inputs = with_prefix();
    inputs.key_padding_mask = of_type(wrong, {1, 4});
    EXPECT_EQ(rejection(inputs), "[forward] key_padding_mask has type " + type + ", expected bool");
  }
  Inputs inputs;
  inputs.tokens = kTwoBooleans;
  EXPECT_EQ(rejection(inputs), "[forward] tokens has type bool, expected int64");
  inputs.tokens = kTokens;
  inputs.image_features = of_type(Dtype::f16, {1, 2, 2});
  inputs.image_mask = integers({1, 2}, {1, 1});
  Architecture narrow = small_text();
  narrow.model.dim = 2;
  EXPECT_EQ(rejection(inputs, narrow), "[forward] image_mask has type int64, expected bool");
  inputs.image_mask = kTwoBooleans;
  EXPECT_EQ(rejection(inputs, narrow), "") << "float16 is a floating point type";
}

}  // namespace
}  // namespace forgecheck
