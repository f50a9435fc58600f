// Sizes that contradict each other or would be ignored, and cases that no memory holds, are refused by name.
#include <gtest/gtest.h>

#include "harness/case/make_inputs.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

const std::string kModelOfMakeInputsRefusal =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=64,ffn_hidden_dim=24";
const std::string kVlm = "[" + kModelOfMakeInputsRefusal +
                         ",max_text_len=32,adapter.type=linear,feature_dim=4]/batch=1,text_len=4,";

template <class Work>
std::string message_of(const Work& work) {
  try {
    work();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "(accepted)";
}

std::string rejection(const std::string& text) {
  return message_of([&] { make_inputs(parse_case_text(text)); });
}

TEST(MakeInputs, FramesWithoutPatchesAreRefused) {
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "frames=2"), "inputs.frames = 2: frames need patches");
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "frames=2,patches=3"), "(accepted)");
}

TEST(MakeInputs, ImagesBesideEmbedsAreRefused) {
  const std::string rule = ": embeds = true is the whole sequence, images included";
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "embeds=true,image_tokens=3"),
            "inputs.image_tokens = 3" + rule);
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "embeds=true,patches=3"), "inputs.patches = 3" + rule);
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "embeds=true,patches=3,frames=2"),
            "inputs.patches = 3" + rule);
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "embeds=true"), "(accepted)");
}

TEST(MakeInputs, DecodingNeedsTokens) {
  EXPECT_EQ(rejection("dense/text_len=4,embeds=true/decode=3+1"),
            "inputs.embeds = true: case.run = decode needs tokens");
  EXPECT_EQ(rejection("dense/text_len=4,embeds=true/generate=2"),
            "inputs.embeds = true: case.run = generate needs tokens");
  EXPECT_EQ(rejection("dense/text_len=4,embeds=true/loss=cross_entropy"), "(accepted)");
}

TEST(MakeInputs, ImageTokensBesidePatchesAreRefused) {
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "image_tokens=5,patches=3"),
            "inputs.image_tokens = 5: the adapter makes them of patches = 3");
}

TEST(MakeInputs, PatchesWithoutAnAdapterAreRefused) {
  EXPECT_EQ(
      rejection("joint_decoder[" + kModelOfMakeInputsRefusal + ",max_text_len=32]/text_len=4,patches=3"),
      "inputs.patches: vision features need an adapter");
}

TEST(MakeInputs, AnotherNumberOfImageTokensThanTheModelsIsRefused) {
  const std::string mot =
      "mot[" + kModelOfMakeInputsRefusal + ",max_text_len=32,num_image_tokens=4]/text_len=4";
  EXPECT_EQ(rejection(mot + ",image_tokens=2"), "inputs.image_tokens = 2: must be num_image_tokens = 4");
  EXPECT_EQ(rejection(mot), "inputs.image_tokens = 0: must be num_image_tokens = 4");
  EXPECT_EQ(rejection(mot + ",image_tokens=4"), "(accepted)");
  EXPECT_EQ(rejection(mot + ",embeds=true"), "(accepted)");
}

TEST(MakeInputs, AnImageMaskWithoutImageTokensBesideTheTextIsRefused) {
  const std::string message =
      "inputs.image_mask = true: only the image_tokens of cross_attention have one (frames have padding)";
  EXPECT_EQ(rejection("cross_attention" + kVlm + "image_tokens=2,image_mask=true"), "(accepted)");
  EXPECT_EQ(rejection("cross_attention" + kVlm + "image_mask=true"), message);
  EXPECT_EQ(rejection("cross_attention" + kVlm + "patches=2,image_mask=true"), message);
  EXPECT_EQ(rejection("cross_attention" + kVlm + "embeds=true,image_mask=true"), message);
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "image_tokens=2,image_mask=true"), message);
  EXPECT_EQ(rejection("dense[" + kModelOfMakeInputsRefusal + "]/image_mask=true"), message);
}

TEST(MakeInputs, InterleavedModalitiesWhereThereAreNoneAreRefused) {
  const std::string message = "inputs.interleaved = true: only mot and moma have modalities";
  EXPECT_EQ(rejection("dense[" + kModelOfMakeInputsRefusal + "]/interleaved=true"), message);
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "image_tokens=2,interleaved=true"), message);
  EXPECT_EQ(rejection("cross_attention" + kVlm + "image_tokens=2,interleaved=true"), message);
  EXPECT_EQ(rejection("moma" + kVlm + "image_tokens=2,interleaved=true"), "(accepted)");
}

