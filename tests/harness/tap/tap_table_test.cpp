// The table lists what a run records: no tap is missing, none is extra, in the same order and with the same
// shapes.
#include "harness/tap/tap_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "harness/backend/reference_run.h"
#include "harness/fuzz/random_case.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

Trace recorded(const Problem& problem) {
  Tracer tracer;
  run_reference(problem, Dtype::f32, Arithmetic(), tracer);
  return tracer.take();
}

bool fits(const Dimension& dimension, std::int64_t size) {
  return dimension.at_most ? size <= dimension.size : size == dimension.size;
}

void expect_the_table_is_the_trace(const Problem& problem) {
  const std::string line = case_text(problem.definition);
  const std::vector<TapInfo> table = tap_table(problem.definition, problem.inputs);
  const Trace trace = recorded(problem);
  std::vector<std::string> listed, found;
  for (const TapInfo& tap : table) listed.push_back(to_string(tap.name));
  for (const auto& [name, value] : trace.entries()) found.push_back(name);
  ASSERT_EQ(listed, found) << line;
  for (std::size_t i = 0; i < table.size(); ++i) {
    const TapInfo& tap = table[i];
    const Array& value = trace.entries()[i].second;
    SCOPED_TRACE(line + ": " + listed[i]);
    ASSERT_EQ(value.shape().size(), tap.shape.size()) << to_string(value.shape());
    for (std::size_t axis = 0; axis < tap.shape.size(); ++axis) {
      EXPECT_TRUE(fits(tap.shape[axis], value.shape()[axis]))
          << letters_of(tap) << " = " << to_string(shape_of(tap)) << ", recorded "
          << to_string(value.shape());
    }
    EXPECT_EQ(is_floating_point(value.dtype()), tap.type != TapType::integers);
    EXPECT_EQ(is_counted(kind_of(tap.name, problem.definition.architecture)), tap.type != TapType::floating);
    EXPECT_NE(tap.meaning, "");
  }
}

TEST(TapTable, IsTheTraceOfEveryRecordedCase) {
  std::set<std::string> architectures;
  std::set<RunKind> runs;
  std::set<TapKind> kinds;
  for (const GoldenEntry& entry : find_goldens(FORGECHECK_SOURCE_DIR "/golden", "")) {
    Golden golden = read_golden(entry.path, entry.name);
    const Case& definition = golden.problem.definition;
    if (definition.run == RunKind::gradients) continue;
    load_weights(golden);
    ASSERT_NO_FATAL_FAILURE(expect_the_table_is_the_trace(golden.problem)) << entry.name;
    architectures.insert(arch_name(definition.architecture));
    runs.insert(definition.run);
    for (const TapInfo& tap : tap_table(definition, golden.problem.inputs)) {
      kinds.insert(kind_of(tap.name, definition.architecture));
    }
  }
  EXPECT_EQ(architectures.size(), 6U);
  EXPECT_EQ(runs.size(), 4U);
  EXPECT_EQ(kinds.size(), 30U) << "every kind of tap but `unknown` is recorded somewhere";
}

TEST(TapTable, IsTheTraceOfRandomCases) {
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    ASSERT_NO_FATAL_FAILURE(expect_the_table_is_the_trace(seeded_problem(random_case(seed))));
  }
}

/// Eleven layers: the routers' states are in the order of their names, "layers.10" before "layers.2".
TEST(TapTable, OptionsThatNoRecordingHas) {
  const std::string small = "dim=8,n_heads=2,vocab_size=11,ffn_hidden_dim=16,max_seq_len=16";
  for (const std::string& text : {
           "moe[" + small +
               ",n_layers=11,num_experts=2,moe_top_k=1,moe_router=sigmoid_topk]/text_len=3/train",
           "dense[" + small + ",n_layers=1]/text_len=3/generate=9,eos_token_id=0",
           "dense[" + small + ",n_layers=1]/text_len=6/seed=1/output_slice=-20:-4",
           "moma[" + small +
               ",n_layers=1,max_text_len=8,moma_modalities=[text,audio,image],moma_experts_per_modality={"
               "text=1,"
               "audio=2,image=1}]/text_len=4,image_tokens=2",
           "mot[" + small +
               ",n_layers=1,max_text_len=8,mot_modalities=[text,image],num_image_tokens=2]/text_len=3,"
               "image_tokens=2",
       }) {
    expect_the_table_is_the_trace(seeded_problem(parse_case_text(text)));
  }
}

TEST(TapTable, RefusesInputsThatTheModelRefuses) {
  const std::string small = "dim=8,n_layers=1,n_heads=2,vocab_size=11,ffn_hidden_dim=16,max_seq_len=16";
  const Problem moma =
      seeded_problem(parse_case_text("moma[" + small + ",max_text_len=8]/text_len=4,image_tokens=2"));
  Inputs inputs = moma.inputs;
  inputs.modality_ids.reset();
  EXPECT_THROW(tap_table(moma.definition, inputs), ShapeError);
  const Problem video = seeded_problem(parse_case_text(
      "joint_decoder[" + small +
      ",max_text_len=8,adapter.type=linear,feature_dim=4]/text_len=3,patches=2,frames=2,padding=true"));
  inputs = video.inputs;
  inputs.vision_features = inputs.tokens;
  EXPECT_THROW(tap_table(video.definition, inputs), ShapeError);
  inputs = video.inputs;
  inputs.frame_mask = inputs.tokens;
  EXPECT_THROW(tap_table(video.definition, inputs), ShapeError);
  Case gradients = video.definition;
  gradients.run = RunKind::gradients;
  EXPECT_THROW(tap_table(gradients, video.inputs), ConfigError);
}

TEST(TapTable, LettersStandForTheNumbers) {
  const Case definition = parse_case_text(
      "dense[dim=16,n_layers=1,n_heads=4,n_kv_heads=2,vocab_size=11,ffn_hidden_dim=24,max_seq_len=16]/"
      "batch=3,"
      "text_len=5");
  const Problem problem = seeded_problem(definition);
  const std::vector<TapInfo> table = tap_table(definition, problem.inputs);
  const auto tap = std::ranges::find(table, "layers.0.attention.k_proj",
                                     [](const TapInfo& info) { return to_string(info.name); });
  ASSERT_NE(tap, table.end());
  EXPECT_EQ(letters_of(*tap), "(B, S, K*d)");
  EXPECT_EQ(shape_of(*tap), (Shape{3, 5, 8}));
}

}  // namespace
}  // namespace forgecheck
