// Names are written and read by one grammar: what is read is written back, whatever a modality is called.
#include "harness/tap/tap_name.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/case/make_inputs.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/tap/parameter_name.h"
#include "harness/tap/tap_table.h"
#include "reference/parameters.h"

namespace forgecheck {
namespace {

const std::string kSmall =
    "dim=16,n_layers=2,n_heads=2,vocab_size=23,ffn_hidden_dim=24,max_seq_len=32,max_text_len=12";

Architecture text_model() {
  return parse_case_text("dense[dim=16,n_layers=2,n_heads=2,vocab_size=23]").architecture;
}

Case mot_case() {
  return parse_case_text(
      "mot[" + kSmall +
      ",num_experts=4,moe_router=sigmoid_topk,moe_shared_experts=1,moe_frequency=2,qk_norm="
      "true,num_image_tokens=2]/text_len=4,image_tokens=2/mot_moe_totals=true");
}

Case moma_case() {
  return parse_case_text("moma[" + kSmall + "]/text_len=4,image_tokens=2");
}

/// Words of the grammar that a modality may be called.
const std::vector<std::string> kWords = {
    "layers", "attention", "attn",   "attn_norm",   "mlp",           "mlp_norm", "q_proj",        "context",
    "hidden", "router",    "gate",   "experts",     "indices",       "norm",     "shared_expert", "7",
    "k",      "loss",      "tokens", "expert_bias", "expert_counts", "weight",   "kv_cache"};

TEST(TapName, EveryNameOfEveryRecordingIsReadAndWrittenBack) {
  std::size_t names = 0;
  for (const GoldenEntry& entry : find_goldens(FORGECHECK_SOURCE_DIR "/golden", "")) {
    const Golden golden = read_golden(entry.path, entry.name);
    const Architecture& architecture = golden.problem.definition.architecture;
    if (golden.problem.definition.run == RunKind::gradients) continue;
    for (const auto& [name, value] : golden.expected.entries()) {
      const auto tap = parse_tap_name(name, architecture);
      ASSERT_TRUE(tap) << entry.name << ": " << name;
      EXPECT_EQ(to_string(*tap), name);
      EXPECT_NE(kind_of(*tap, architecture), TapKind::unknown) << name;
      ++names;
    }
    for (const ParameterInfo& parameter : all_parameters(architecture)) {
      const auto parsed = parse_parameter_name(parameter.name, architecture);
      ASSERT_TRUE(parsed) << entry.name << ": " << parameter.name;
      EXPECT_EQ(to_string(*parsed), parameter.name);
    }
  }
  EXPECT_GT(names, 3000U);
}

TEST(TapName, ItsPartsAreThoseOfTheName) {
  const Architecture mot = mot_case().architecture, moma = moma_case().architecture;
  const TapName projection = parse_tap_name("layers.12.attn.q_proj.image", mot).value();
  EXPECT_EQ(projection.block, BlockKind::layers);
  EXPECT_EQ(projection.index, 12);
  EXPECT_EQ(projection.module, TapModule::attn);
  EXPECT_EQ(projection.part, TapPart::q_proj);
  EXPECT_EQ(projection.modality, "image");
  const TapName gate = parse_tap_name("layers.0.mlp.experts.text.router.gate", moma).value();
  EXPECT_EQ(gate.module, TapModule::expert_group);
  EXPECT_EQ(gate.modality, "text");
  EXPECT_EQ(gate.part, TapPart::router_gate);
  EXPECT_FALSE(gate.expert);
  const ParameterName weight =
      parse_parameter_name("layers.0.mlp.experts.text.experts.3.up_proj.weight", moma).value();
  EXPECT_EQ(weight.module.modality, "text");
  EXPECT_EQ(weight.module.expert, 3);
  EXPECT_EQ(weight.module.part, TapPart::up_proj);
  EXPECT_EQ(weight.leaf, "weight");
  EXPECT_EQ(parse_tap_name("greedy_from_4", moma)->index, 4);
}

TEST(TapName, ANameThatIsWrittenOtherwiseIsNone) {
  for (const char* name : {"",
                           ".",
                           "layers",
                           "layers.",
                           "layers.0.",
                           "layers.00",
                           "layers.-1",
                           "layers.x",
                           "layers.0.z_proj",
                           "layers.0.attention.",
                           "layers.0.attention.z_proj",
                           "layers.0.attention.q_proj.image",
                           "layers.0.mlp.experts",
                           "layers.0.mlp.experts.x.up_proj",
                           "layers.99999999999999999999",
                           "greedy_from_",
                           "greedy_from_04",
                           "loss",
                           "loss.x",
                           "logits.",
                           "Logits",
                           "norm.x",
                           "mot_norms.image",
                           "my_layers.0",
                           "layers0.attention",
                           "kv_cache.k",
                           "layers.0.kv_cache"}) {
    EXPECT_FALSE(parse_tap_name(name, text_model())) << name;
  }
  const Architecture mot = mot_case().architecture;
  for (const char* name :
       {"layers.0", "layers.0.attn", "layers.0.attn.q_proj", "layers.0.mlp", "layers.0.audio",
        "layers.0.attn.image.q_proj", "layers.0.image.attn", "mot_norms", "mot_norms.audio",
        "mot_norms.image.x", "layers.0.attn_norm.image.x", "layers.0.attn.q_proj.image.x"}) {
    EXPECT_FALSE(parse_tap_name(name, mot)) << name;
  }
  for (const char* name : {"layers.0.mlp.router.gate", "layers.0.mlp.experts.audio.router.gate",
                           "layers.0.image", "layers.0.mlp.experts.image"}) {
    const auto tap = parse_tap_name(name, moma_case().architecture);
    EXPECT_TRUE(!tap || kind_of(*tap, moma_case().architecture) == TapKind::unknown) << name;
  }
}

TEST(TapName, NothingInsideARoutedExpertIsATap) {
  const Architecture moma = moma_case().architecture;
  const Architecture moe =
      parse_case_text("moe[dim=16,n_layers=2,n_heads=2,vocab_size=23,num_experts=4]").architecture;
  for (const char* name : {"layers.0.mlp.experts.3", "layers.0.mlp.experts.3.up_proj"}) {
    EXPECT_TRUE(parse_tap_name(name, moe)) << name << " is a module";
    EXPECT_EQ(place_of(name, moe).kind, TapKind::unknown) << name;
  }
  EXPECT_EQ(place_of("layers.0.mlp.experts.text.experts.1.hidden", moma).kind, TapKind::unknown);
  EXPECT_EQ(place_of("layers.0.mlp.shared_expert.hidden", moe).kind, TapKind::hidden);
}

TEST(TapName, AParameterHasAModuleAndALastWord) {
  const Architecture text = text_model();
  EXPECT_EQ(parse_parameter_name("norm.weight", text)->leaf, "weight");
  EXPECT_EQ(parse_parameter_name("layers.0.weight", text)->module.module, TapModule::none);
  for (const char* name : {"", ".", "norm", "norm.", ".weight", "layers.0.", "z.weight", "layers.x.weight"}) {
    EXPECT_FALSE(parse_parameter_name(name, text)) << name;
  }
}

/// The table has the names as values, so that it tells how they are to be read.
void expect_read_back(const std::vector<TapInfo>& table, const Architecture& architecture,
                      const std::string& modality) {
  for (const TapInfo& tap : table) {
    TapName name = tap.name;
    if (name.modality == "image") name.modality = modality;
    const auto parsed = parse_tap_name(to_string(name), architecture);
    ASSERT_TRUE(parsed) << to_string(name);
    EXPECT_EQ(*parsed, name) << to_string(name);
  }
  for (const ParameterInfo& parameter : all_parameters(architecture)) {
    const auto parsed = parse_parameter_name(parameter.name, architecture);
    ASSERT_TRUE(parsed) << parameter.name;
    EXPECT_EQ(to_string(*parsed), parameter.name);
  }
}

TEST(TapName, AModalityMayBeCalledLikeAModule) {
  const Case mot = mot_case(), moma = moma_case();
  const std::vector<TapInfo> mot_taps = tap_table(mot, make_inputs(mot));
  const std::vector<TapInfo> moma_taps = tap_table(moma, make_inputs(moma));
  for (const std::string& word : kWords) {
    Architecture of_mot = mot.architecture, of_moma = moma.architecture;
    of_mot.vlm->mot_modalities = {word, "image", "text"};
    of_moma.vlm->moma_modalities = {"text", word, "image"};
    of_moma.vlm->moma_experts_per_modality[word] = 3;
    expect_read_back(mot_taps, of_mot, word);
    expect_read_back(moma_taps, of_moma, word);
  }
}

TEST(TapName, TheBlockOfANameNeedsNoArchitecture) {
  const auto block = block_of("cross_attention_layers.3.attn.q_proj");
  ASSERT_TRUE(block);
  EXPECT_EQ(block->kind, BlockKind::cross_attention_layers);
  EXPECT_EQ(block->index, 3);
  EXPECT_EQ(block->inside, "attn.q_proj");
  EXPECT_EQ(block_of("layers.0")->inside, "");
  for (const char* name : {"norm", "layers", "layers.", "layers.x.attention", "my_layers.0", "layers.01"}) {
    EXPECT_FALSE(block_of(name)) << name;
  }
}

TEST(TapFamily, LeavesOutLayerAndModality) {
  const Architecture mot = mot_case().architecture, moma = moma_case().architecture;
  const Architecture text = text_model();
  struct Expected {
    const char* tap;
    const Architecture& architecture;
    const char* family;
  };
  for (const auto& [tap, architecture, family] : {
           Expected{"layers.12", text, "block"},
           Expected{"layers.0.image", mot, "block"},
           Expected{"cross_attention_layers.1", text, "block"},
           Expected{"layers.3.attention.q_proj", text, "attention.q_proj"},
           Expected{"layers.3.attn.q_proj.text", mot, "attention.q_proj"},
           Expected{"layers.3.attn.text", mot, "attention"},
           Expected{"cross_attention_layers.0.attn_norm", text, "attention_norm"},
           Expected{"layers.1.mlp.experts.image.router.gate", moma, "mlp.experts.router.gate"},
           Expected{"layers.1.mlp.image.shared_expert.hidden", mot, "mlp.shared_expert.hidden"},
           Expected{"mot_norms.image", mot, "mot_norms"},
           Expected{"logits.staged", text, "logits.staged"},
           Expected{"greedy_from_4", text, "tokens"},
           Expected{"no.tap", text, "no.tap"},
       }) {
    EXPECT_EQ(tap_family(tap, architecture), family) << tap;
  }
}

}  // namespace
}  // namespace forgecheck
