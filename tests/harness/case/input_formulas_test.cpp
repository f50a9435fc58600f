// What make_inputs.h says of each input, computed here once more: a seed must mean the same inputs for ever.
#include <gtest/gtest.h>

#include "harness/case/make_inputs.h"
#include "harness/case/seeded.h"

namespace forgecheck {
namespace {

const std::string kModelOfInputFormulas =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=64,ffn_hidden_dim=24";
constexpr float kSqrt3 = 1.7320508F;

Inputs inputs_of(const std::string& text) {
  return make_inputs(parse_case_text(text));
}

/// v_i of an input.
std::int64_t draw(const std::string& name, std::uint64_t seed, std::int64_t i) {
  const std::uint64_t key = fnv1a64("input." + name) ^ splitmix64(seed);
  return static_cast<std::int64_t>(splitmix64(key + static_cast<std::uint64_t>(i)) >> 40);
}

std::vector<std::int64_t> draws(const std::string& name, std::uint64_t seed, std::int64_t count,
                                std::int64_t modulus) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < count; ++i) values.push_back(draw(name, seed, i) % modulus);
  return values;
}

void expect_floats(const Array& array, const std::string& name, std::uint64_t seed, float scale) {
  EXPECT_EQ(array.to<float>().data, seeded_tensor("input." + name, array.shape(), seed, scale, 0.0F).data);
}

/// A mask hides every fourth position, by chance.
std::vector<std::int64_t> mask_of(const std::string& name, std::uint64_t seed, std::int64_t count) {
  std::vector<std::int64_t> mask = draws(name, seed, count, 4);
  for (std::int64_t& value : mask) value = value != 0 ? 1 : 0;
  return mask;
}

bool hides_nothing(const std::vector<std::int64_t>& mask) {
  return std::ranges::count(mask, 0) == 0;
}

TEST(InputFormulas, MasksHideWhereFourDividesTheDraw) {
  const Inputs text =
      inputs_of("dense[" + kModelOfInputFormulas + "]/batch=3,text_len=8,embeds=true,padding=true/seed=1");
  EXPECT_EQ(text.key_padding_mask->to_int64().data, mask_of("key_padding_mask", 1, 24));
  const Inputs images =
      inputs_of("cross_attention[" + kModelOfInputFormulas +
                ",max_text_len=8]/batch=3,text_len=5,image_tokens=6,image_mask=true/seed=2");
  EXPECT_EQ(images.image_mask->to_int64().data, mask_of("image_mask", 2, 18));
  const Inputs video = inputs_of("joint_decoder[" + kModelOfInputFormulas +
                                 ",max_text_len=8,adapter.type=linear,feature_dim=6]/" +
                                 "batch=4,text_len=5,patches=2,frames=5,padding=true/seed=3");
  EXPECT_EQ(video.frame_mask->to_int64().data, mask_of("frame_mask", 3, 20));
}

TEST(InputFormulas, AMaskThatWouldHideNothingHidesTheEndOfTheFirstRow) {
  std::int64_t changed = 0;
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const Inputs inputs =
        inputs_of("dense[" + kModelOfInputFormulas +
                  "]/batch=2,text_len=2,embeds=true,padding=true/seed=" + std::to_string(seed));
    std::vector<std::int64_t> expected = mask_of("key_padding_mask", seed, 4);
    if (hides_nothing(expected)) {
      expected[1] = 0;
      ++changed;
    }
    EXPECT_EQ(inputs.key_padding_mask->to_int64().data, expected) << seed;
  }
  EXPECT_GT(changed, 5);
  EXPECT_LT(changed, 35);
}

TEST(InputFormulas, AMaskOfRowsOfOnePositionMayHideNothing) {
  std::int64_t nothing = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Inputs inputs =
        inputs_of("dense[" + kModelOfInputFormulas +
                  "]/batch=2,text_len=1,embeds=true,padding=true/seed=" + std::to_string(seed));
    const std::vector<std::int64_t> expected = mask_of("key_padding_mask", seed, 2);
    EXPECT_EQ(inputs.key_padding_mask->to_int64().data, expected) << seed;
    nothing += hides_nothing(expected) ? 1 : 0;
  }
  EXPECT_GT(nothing, 0);
}

