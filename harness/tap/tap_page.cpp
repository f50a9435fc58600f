#include "harness/tap/tap_page.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "harness/case/make_inputs.h"

namespace forgecheck {

namespace {

constexpr const char* kLetters = R"(| letter | dimension |
|---|---|
| B | batch |
| T | text length |
| N | image tokens |
| S | length of the residual stream: T, or N + T where the images are a prefix |
| S_m | its part of modality m |
| S_out | positions with logits: S, or what output_slice keeps of it |
| D | dim |
| H, K, d | query heads, key-value heads and head_dim; in a cross-attention block its own |
| F, F_e | hidden width of the feed-forward, and that of an expert |
| E, k | experts, and experts that each token chooses (moe_top_k) |
| E_m, n_m, k_m | under expert choice: experts of modality m, its tokens that take part, and tokens that each expert chooses |
| V | vocab_size |
| P, G | prompt length, generated tokens |
)";

constexpr const char* kSizes =
    "dim=16,n_layers=2,n_heads=4,n_kv_heads=2,vocab_size=23,ffn_hidden_dim=24,max_seq_len=32,qk_norm=true";
constexpr const char* kExperts =
    ",num_experts=4,moe_frequency=2,moe_router=sigmoid_topk,moe_shared_experts=1";

struct Section {
  std::string title;
  std::string remark;
  std::string definition;  // a case with every option on
};

/// One for every architecture and run.
std::vector<Section> sections() {
  const auto model = [](const std::string& architecture, const std::string& fields, const std::string& rest) {
    return fmt::format("{}[{}{}]/{}", architecture, kSizes, fields, rest);
  };
  const std::string adapter = ",max_text_len=12,adapter.type=linear,feature_dim=5";
  const std::string experts = kExperts;
  return {
      {"dense", "A text model.", model("dense", "", "text_len=4/stages=2/greedy_from=2:2")},
      {"moe", "A text model with mixtures of experts in every moe_frequency-th layer.",
       model("moe", experts, "text_len=4/stages=2/greedy_from=2:2")},
      {"joint_decoder",
       "Images are a prefix of the residual stream. With num_experts > 0 its layers are those of moe.",
       model("joint_decoder", adapter, "text_len=4,patches=2")},
      {"cross_attention",
       "Blocks that attend to the images stand after every cross_attention_every_n_layers-th layer. With "
       "num_experts > 0 its layers are those of moe; the blocks are always dense.",
       model("cross_attention", adapter + ",cross_attention_every_n_layers=2", "text_len=4,patches=2")},
      {"mot",
       "A Mixture-of-Transformers: every modality m has its own parameters, and one attention joins them.",
       model("mot", adapter + experts + ",num_image_tokens=2",
             "text_len=4,patches=2/train/mot_moe_totals=true")},
      {"moma",
       "Expert choice: the experts of each modality m choose their tokens. Everything else is shared.",
       model("moma", adapter, "text_len=4,patches=2")},
      {"After the forward call: loss", "The taps of the forward call come first.",
       model("dense", "", "text_len=4/loss=cross_entropy")},
      {"Instead of the forward call: decode",
       "Tokens in chunks through a KV cache, text models only. The calls themselves are not tapped.",
       model("dense", "", "text_len=4/decode=3+1")},
      {"Instead of the forward call: generate",
       "Text models only. With eos_token_id the run may end before G tokens.",
       model("dense", "", "text_len=4/generate=3")},
  };
}

/// The name with {i} for the number and {m} for the modality.
std::string pattern_of(TapName name) {
  if (!name.modality.empty()) name.modality = "{m}";
  const std::string text = to_string(name);
  const std::string number = std::to_string(name.index);
  if (name.module == TapModule::greedy_from) return text.substr(0, text.size() - number.size()) + "{P}";
  if (name.block == BlockKind::none) return text;
  const std::size_t at = to_string(name.block).size() + 1;
  return text.substr(0, at) + "{i}" + text.substr(at + number.size());
}

/// The rows of all layers as one: a row comes after the one that it follows in its own layer.
std::vector<std::string> merged_rows(const std::vector<TapInfo>& taps) {
  std::vector<std::string> rows;
  std::ptrdiff_t next = 0;
  for (const TapInfo& tap : taps) {
    std::string row = fmt::format("| `{}` | {} | {} | {} | {} |\n", pattern_of(tap.name), letters_of(tap),
                                  to_string(tap.type), tap.meaning, tap.when);
    const auto found = std::ranges::find(rows, row);
    if (found == rows.end()) {
      rows.insert(rows.begin() + next, std::move(row));
    } else {
      next = found - rows.begin();
    }
    ++next;
  }
  return rows;
}

std::string section_text(const Section& section) {
  const Case definition = parse_case_text(section.definition);
  std::string rows;
  for (const std::string& row : merged_rows(tap_table(definition, make_inputs(definition)))) rows += row;
  // An asterisk is Markdown's.
  for (std::size_t at = rows.find('*'); at != std::string::npos; at = rows.find('*', at + 2)) {
    rows.insert(at, "\\");
  }
  return fmt::format("\n## {}\n\n{}\n\n| tap | shape | type | meaning | when |\n|---|---|---|---|---|\n{}",
                     section.title, section.remark, rows);
}

std::string shape_text(const TapInfo& tap) {
  std::string text;
  for (const Dimension& dimension : tap.shape) {
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", dimension.at_most ? "<= " : "", dimension.size);
  }
  return "[" + text + "]";
}

}  // namespace

