#include "harness/fuzz/random_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "harness/backend/reference_run.h"
#include "harness/case/case_fields.h"

namespace forgecheck {
namespace {

TEST(RandomCase, IsTheSameForASeedAndAnotherForTheNext) {
  std::set<std::string> lines;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::string line = case_text(random_case(seed));
    EXPECT_EQ(line, case_text(random_case(seed)));
    lines.insert(line);
  }
  EXPECT_EQ(lines.size(), 300U);
}

TEST(RandomCase, ItsTextAndItsJsonRepeatIt) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Case value = random_case(seed);
    const std::string text = case_text(value), json = case_json(value);
    EXPECT_EQ(case_json(parse_case_text(text)), json) << text;
    EXPECT_EQ(case_json(parse_case_json(json)), json) << text;
    EXPECT_EQ(case_text(parse_case_text(text)), text);
    EXPECT_EQ(case_text(parse_case_json(json)), text);
  }
}

TEST(RandomCase, EveryOneRuns) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Case value = random_case(seed);
    Tracer tracer;
    EXPECT_NO_THROW(run_reference(seeded_problem(value), Dtype::f32, kPlain, tracer)) << case_text(value);
    EXPECT_FALSE(tracer.trace().empty());
  }
}

// Frames of a video with many patches next to a long text: 66 positions before they were counted.
TEST(RandomCase, TheSequenceFitsTheModel) {
  for (std::uint64_t seed = 1000000; seed < 1005000; ++seed) {
    const Case value = random_case(seed);
    std::int64_t images = value.inputs.image_tokens;
    if (value.architecture.adapter) {
      images = value.architecture.adapter->output_num_tokens(value.inputs.patches) *
               std::max<std::int64_t>(1, value.inputs.frames);
    }
    EXPECT_LE(images + value.inputs.text_len, value.architecture.model.max_seq_len) << case_text(value);
  }
}

/// A new field is to be drawn, or listed here with the reason.
TEST(RandomCase, EveryFieldTakesSeveralValuesButThese) {
  std::map<std::string, std::set<std::string>> values;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Case value = random_case(seed, seed % 2 == 0 ? Family::kempnerforge : Family::any);
    for (const CaseField& field : case_fields()) {
      std::set<std::string>& seen = values[field.section + "." + field.name];
      if (const auto given = field.get(value)) seen.insert(format_value(*given));
    }
  }
  std::set<std::string> constant;
  for (const auto& [field, seen] : values) {
    if (seen.size() < 2) constant.insert(field);
  }
  const std::set<std::string> expected = {
      // they change no result, or none beside ffn_hidden_dim
      "model.ffn_dim_multiplier", "model.init_std", "model.model_type", "model.sdpa_backend",
      "vision_encoder.feature_dim", "vision_encoder.num_tokens", "vision_encoder.path", "vision_encoder.type",
      "vlm.mot_warm_start_from_text", "vlm.mot_warm_start_path",
      // they only refuse what is longer
      "model.max_seq_len", "vlm.max_text_len",
      // they must be the model's
      "vlm.mot_image_n_heads", "vlm.mot_image_n_kv_heads",
      // whoever runs the case chooses the type
      ".dtype",
      // not drawn: recorded cases have them
      ".greedy_from", ".output_slice", "generate.eos_token_id", "generate.temperature", "generate.top_k",
      "generate.top_p", "inputs.documents_recur", "inputs.embeds", "inputs.scale",
      "model.moe_aux_loss_weight", "vlm.cross_attention_n_heads", "vlm.cross_attention_n_kv_heads",
      "vlm.moma_modalities"};
  EXPECT_EQ(constant, expected);
}

/// What a fuzzer must reach comes up.
TEST(RandomCase, EveryArchitectureRunAndFeatureComesUp) {
  std::set<std::string> seen;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const Case value = random_case(seed);
    const ModelConfig& model = value.architecture.model;
    const std::string arch = arch_name(value.architecture);
    seen.insert(arch + " " + to_string(value.run));
    seen.insert(arch + (value.train ? " train" : " eval"));
    if (model.num_experts > 0) seen.insert(arch + " experts " + to_string(model.moe_router));
    if (value.architecture.adapter) seen.insert("adapter " + to_string(value.architecture.adapter->type));
    if (value.inputs.padding) seen.insert(arch + " padding");
    if (value.inputs.documents > 0) seen.insert(arch + " documents");
    if (value.inputs.frames > 0) seen.insert("frames");
    if (value.stages > 1) seen.insert("stages");
    if (model.n_kv_heads) seen.insert("gqa");
  }
  for (const char* wanted : {"dense forward",
                             "dense decode",
                             "dense generate",
                             "dense loss",
                             "moe decode",
                             "moe train",
                             "joint_decoder forward",
                             "joint_decoder padding",
                             "cross_attention loss",
                             "cross_attention train",
                             "mot forward",
                             "mot padding",
                             "moma train",
                             "moma eval",
                             "moma padding",
                             "moe experts softmax_topk",
                             "moe experts sigmoid_topk",
                             "mot experts sigmoid_topk",
                             "adapter mlp_2layer",
                             "adapter linear",
                             "adapter avgpool",
                             "adapter attentional_pool",
                             "frames",
                             "stages",
                             "gqa",
                             "moe documents"}) {
    EXPECT_THAT(seen, testing::Contains(wanted));
  }
}

}  // namespace
}  // namespace forgecheck
