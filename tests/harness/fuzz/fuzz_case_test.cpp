#include "harness/fuzz/fuzz_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "harness/backend/reference_run.h"
#include "harness/case/case_fields.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

constexpr CaseScale kScales[] = {CaseScale::small, CaseScale::medium, CaseScale::wide};

TEST(FuzzCase, IsTheSameForASeedAndAnotherForTheNext) {
  std::set<std::string> lines;
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    const std::string line = case_text(fuzz_case(seed, Family::any, CaseScale::small));
    EXPECT_EQ(line, case_text(fuzz_case(seed, Family::any, CaseScale::small)));
    EXPECT_EQ(line, case_text(parse_case_text(line)));
    lines.insert(line);
  }
  EXPECT_EQ(lines.size(), 300U);
}

TEST(FuzzCase, EveryOneRuns) {
  for (const CaseScale scale : kScales) {
    const std::uint64_t count = scale == CaseScale::wide ? 20 : 300;
    for (std::uint64_t seed = 0; seed < count; ++seed) {
      const Case value = fuzz_case(seed, seed % 2 == 0 ? Family::any : Family::kempnerforge, scale);
      Tracer tracer;
      EXPECT_NO_THROW(run_reference(seeded_problem(value), Dtype::f32, kPlain, tracer)) << case_text(value);
    }
  }
}

/// Small ones are what most of a campaign is made of.
TEST(FuzzCase, ASmallOneIsSmallAndAWideOneReachesTheEdgesOfTiles) {
  std::set<std::int64_t> vocabularies;
  std::int64_t widest = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    const ModelConfig small = fuzz_case(seed, Family::any, CaseScale::small).architecture.model;
    EXPECT_LE(small.dim, 16);
    EXPECT_LE(small.n_layers, 2);
    EXPECT_LE(small.vocab_size, 17);
    const ModelConfig wide = fuzz_case(seed, Family::any, CaseScale::wide).architecture.model;
    vocabularies.insert(wide.vocab_size);
    widest = std::max(widest, wide.dim);
  }
  EXPECT_EQ(widest, 256);
  for (const std::int64_t edge : {31, 32, 33, 63, 64, 65, 127, 128, 129})
    EXPECT_TRUE(vocabularies.contains(edge)) << edge;
}

/// A new field is to be drawn, or listed here with the reason.
TEST(FuzzCase, EveryFieldTakesSeveralValuesButThese) {
  std::map<std::string, std::set<std::string>> values;
  int default_widths = 0, ragged_windows = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    const Case value = fuzz_case(seed, Family::any, CaseScale::medium);
    default_widths += value.architecture.model.ffn_hidden_dim ? 0 : 1;
    ragged_windows += value.inputs.patches == 9 && value.architecture.adapter->pool_window == 2 ? 1 : 0;
    for (const CaseField& field : case_fields()) {
      std::set<std::string>& seen = values[field.section + "." + field.name];
      if (const auto given = field.get(value)) seen.insert(format_value(*given));
    }
  }
  std::set<std::string> constant;
  for (const auto& [field, seen] : values) {
    if (seen.size() < 2) constant.insert(field);
  }
  const std::set<std::string> expected = {// they change no result
                                          "model.init_std", "model.model_type", "model.sdpa_backend",
                                          "vision_encoder.feature_dim", "vision_encoder.num_tokens",
                                          "vision_encoder.path", "vision_encoder.type",
                                          "vlm.mot_warm_start_from_text", "vlm.mot_warm_start_path",
                                          // it only refuses what is longer
                                          "vlm.max_text_len",
                                          // they must be the model's
                                          "vlm.mot_image_n_heads", "vlm.mot_image_n_kv_heads",
                                          // a campaign chooses the type
                                          ".dtype",
                                          // generation is drawn by itself
                                          ".greedy_from",
                                          // drawn, or none
                                          "generate.eos_token_id"};
  std::set<std::string> drawn = expected;
  drawn.erase("generate.eos_token_id");
  EXPECT_EQ(constant, drawn);
  EXPECT_GT(default_widths, 150);
  EXPECT_GT(ragged_windows, 20);
}

/// One class of transformers, as scripts/transformers_worker.py tells them apart; none where it would refuse the case.
std::string class_of(const Case& value) {
  const ModelConfig& m = value.architecture.model;
  const bool usual = m.norm_type == NormType::rmsnorm && m.activation == Activation::silu &&
                     m.ffn_hidden_dim && m.moe_router == RouterType::softmax_topk && m.moe_frequency == 1 &&
                     m.moe_shared_experts == 0 && m.moe_capacity_factor == 0 && !m.moe_packed_experts;
  const SeededInputs& inputs = value.inputs;
  const bool tokens_only = inputs.documents == 0 && !inputs.embeds && !inputs.padding &&
                           !value.output_slice && value.stages == 0 && !value.moe_step && !value.train &&
                           !value.architecture.vlm;
  const bool runs = value.run == RunKind::forward || value.run == RunKind::decode;
  if (!usual || !tokens_only || !runs) return "";
  const int own = (m.num_experts > 0 ? 1 : 0) + (m.qk_norm ? 1 : 0) + (m.qkv_bias ? 1 : 0);
  if (own > 1) return "";
  if (m.num_experts > 0) return m.moe_ffn_hidden_dim ? "Mixtral" : "";
  if (m.qk_norm) return m.sliding_window == 0 && m.qk_norm_eps == m.norm_eps ? "Qwen3" : "";
  if (m.qkv_bias) return m.head_dim ? "" : "Qwen2";
  return m.sliding_window > 0 ? "Mistral" : "Llama";
}