std::string tap_lines(const std::vector<TapInfo>& taps) {
  std::size_t name = 0, shape = 0, letters = 0, type = 0;
  for (const TapInfo& tap : taps) {
    name = std::max(name, to_string(tap.name).size());
    shape = std::max(shape, shape_text(tap).size());
    letters = std::max(letters, letters_of(tap).size());
    type = std::max(type, to_string(tap.type).size());
  }
  std::string text;
  for (const TapInfo& tap : taps) {
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:<{}}  {}\n", to_string(tap.name), name, shape_text(tap),
                        shape, letters_of(tap), letters, to_string(tap.type), type, tap.meaning);
  }
  return text;
}

std::string tap_json(const std::string& case_line, const std::vector<TapInfo>& taps) {
  using Json = nlohmann::ordered_json;
  Json list = Json::array();
  for (const TapInfo& tap : taps) {
    Json object = {{"name", to_string(tap.name)}};
    if (tap.name.block != BlockKind::none) {
      object["block"] = to_string(tap.name.block);
      object["index"] = tap.name.index;
    }
    if (!tap.name.modality.empty()) object["modality"] = tap.name.modality;
    Json letters = Json::array();
    for (const Dimension& dimension : tap.shape) letters.push_back(dimension.letter);
    object.update({{"shape", shape_of(tap)},
                   {"letters", letters},
                   {"type", to_string(tap.type)},
                   {"meaning", tap.meaning}});
    list.push_back(object);
  }
  const Json document = {{"schema", 1}, {"case", case_line}, {"taps", list}};
  return document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string tap_page() {
  std::string text = fmt::format(
      "# Taps\n\n"
      "Every tensor that a run records, in the order of execution: the names are those of upstream's "
      "modules. "
      "`forgecheck taps CASE` prints this for one case, with numbers for the letters.\n\n"
      "`{{i}}` counts the layers (or cross-attention blocks) from 0, `{{m}}` is a modality. The last column "
      "says "
      "what the case must have for the tap to be there. *floating* taps have the run's type and a tolerance; "
      "*integers* and *counts* (whole numbers, stored as float32) must be right to the last one.\n\n"
      "This page is written by `forgecheck taps --markdown`.\n\n{}",
      kLetters);
  for (const Section& section : sections()) text += section_text(section);
  return text;
}

}  // namespace forgecheck
