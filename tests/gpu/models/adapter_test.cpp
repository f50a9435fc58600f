// The rules for vision features, which the host checks before it uses the device.
#include "gpu/models/adapter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "harness/backend/problem.h"
#include "reference/error.h"

namespace forgecheck::gpu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kModel =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24,max_text_len=16,feature_dim="
    "6,"
    "adapter.type=avgpool";

Problem problem_of(const std::string& arch, const std::string& rest) {
  return seeded_problem(parse_case_text(arch + "[" + kModel + "]/" + rest));
}

std::string refusal(const Problem& problem) {
  try {
    after_adapter(problem.definition.architecture, problem.inputs);
  } catch (const ShapeError& error) {
    return error.what();
  }
  return "no error";
}

Array values(const Shape& shape) {
  return Array::from(Tensor<float>(shape));
}

TEST(BehindAdapter, FramesAreJoinedAndMaskedInFrontOfTheText) {
  Problem problem = problem_of("joint_decoder", "batch=2,text_len=3,patches=4,frames=2,padding=true/seed=1");
  problem.inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 2}, {1, 0, 0, 1}));
  const Inputs inputs = after_adapter(problem.definition.architecture, problem.inputs);
  EXPECT_FALSE(inputs.vision_features || inputs.frame_mask || inputs.image_features);
  EXPECT_EQ(inputs.prefix_embeds->shape(), (Shape{2, 2, 16}));  // a 2x2 grid becomes one token
  EXPECT_THAT(inputs.key_padding_mask->to_int64().data, ElementsAre(1, 0, 1, 1, 1, 0, 1, 1, 1, 1));
}

TEST(BehindAdapter, UnderCrossAttentionTheyAreASideChannel) {
  Problem problem =
      problem_of("cross_attention", "batch=1,text_len=3,patches=16,frames=2,padding=true/seed=1");
  problem.inputs.frame_mask = Array::from(Tensor<std::uint8_t>({1, 2}, {0, 1}));
  const Inputs inputs = after_adapter(problem.definition.architecture, problem.inputs);
  EXPECT_FALSE(inputs.prefix_embeds || inputs.key_padding_mask);
  EXPECT_EQ(inputs.image_features->shape(), (Shape{1, 8, 16}));  // 4x4 patches become four tokens a frame
  EXPECT_THAT(inputs.image_mask->to_int64().data, ElementsAre(0, 0, 0, 0, 1, 1, 1, 1));
}

TEST(BehindAdapter, InputsWithoutVisionStayAsTheyAre) {
  const Problem problem = problem_of("joint_decoder", "batch=2,text_len=3,image_tokens=4/seed=1");
  const Inputs inputs = after_adapter(problem.definition.architecture, problem.inputs);
  EXPECT_EQ(inputs.prefix_embeds->bytes().data(), problem.inputs.prefix_embeds->bytes().data());
}

TEST(BehindAdapter, EveryRuleHasItsMessage) {
  const Problem good = problem_of("joint_decoder", "batch=2,text_len=3,patches=4/seed=1");
  EXPECT_EQ(refusal(good), "no error");
  const auto changed = [&](const std::function<void(Problem&)>& change) {
    Problem problem = good;
    change(problem);
    return refusal(problem);
  };
  EXPECT_THAT(changed([](Problem& p) { p.definition.architecture.adapter.reset(); }),
              HasSubstr("needs an adapter"));
  EXPECT_THAT(changed([](Problem& p) { p.definition.architecture.feature_dim = 0; }),
              HasSubstr("needs an adapter"));
  EXPECT_EQ(
      changed([](Problem& p) {
        p.inputs.vision_features = values({2, 4, 5});
      }),
      "[adapter] vision_features has shape 2x4x5, expected (batch, [frames,] patches, feature_dim = 6)");
  EXPECT_THAT(changed([](Problem& p) {
                p.inputs.vision_features = values({4, 6});
              }),
              HasSubstr("has shape 4x6"));
  EXPECT_THAT(changed([](Problem& p) {
                p.inputs.vision_features = values({1, 1, 1, 4, 6});
              }),
              HasSubstr("has shape 1x1x1x4x6"));
  EXPECT_EQ(changed([](Problem& p) {
              p.inputs.vision_features = Array::from(Tensor<std::int64_t>({2, 4, 6}));
            }),
            "[adapter] vision_features has type int64, expected a floating point type");
  EXPECT_THAT(changed([](Problem& p) {
                p.inputs.prefix_embeds = values({2, 1, 16});
              }),
              HasSubstr("excludes"));
  EXPECT_THAT(changed([](Problem& p) {
                p.inputs.image_features = values({2, 1, 16});
              }),
              HasSubstr("excludes"));
  EXPECT_THAT(changed([](Problem& p) {
                p.inputs.inputs_embeds = values({2, 1, 16});
              }),
              HasSubstr("excludes"));
  EXPECT_EQ(changed([](Problem& p) {
              p.inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 1}));
            }),
            "[adapter] frame_mask needs vision_features with frames");
  EXPECT_EQ(changed([](Problem& p) {
              p.inputs.vision_features.reset();
              p.inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 1}));
            }),
            "[adapter] frame_mask needs vision_features with frames");
  EXPECT_EQ(changed([](Problem& p) {
              p.inputs.vision_features = values({2, 2, 4, 6});
              p.inputs.frame_mask = Array::from(Tensor<std::uint8_t>({2, 3}));
            }),
            "[adapter] frame_mask has shape 2x3, expected 2x2");
  EXPECT_EQ(changed([](Problem& p) {
              p.inputs.vision_features = values({2, 2, 4, 6});
              p.inputs.frame_mask = Array::from(Tensor<std::int64_t>({2, 2}));
            }),
            "[adapter] frame_mask has type int64, expected bool");
}

}  // namespace
}  // namespace forgecheck::gpu