// Uniform in [-sqrt(3), sqrt(3)): variance 1, as embeddings have it.
TEST(InputFormulas, EmbeddingsAndFeaturesHaveVarianceOne) {
  const Inputs prefix = inputs_of("joint_decoder[" + kModelOfInputFormulas +
                                  ",max_text_len=8]/batch=2,text_len=5,image_tokens=3/seed=4");
  expect_floats(*prefix.prefix_embeds, "prefix_embeds", 4, kSqrt3);
  const Inputs images = inputs_of("cross_attention[" + kModelOfInputFormulas +
                                  ",max_text_len=8]/batch=2,text_len=5,image_tokens=3/seed=5");
  expect_floats(*images.image_features, "image_features", 5, kSqrt3);
  const Inputs vision =
      inputs_of("joint_decoder[" + kModelOfInputFormulas +
                ",max_text_len=8,adapter.type=linear,feature_dim=6]/batch=2,text_len=5,patches=4/seed=6");
  expect_floats(*vision.vision_features, "vision_features", 6, kSqrt3);
}

TEST(InputFormulas, GumbelNoiseHasScaleTwo) {
  const Inputs inputs = inputs_of("moma[" + kModelOfInputFormulas +
                                  ",max_text_len=8]/batch=2,text_len=5,image_tokens=3/seed=7/train");
  ASSERT_EQ(inputs.gumbel.size(), 4U);
  for (const auto& [key, noise] : inputs.gumbel) expect_floats(noise, "gumbel." + key, 7, 2.0F);
}

// A frame that is masked takes its tokens out of the image's; the text is there always.
TEST(InputFormulas, GumbelNoiseOfAVideoHasARowForEachTokenOfTheFramesThatAreSeen) {
  const Inputs inputs =
      inputs_of("moma[" + kModelOfInputFormulas + ",max_text_len=8,adapter.type=avgpool,feature_dim=6]/" +
                "batch=2,text_len=5,patches=9,frames=3,padding=true/seed=8/train");
  const std::vector<std::int64_t> seen = inputs.frame_mask->to_int64().data;
  const std::int64_t frames = std::ranges::count(seen, 1);
  ASSERT_LT(frames, 6);
  ASSERT_GT(frames, 0);
  // 3 x 3 patches in windows of 2 x 2 are 4 tokens a frame.
  EXPECT_EQ(inputs.gumbel.at("layers.0.image").shape(), (Shape{4 * frames, 4}));
  EXPECT_EQ(inputs.gumbel.at("layers.0.text").shape(), (Shape{2 * 5, 4}));
}

TEST(InputFormulas, LabelsAndInterleavedModalitiesAreDraws) {
  const Inputs loss =
      inputs_of("dense[" + kModelOfInputFormulas + "]/batch=2,text_len=6/seed=9/loss=cross_entropy");
  EXPECT_EQ(loss.labels->to_int64().data, draws("labels", 9, 12, 31));
  for (const std::string arch : {"mot[num_image_tokens=3,", "moma["}) {
    const Inputs mixed = inputs_of(arch + kModelOfInputFormulas + ",max_text_len=8]/batch=2,text_len=5," +
                                   "image_tokens=3,interleaved=true/seed=10");
    EXPECT_EQ(mixed.modality_ids->to_int64().data, draws("modality_ids", 10, 16, 2));
  }
}

TEST(InputFormulas, DocumentsAreOfOneLengthAndBeginAPositionEarlierInEachRow) {
  const Inputs inputs =
      inputs_of("dense[" + kModelOfInputFormulas + "]/batch=3,text_len=9,documents=3/seed=1");
  EXPECT_EQ(inputs.doc_ids->to_int64().data, (std::vector<std::int64_t>{0, 0, 0, 1, 1, 1, 2, 2, 2,  //
                                                                        0, 0, 1, 1, 1, 2, 2, 2, 2,  //
                                                                        0, 1, 1, 1, 2, 2, 2, 2, 2}));
}

}  // namespace
}  // namespace forgecheck
