// Inputs from the seed only: the formula, the shapes of every architecture, and what a case asks for.
#include "harness/case/make_inputs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "harness/case/seeded.h"
#include "reference/inputs.h"

namespace forgecheck {
namespace {

const std::string kModelOfMakeInputs =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=64,ffn_hidden_dim=24";

Inputs made_inputs(const std::string& text) {
  return make_inputs(parse_case_text(text));
}

/// The names of the inputs that are there.
std::set<std::string> names_of(const Inputs& inputs) {
  std::set<std::string> names;
  Inputs::visit(inputs, [&](const std::string& name, const std::optional<Array>& array) {
    if (array) names.insert(name);
  });
  return names;
}

std::string bytes_of(const Inputs& inputs) {
  std::string text;
  const auto add = [&](const std::string& name, const Array& array) {
    text += name + to_string(array.shape()) + std::string(torch_name(array.dtype()));
    text.append(reinterpret_cast<const char*>(array.bytes().data()), array.bytes().size());
  };
  Inputs::visit(inputs, [&](const std::string& name, const std::optional<Array>& array) {
    if (array) add(name, *array);
  });
  for (const auto& [name, noise] : inputs.gumbel) add(name, noise);
  return text;
}

const std::string kEveryArchitecture[] = {
    "dense[" + kModelOfMakeInputs + "]/batch=2,text_len=9,documents=3/seed=3",
    "moe[" + kModelOfMakeInputs + ",num_experts=4]/batch=2,text_len=9/seed=3/loss=cross_entropy",
    "dense[" + kModelOfMakeInputs + "]/batch=2,text_len=9,embeds=true,padding=true/seed=3",
    "joint_decoder[" + kModelOfMakeInputs +
        ",max_text_len=32]/batch=2,text_len=9,image_tokens=4,padding=true/seed=3",
    "cross_attention[" + kModelOfMakeInputs +
        ",max_text_len=32]/batch=2,text_len=9,image_tokens=4,image_mask=true/seed=3",
    "mot[" + kModelOfMakeInputs +
        ",max_text_len=32,num_image_tokens=4]/batch=2,text_len=9,image_tokens=4/seed=3",
    "moma[" + kModelOfMakeInputs +
        ",max_text_len=32]/batch=2,text_len=9,image_tokens=4,padding=true/seed=3/train",
};

TEST(MakeInputs, AreTheSameEveryTime) {
  for (const std::string& text : kEveryArchitecture) {
    EXPECT_EQ(bytes_of(made_inputs(text)), bytes_of(made_inputs(text))) << text;
  }
}

TEST(MakeInputs, DependOnTheSeed) {
  for (std::string text : kEveryArchitecture) {
    const std::string before = bytes_of(made_inputs(text));
    text.replace(text.find("seed=3"), 6, "seed=4");
    EXPECT_NE(bytes_of(made_inputs(text)), before) << text;
  }
}

TEST(MakeInputs, AreAcceptedByTheirArchitecture) {
  for (const std::string& text : kEveryArchitecture) {
    const Case value = parse_case_text(text);
    EXPECT_NO_THROW(validate_inputs(value.architecture, make_inputs(value), false)) << text;
  }
}

TEST(MakeInputs, TokensFollowTheFormula) {
  const Inputs inputs = made_inputs("dense[" + kModelOfMakeInputs + "]/batch=2,text_len=5/seed=12");
  ASSERT_EQ(names_of(inputs), std::set<std::string>{"tokens"});
  ASSERT_EQ(inputs.tokens->shape(), (Shape{2, 5}));
  ASSERT_EQ(inputs.tokens->dtype(), Dtype::i64);
  const std::uint64_t key = fnv1a64("input.tokens") ^ splitmix64(12);
  for (std::int64_t i = 0; i < 10; ++i) {
    const std::uint64_t v = splitmix64(key + static_cast<std::uint64_t>(i)) >> 40;
    EXPECT_EQ(inputs.tokens->int_at(i), static_cast<std::int64_t>(v % 31));
  }
}

TEST(MakeInputs, TokensFillTheVocabulary) {
  const Inputs inputs = made_inputs("dense[" + kModelOfMakeInputs + "]/batch=40,text_len=40/seed=1");
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; i < inputs.tokens->size(); ++i) seen.insert(inputs.tokens->int_at(i));
  EXPECT_EQ(seen.size(), 31U);
  EXPECT_EQ(*seen.begin(), 0);
  EXPECT_EQ(*seen.rbegin(), 30);
}

TEST(MakeInputs, EmbedsComeInsteadOfTokens) {
  const Inputs inputs =
      made_inputs("dense[" + kModelOfMakeInputs + "]/batch=2,text_len=5,embeds=true,padding=true/seed=1");
  EXPECT_EQ(names_of(inputs), (std::set<std::string>{"inputs_embeds", "key_padding_mask"}));
  EXPECT_EQ(inputs.inputs_embeds->shape(), (Shape{2, 5, 16}));
  EXPECT_EQ(inputs.key_padding_mask->shape(), (Shape{2, 5}));
  EXPECT_EQ(inputs.key_padding_mask->dtype(), Dtype::boolean);
  const Tensor<float> expected = seeded_tensor("input.inputs_embeds", {2, 5, 16}, 1, 1.7320508F, 0.0F);
  EXPECT_EQ(inputs.inputs_embeds->to<float>().data, expected.data);
}

TEST(MakeInputs, ImagesStandInFrontOfTheText) {
  const Inputs joint = made_inputs("joint_decoder[" + kModelOfMakeInputs +
                                   ",max_text_len=32]/text_len=5,image_tokens=3,padding=true");
  EXPECT_EQ(names_of(joint), (std::set<std::string>{"tokens", "prefix_embeds", "key_padding_mask"}));
  EXPECT_EQ(joint.prefix_embeds->shape(), (Shape{2, 3, 16}));
  EXPECT_EQ(joint.key_padding_mask->shape(), (Shape{2, 8}));
}

TEST(MakeInputs, ImagesOfCrossAttentionStandBeside) {
  const Inputs cross = made_inputs("cross_attention[" + kModelOfMakeInputs +
                                   ",max_text_len=32]/text_len=5,image_tokens=3,image_mask=true,documents=2");
  EXPECT_EQ(names_of(cross), (std::set<std::string>{"tokens", "image_features", "image_mask", "doc_ids"}));
  EXPECT_EQ(cross.image_features->shape(), (Shape{2, 3, 16}));
  EXPECT_EQ(cross.image_mask->shape(), (Shape{2, 3}));
  EXPECT_EQ(cross.doc_ids->shape(), (Shape{2, 5}));
}

TEST(MakeInputs, VisionFeaturesHaveTheAdaptersWidth) {
  const std::string adapter = ",max_text_len=32,adapter.type=avgpool,feature_dim=6]";
  const Inputs image =
      made_inputs("joint_decoder[" + kModelOfMakeInputs + adapter + "/text_len=5,patches=16,padding=true");
  EXPECT_EQ(names_of(image), (std::set<std::string>{"tokens", "vision_features", "key_padding_mask"}));
  EXPECT_EQ(image.vision_features->shape(), (Shape{2, 16, 6}));
  EXPECT_EQ(image.key_padding_mask->shape(), (Shape{2, 4 + 5}));  // 16 patches pooled by 2 x 2
  const Inputs video = made_inputs("joint_decoder[" + kModelOfMakeInputs + adapter +
                                   "/text_len=5,patches=4,frames=3,padding=true");
  EXPECT_EQ(names_of(video), (std::set<std::string>{"tokens", "vision_features", "frame_mask"}));
  EXPECT_EQ(video.vision_features->shape(), (Shape{2, 3, 4, 6}));
  EXPECT_EQ(video.frame_mask->shape(), (Shape{2, 3}));
}

TEST(MakeInputs, ModalitiesAreIndicesIntoTheirList) {
  const std::string sizes = "/text_len=2,image_tokens=3";
  const auto ids = [&](const std::string& fields) {
    const Inputs inputs = made_inputs("mot[" + kModelOfMakeInputs + ",max_text_len=32,num_image_tokens=3" +
                                      fields + "]" + sizes);
    return inputs.modality_ids->to_int64().data;
  };
  EXPECT_EQ(ids(""), (std::vector<std::int64_t>{0, 0, 0, 1, 1, 0, 0, 0, 1, 1}));
  EXPECT_EQ(ids(",mot_modalities=[text,image]"), (std::vector<std::int64_t>{1, 1, 1, 0, 0, 1, 1, 1, 0, 0}));
}

TEST(MakeInputs, InterleavedModalitiesMix) {
  const Inputs inputs = made_inputs("moma[" + kModelOfMakeInputs +
                                    ",max_text_len=32]/batch=4,text_len=12,image_tokens=4,interleaved=true");
  const std::vector<std::int64_t> ids = inputs.modality_ids->to_int64().data;
  ASSERT_EQ(ids.size(), 64U);
  EXPECT_GT(std::ranges::count(ids, 0), 10);
  EXPECT_EQ(std::ranges::count(ids, 0) + std::ranges::count(ids, 1), 64);
  EXPECT_FALSE(std::ranges::is_sorted(ids.begin(), ids.begin() + 16));
}

TEST(MakeInputs, GumbelNoiseHasARowForEachTokenThatTakesPart) {
  const std::string text = "moma[" + kModelOfMakeInputs +
                           ",max_text_len=32,moma_experts_per_modality={image=2,text=3}]/"
                           "batch=2,text_len=5,image_tokens=4,interleaved=true,padding=true/seed=5";
  EXPECT_TRUE(made_inputs(text).gumbel.empty());  // eval
  const Inputs inputs = made_inputs(text + "/train");
  std::int64_t tokens[2] = {0, 0};
  for (std::int64_t i = 0; i < 18; ++i) {
    if (inputs.key_padding_mask->int_at(i) != 0) ++tokens[inputs.modality_ids->int_at(i)];
  }
  ASSERT_EQ(inputs.gumbel.size(), 4U);
  for (const std::string layer : {"layers.0.", "layers.1."}) {
    EXPECT_EQ(inputs.gumbel.at(layer + "image").shape(), (Shape{tokens[0], 2}));
    EXPECT_EQ(inputs.gumbel.at(layer + "text").shape(), (Shape{tokens[1], 3}));
  }
  EXPECT_NE(inputs.gumbel.at("layers.0.text").to<float>().data,
            inputs.gumbel.at("layers.1.text").to<float>().data);
}

TEST(MakeInputs, NoGumbelNoiseWhereItIsOff) {
  EXPECT_TRUE(made_inputs("moma[" + kModelOfMakeInputs +
                          ",max_text_len=32,moma_gumbel_noise=false]/image_tokens=2/train")
                  .gumbel.empty());
}

TEST(MakeInputs, DocumentsCoverEachRowAndShift) {
  const Inputs inputs = made_inputs("dense[" + kModelOfMakeInputs + "]/batch=3,text_len=9,documents=3");
  const Tensor<std::int64_t> ids = inputs.doc_ids->to_int64();
  for (std::int64_t r = 0; r < 3; ++r) {
    EXPECT_TRUE(std::ranges::is_sorted(ids.row(r)));
    EXPECT_EQ(ids.row(r).front(), 0);
    EXPECT_EQ(ids.row(r).back(), 2);
  }
  EXPECT_FALSE(std::ranges::equal(ids.row(0), ids.row(1)));
}

TEST(MakeInputs, DocumentsMayComeAgain) {
  const auto ids = [](const std::string& sizes) {
    return made_inputs("dense[" + kModelOfMakeInputs + "]/" + sizes + ",documents_recur=true")
        .doc_ids->to_int64()
        .data;
  };
  EXPECT_EQ(ids("batch=1,text_len=8,documents=2"), (std::vector<std::int64_t>{0, 0, 1, 1, 0, 0, 1, 1}));
  EXPECT_EQ(ids("batch=2,text_len=4,documents=1"), (std::vector<std::int64_t>(8, 0)));
  EXPECT_EQ(ids("batch=1,text_len=6,documents=3"), (std::vector<std::int64_t>{0, 1, 2, 0, 1, 2}));
}

TEST(MakeInputs, EmbeddingsAndFeaturesAreScaled) {
  const std::string vlm = "[" + kModelOfMakeInputs + ",max_text_len=32";
  const std::string adapter = ",adapter.type=linear,feature_dim=6]/text_len=4,patches=2";
  for (const std::string& text :
       {"dense[" + kModelOfMakeInputs + "]/embeds=true",
        "joint_decoder" + vlm + "]/text_len=4,image_tokens=2",
        "cross_attention" + vlm + "]/text_len=4,image_tokens=2", "joint_decoder" + vlm + adapter}) {
    const Inputs plain = made_inputs(text), scaled = made_inputs(text + ",scale=0.125");
    int floats = 0;
    Inputs::visit(scaled, [&](const char* name, const std::optional<Array>& input) {
      if (!input || !is_floating_point(input->dtype())) return;
      ++floats;
      std::vector<float> expected;
      Inputs::visit(plain, [&](const char* other, const std::optional<Array>& unscaled) {
        if (std::string(other) == name) expected = unscaled->to<float>().data;
      });
      for (float& value : expected) value *= 0.125F;
      EXPECT_EQ(input->to<float>().data, expected) << name << " of " << text;
    });
    EXPECT_EQ(floats, 1) << text;
  }
}

TEST(MakeInputs, LabelsStandWhereLogitsAre) {
  const Inputs whole = made_inputs("dense[" + kModelOfMakeInputs +
                                   "]/batch=2,text_len=8,ignore_labels=true/loss=cross_entropy");
  ASSERT_EQ(whole.labels->shape(), (Shape{2, 8}));
  for (std::int64_t i = 0; i < 16; ++i) {
    const std::int64_t label = whole.labels->int_at(i);
    if (i % 4 == 3) {
      EXPECT_EQ(label, -100);
    } else {
      EXPECT_TRUE(0 <= label && label < 31) << label;
    }
  }
  const Inputs sliced =
      made_inputs("joint_decoder[" + kModelOfMakeInputs +
                  ",max_text_len=32]/text_len=8,image_tokens=3/loss=cross_entropy/output_slice=3:");
  EXPECT_EQ(sliced.labels->shape(), (Shape{2, 8}));
  EXPECT_FALSE(made_inputs("dense[" + kModelOfMakeInputs + "]").labels.has_value());
}

TEST(MakeParameters, AreTheSeededTensorsOfTheArchitecture) {
  const Case value =
      parse_case_text("moe[" + kModelOfMakeInputs + ",num_experts=3,moe_router=sigmoid_topk]/seed=9");
  const ParameterTable table = make_parameters(value);
  const std::vector<ParameterInfo> infos = all_parameters(value.architecture);
  ASSERT_EQ(table.size(), infos.size());
  for (const ParameterInfo& info : infos) {
    ASSERT_TRUE(table.contains(info.name)) << info.name;
    EXPECT_EQ(table.at(info.name).to<float>().data, seeded_parameter(info, 9).data) << info.name;
    EXPECT_TRUE(table.at(info.name).is_in_memory());
  }
}

// So many that drawing them all would take minutes, and their memory is not there.
TEST(MakeParameters, MatricesOfAVeryLargeModelAreMadeWhenTheyAreRead) {
  // 1.3 thousand million weights: no more than what a program that is wrong here can still hold.
  const Case value = parse_case_text("dense[dim=8192,n_layers=1,n_heads=64,vocab_size=32000]/seed=9");
  const ParameterTable table = make_parameters(value);
  for (const ParameterInfo& info : all_parameters(value.architecture)) {
    const Array& array = table.at(info.name);
    EXPECT_EQ(array.shape(), info.shape);
    EXPECT_EQ(array.is_in_memory(), info.shape.size() == 1) << info.name;
  }
  const ParameterInfo row{"layers.0.attention.q_proj.weight", {1, 8192}, ParameterKind::linear};
  std::vector<float> beginning(8192);
  table.at(row.name).read(0, std::span(beginning));
  EXPECT_EQ(beginning, seeded_parameter(row, 9).data);
}

}  // namespace
}  // namespace forgecheck
