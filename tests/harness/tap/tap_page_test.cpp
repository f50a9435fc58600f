#include "harness/tap/tap_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "harness/case/make_inputs.h"

namespace forgecheck {
namespace {

std::vector<TapInfo> taps_of(const std::string& text) {
  const Case definition = parse_case_text(text);
  return tap_table(definition, make_inputs(definition));
}

const std::string kMot =
    "mot[dim=16,n_layers=1,n_heads=2,vocab_size=11,ffn_hidden_dim=24,max_seq_len=16,max_text_len=8,num_image_"
    "tokens="
    "2]/text_len=3,image_tokens=2";

TEST(TapPage, DocsTapsIsWhatTheProgramPrints) {
  std::ifstream file(FORGECHECK_SOURCE_DIR "/docs/taps.md", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, tap_page()) << "write it again: forgecheck taps --markdown > docs/taps.md";
}

TEST(TapPage, NamesPatternsAndNotOneCase) {
  const std::string page = tap_page();
  EXPECT_THAT(page, testing::HasSubstr("| `layers.{i}.attn.q_proj.{m}` | (B, S_m, H\\*d) | floating |"));
  EXPECT_THAT(page, testing::HasSubstr("| `cross_attention_layers.{i}.attn.k_proj` | (B, N, K\\*d) |"));
  EXPECT_THAT(page,
              testing::HasSubstr("| `layers.{i}.mlp.experts.{m}.router.indices` | (E_m, k_m) | integers |"));
  EXPECT_THAT(page, testing::Not(testing::HasSubstr("image.")));
}

TEST(TapLines, ColumnsAreAligned) {
  const std::string text = tap_lines(taps_of(kMot));
  const auto columns_of = [](const std::string& line) {
    return std::vector{line.find('['), line.find('('), line.find("floating"), line.find("floating") + 10};
  };
  std::vector<std::size_t> columns;
  std::size_t lines = 0;
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = text.substr(begin, end - begin);
    if (columns.empty()) columns = columns_of(line);
    EXPECT_EQ(columns_of(line), columns) << line;
    EXPECT_THAT(line, testing::HasSubstr("floating  "));
    EXPECT_NE(line.at(columns.back()), ' ') << "the meaning: " << line;
    ++lines;
  }
  EXPECT_EQ(lines, taps_of(kMot).size());
}

TEST(TapLines, ALengthThatTheRunMayNotReachSaysSo) {
  const std::string text =
      tap_lines(taps_of("dense[dim=16,n_layers=1,n_heads=2,vocab_size=11,max_seq_len=16]/text_len=3/"
                        "generate=4,eos_token_id=1"));
  EXPECT_THAT(text, testing::HasSubstr("[2, <= 7]"));
}

TEST(TapJson, HasTheFieldsOfEveryTap) {
  const auto document = nlohmann::json::parse(tap_json("a case", taps_of(kMot)));
  EXPECT_EQ(document["schema"], 1);
  EXPECT_EQ(document["case"], "a case");
  EXPECT_EQ(document["taps"].size(), taps_of(kMot).size());
  const auto& tap = document["taps"][1];
  EXPECT_EQ(tap["name"], "layers.0.attn_norm.image");
  EXPECT_EQ(tap["block"], "layers");
  EXPECT_EQ(tap["index"], 0);
  EXPECT_EQ(tap["modality"], "image");
  EXPECT_EQ(tap["shape"], nlohmann::json({2, 2, 16}));
  EXPECT_EQ(tap["letters"], nlohmann::json({"B", "S_m", "D"}));
  EXPECT_EQ(tap["type"], "floating");
  EXPECT_FALSE(document["taps"][0].contains("block"));
}

TEST(TapJson, HasTheNumberOfTheBlock) {
  const auto document = nlohmann::json::parse(tap_json(
      "",
      taps_of("cross_attention[dim=16,n_layers=4,n_heads=2,vocab_size=11,ffn_hidden_dim=24,max_seq_len=16,"
              "max_text_len=8,cross_attention_every_n_layers=2]/text_len=3,image_tokens=2")));
  const auto index_of = [&](const std::string& name) {
    const auto& taps = document["taps"];
    const auto tap = std::ranges::find_if(taps, [&](const auto& entry) { return entry["name"] == name; });
    return tap == taps.end() ? -1 : tap->value("index", -1);
  };
  EXPECT_EQ(index_of("layers.0"), 0);
  EXPECT_EQ(index_of("layers.3.mlp.hidden"), 3);
  EXPECT_EQ(index_of("cross_attention_layers.1.attn"), 1);
}

}  // namespace
}  // namespace forgecheck