TEST(MakeInputs, IgnoredLabelsWhereThereAreNoneAreRefused) {
  const std::string text = "dense[" + kModelOfMakeInputsRefusal + "]/ignore_labels=true";
  EXPECT_EQ(rejection(text), "inputs.ignore_labels = true: case.run = forward has no labels");
  EXPECT_EQ(rejection(text + "/generate=3"),
            "inputs.ignore_labels = true: case.run = generate has no labels");
  EXPECT_EQ(rejection(text + "/decode=8"), "inputs.ignore_labels = true: case.run = decode has no labels");
  EXPECT_EQ(rejection(text + "/loss=cross_entropy"), "(accepted)");
  EXPECT_EQ(rejection(text + "/gradients=cross_entropy"), "(accepted)");
}

TEST(MakeInputs, DocumentsThatRecurWhereThereAreNoneAreRefused) {
  const std::string text = "dense[" + kModelOfMakeInputsRefusal + "]/documents_recur=true";
  EXPECT_EQ(rejection(text), "inputs.documents_recur = true: there are no documents");
  EXPECT_EQ(rejection(text + ",documents=1"), "(accepted)");
}

TEST(MakeInputs, AScaleOfNothingIsRefused) {
  const std::string message = "inputs.scale = 0.5: scales embeddings and features, and there are none";
  const std::string text = "dense[" + kModelOfMakeInputsRefusal + "]/scale=";
  EXPECT_EQ(rejection(text + "0.5"), message);
  EXPECT_EQ(rejection(text + "1"), "(accepted)");
  EXPECT_EQ(rejection(text + "0.5,embeds=true"), "(accepted)");
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "image_tokens=2,scale=0"), "(accepted)");
  EXPECT_EQ(rejection("joint_decoder" + kVlm + "patches=2,scale=0.5"), "(accepted)");
}

// ---- memory ----

/// "needs about N GiB", as a number; -1 where the case fits.
double gib_needed(const std::string& text) {
  const Case value = parse_case_text(text);
  const std::string message = message_of([&] { require_memory(value); });
  const std::string begin = "case " + case_text(value) + ": needs about ";
  if (message == "(accepted)") return -1;
  EXPECT_TRUE(message.starts_with(begin)) << message;
  EXPECT_NE(message.find(" GiB, this machine has "), std::string::npos) << message;
  return std::stod(message.substr(std::min(message.size(), begin.size())));
}

TEST(RequireMemory, ASmallCaseFits) {
  EXPECT_EQ(gib_needed("dense[" + kModelOfMakeInputsRefusal + "]"), -1);
}

// Weights as float32, here and in a backend: 8 bytes each, 48 * 2^20 an expert. The traces of 2^21 positions
// do not fit: experts change the weights, and nothing else.
TEST(RequireMemory, CountsTheWeights) {
  const auto with_experts = [](const std::string& count) {
    return gib_needed(
        "moe[dim=4096,n_layers=1,n_heads=32,ffn_hidden_dim=4096,vocab_size=64,max_seq_len=2097152,num_"
        "experts=" +
        count + "]/batch=1,text_len=2097152");
  };
  EXPECT_NEAR(with_experts("18") - with_experts("2"), 8 * 16 * 48.0 / 1024, 1);
}

// Of more than 2^30 only the largest matrix, 2^34 here, is ever in memory.
TEST(RequireMemory, CountsTheLargestOfManyWeights) {
  EXPECT_EQ(
      gib_needed("dense[dim=65536,n_layers=64,n_heads=64,vocab_size=262144,ffn_hidden_dim=65536]/batch=0"),
      8 * 16);
}

// Three traces in float64 of 12 D + 3 F numbers a layer and V logits for each position:
// 24 * (2 * (12 * 16 + 3 * 24) + 31) = 13416 bytes.
TEST(RequireMemory, CountsThePositionsOfTextImagesAndFrames) {
  const std::string text = "joint_decoder[" + kModelOfMakeInputsRefusal +
                           ",max_text_len=32,adapter.type=linear,feature_dim=4]" +
                           "/batch=1073741824,text_len=1024";
  EXPECT_EQ(gib_needed(text), 1024.0 * 13416);
  EXPECT_EQ(gib_needed(text + ",image_tokens=1024"), 2048.0 * 13416);
  EXPECT_EQ(gib_needed(text + ",patches=512"), 1536.0 * 13416);
  EXPECT_EQ(gib_needed(text + ",patches=512,frames=4"), 3072.0 * 13416);
}

}  // namespace
}  // namespace forgecheck