TEST(FuzzCase, OfTransformersIsOneOfItsClasses) {
  std::map<std::string, int> classes;
  std::set<RunKind> runs;
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    const Case value = fuzz_case(seed, Family::transformers, CaseScale::small);
    EXPECT_TRUE(is_of(Family::transformers, value)) << case_text(value);
    EXPECT_EQ(refusal_of(value), std::nullopt);
    ++classes[class_of(value)];
    runs.insert(value.run);
  }
  EXPECT_FALSE(classes.contains("")) << classes[""];
  for (const char* const name : {"Llama", "Mistral", "Mixtral", "Qwen2", "Qwen3"})
    EXPECT_GT(classes[name], 10) << name;
  EXPECT_EQ(runs, (std::set{RunKind::forward, RunKind::decode}));
  EXPECT_TRUE(is_of(Family::any, fuzz_case(0, Family::any, CaseScale::small)));
}

TEST(FuzzCase, DrawsUnusualInputs) {
  std::set<double> scales, capacities, moma_capacities;
  std::set<std::int64_t> long_rows;
  for (std::uint64_t seed = 0; seed < 4000; ++seed) {
    const Case value = fuzz_case(seed, Family::any, CaseScale::medium);
    scales.insert(value.inputs.scale);
    const bool shows_text = !value.inputs.embeds && !value.output_slice;
    EXPECT_TRUE(shows_text || value.inputs.scale != 0) << case_text(value);
    capacities.insert(value.architecture.model.moe_capacity_factor);
    if (value.architecture.is(VlmArch::moma))
      moma_capacities.insert(value.architecture.vlm->moma_capacity_factor);
    if (value.inputs.text_len <= 256) continue;
    long_rows.insert(value.inputs.text_len);
    EXPECT_EQ(value.inputs.batch * value.architecture.model.n_layers, 1) << case_text(value);
  }
  EXPECT_EQ(scales, (std::set<double>{0, 1e-40, 1e-30, 1e-20, 1e-6, 1e-3, 1, 1e3, 1e15}));
  EXPECT_THAT(capacities, testing::IsSupersetOf({1.0 / 3, 5.0 / 6}));
  EXPECT_THAT(moma_capacities, testing::IsSupersetOf({1.0 / 3, 5.0 / 6}));
  EXPECT_GT(long_rows.size(), 20U);
  EXPECT_LE(*long_rows.rbegin(), 400);
}

TEST(RefusalOf, NamesTheRuleAndIsSilentOfAValidCase) {
  Case value = parse_case_text(
      "dense[dim=8,n_layers=1,n_heads=2,vocab_size=5,ffn_hidden_dim=4,max_seq_len=16]/seed=1");
  EXPECT_EQ(refusal_of(value), std::nullopt);
  value.inputs.padding = true;
  EXPECT_THAT(refusal_of(value).value_or(""), testing::HasSubstr("key_padding_mask needs"));
  value.inputs.padding = false;
  value.stages = 2;
  EXPECT_THAT(refusal_of(value).value_or(""), testing::HasSubstr("case.stages = 2"));
}

/// The rules are about what the adapter makes of its features.
TEST(RefusalOf, LooksBehindTheAdapter) {
  Case value = parse_case_text(
      "cross_attention[dim=8,n_layers=1,n_heads=2,vocab_size=5,ffn_hidden_dim=4,max_seq_len=16,max_text_len="
      "8,"
      "cross_attention_every_n_layers=1,adapter.type=linear,feature_dim=4]/batch=1,text_len=2,patches=1/"
      "seed=1");
  EXPECT_EQ(refusal_of(value), std::nullopt);
  value.inputs.padding = true;  // of features without frames there is no mask
  EXPECT_THAT(refusal_of(value).value_or(""), testing::HasSubstr("key_padding_mask needs"));
}

TEST(InvalidCase, IsRefusedForItsFieldAndValue) {
  std::set<std::string> fields, values;
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const InvalidCase invalid = invalid_case(seed, Family::any);
    fields.insert(invalid.field);
    values.insert(invalid.value);
    try {
      (void)parse_case_text(invalid.line);
      ADD_FAILURE() << "accepted: " << invalid.field << " = " << invalid.value << " in " << invalid.line;
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(invalid.field));
      EXPECT_THAT(error.what(), testing::HasSubstr(invalid.value));
    }
  }
  EXPECT_GT(fields.size(), 20U);
  EXPECT_THAT(values, testing::IsSupersetOf({"-1", "nan", "inf", "-inf", "-9223372036854775808"}));
}

}  // namespace
}  // namespace forgecheck
