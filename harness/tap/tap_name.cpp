#include "harness/tap/tap_name.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <vector>

#include "harness/tap/tap_words.h"

namespace forgecheck {

namespace {

using Words = std::span<const std::string_view>;

std::string_view word_of(TapModule module) {
  for (const ModuleTable table : {ModuleTable(kOutside), ModuleTable(kInside)}) {
    const auto found = std::ranges::find(table, module, &ModuleWord::module);
    if (found != table.end()) return found->word;
  }
  return "";
}

bool is_of_router(TapPart part) {
  return std::ranges::find(kOfRouter, part, &PartWord::part) != std::end(kOfRouter);
}

/// The parts that are written right after a module's own word.
PartTable parts_of(TapModule module) {
  switch (module) {
    case TapModule::token_embedding:
      return kOfEmbedding;
    case TapModule::adapter:
      return kOfAdapter;
    case TapModule::output_head:
      return kOfHead;
    case TapModule::logits:
      return kOfLogits;
    case TapModule::loss:
      return kOfLoss;
    case TapModule::attention:
    case TapModule::attn:
      return kOfAttention;
    case TapModule::kv_cache:
      return kOfCache;
    case TapModule::none:
    case TapModule::norm:
    case TapModule::mot_norms:
    case TapModule::aux_loss:
    case TapModule::z_loss:
    case TapModule::tokens:
    case TapModule::greedy_from:
    case TapModule::attention_norm:
    case TapModule::attn_norm:
    case TapModule::mlp_norm:
    case TapModule::mlp:  // a mixture's parts stand deeper
    case TapModule::expert_group:
      return {};
  }
  return {};
}

/// A number as to_string writes it: no sign, no leading zero.
std::optional<std::int64_t> number_of(std::string_view word) {
  std::int64_t value = 0;
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  if (error != std::errc() || stop != end || value < 0 || std::to_string(value) != word) return std::nullopt;
  return value;
}

std::vector<std::string_view> words_of(std::string_view name) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t dot = name.find('.');
    words.push_back(name.substr(0, dot));
    if (dot == std::string_view::npos) return words;
    name.remove_prefix(dot + 1);
  }
}

/// The one word left is a part of the table.
bool read_part(Words words, PartTable table, TapName& name) {
  if (words.size() != 1) return false;
  const auto found = std::ranges::find(table, words.front(), &PartWord::word);
  if (found == table.end()) return false;
  name.part = found->part;
  return true;
}

class Reader {
 public:
  explicit Reader(const Architecture& architecture)
      : mot_(architecture.is(VlmArch::mot)), moma_(architecture.is(VlmArch::moma)) {
    if (mot_) modalities_ = architecture.vlm->mot_modalities;
    if (moma_) modalities_ = architecture.vlm->moma_modalities;
  }

  /// Names outside the blocks.
  bool read_outside(Words words, TapName& name) const {
    if (words.size() == 1 && words[0].starts_with(kGreedyFrom)) {
      const auto count = number_of(words[0].substr(kGreedyFrom.size()));
      name.module = TapModule::greedy_from;
      name.index = count.value_or(0);
      return count.has_value();
    }
    if (!read_module(words[0], kOutside, name)) return false;
    const Words rest = words.subspan(1);
    if (name.module == TapModule::mot_norms) return read_modality(rest, name) && rest.size() == 1;
    if (rest.empty()) return name.module != TapModule::loss;
    return read_part(rest, parts_of(name.module), name);
  }

  /// Names inside a block.
  bool read_inside(Words words, TapName& name) const {
    if (words.empty()) return !mot_;
    if (!read_module(words[0], kInside, name)) return read_own_modality(words, name);
    const TapName block = name;
    if (read_of_module(words.subspan(1), name)) return true;
    // "layers.0.attn" of a modality that is called attn
    name = block;
    name.module = TapModule::none;
    return read_own_modality(words, name);
  }

 private:
  static bool read_module(std::string_view word, ModuleTable table, TapName& name) {
    const auto found = std::ranges::find(table, word, &ModuleWord::word);
    if (found == table.end()) return false;
    name.module = found->module;
    return true;
  }

  bool read_modality(Words words, TapName& name) const {
    if (words.empty() || std::ranges::find(modalities_, words[0]) == modalities_.end()) return false;
    name.modality = words[0];
    return true;
  }

  /// In a Mixture-of-Transformers the modality, and nothing after it; elsewhere nothing.
  bool read_own_modality(Words words, TapName& name) const {
    return mot_ ? words.size() == 1 && read_modality(words, name) : words.empty();
  }

  bool read_of_module(Words words, TapName& name) const {
    if (name.module == TapModule::mlp) return read_mlp(words, name);
    if (name.module == TapModule::kv_cache) return read_part(words, parts_of(name.module), name);
    if (read_own_modality(words, name)) return true;  // perhaps one that is called like a part
    return !words.empty() && read_part(words.first(1), parts_of(name.module), name) &&
           read_own_modality(words.subspan(1), name);
  }

  bool read_mlp(Words words, TapName& name) const {
    if (mot_) return read_modality(words, name) && read_feed_forward(words.subspan(1), name);
    if (!moma_) return read_feed_forward(words, name);
    if (words.empty()) return true;
    name.module = TapModule::expert_group;
    return words[0] == kExperts && read_modality(words.subspan(1), name) && words.size() > 2 &&
           read_feed_forward(words.subspan(2), name);
  }

  /// A feed-forward, or a mixture with its router and experts.
  static bool read_feed_forward(Words words, TapName& name) {
    if (words.empty() || read_part(words, kOfFeedForward, name) || read_part(words, kOfMixture, name)) {
      return true;
    }
    const Words rest = words.subspan(1);
    if (words[0] == kRouter) return read_part(rest, kOfRouter, name);
    if (words[0] == kSharedExpert) {
      name.shared_expert = true;
      return rest.empty() || read_part(rest, kOfFeedForward, name);
    }
    if (words[0] != kExperts || rest.empty()) return false;
    name.expert = number_of(rest[0]);
    const Words inside = rest.subspan(1);
    return name.expert && (inside.empty() || read_part(inside, kOfFeedForward, name));
  }

  bool mot_, moma_;
  std::vector<std::string> modalities_;
};

}  // namespace

std::string_view to_string(BlockKind kind) {
  switch (kind) {
    case BlockKind::none:
      return "";
    case BlockKind::layers:
      return "layers";
    case BlockKind::cross_attention_layers:
      return "cross_attention_layers";
  }
  return "";
}

std::string_view part_text(TapPart part) {
  for (const PartTable table : {PartTable(kOfAttention), PartTable(kOfFeedForward), PartTable(kOfRouter),
                                PartTable(kOfMixture), PartTable(kOfCache), PartTable(kOfLogits),
                                PartTable(kOfLoss), PartTable(kOfEmbedding), PartTable(kOfAdapter)}) {
    const auto found = std::ranges::find(table, part, &PartWord::part);
    if (found != table.end()) return found->word;
  }
  return "";
}

std::string to_string(const TapName& name) {
  if (name.module == TapModule::greedy_from) return std::string(kGreedyFrom) + std::to_string(name.index);
  std::string text;
  const auto add = [&text](std::string_view word) {
    if (word.empty()) return;
    if (!text.empty()) text += '.';
    text += word;
  };
  if (name.block != BlockKind::none) {
    add(to_string(name.block));
    add(std::to_string(name.index));
  }
  // 1. the module; a modality's own feed-forward and norms carry its name here
  const bool attends = name.module == TapModule::attention || name.module == TapModule::attn;
  if (name.module == TapModule::expert_group) {
    add(word_of(TapModule::mlp));
    add(kExperts);
  }
  add(word_of(name.module));
  if (!attends) add(name.modality);
  // 2. where in a mixture
  if (name.shared_expert) add(kSharedExpert);
  if (name.expert) {
    add(kExperts);
    add(std::to_string(*name.expert));
  }
  if (is_of_router(name.part)) add(kRouter);
  // 3. the part; the projections of an attention end in their modality
  add(part_text(name.part));
  if (attends) add(name.modality);
  return text;
}

std::optional<BlockWords> block_of(std::string_view name) {
  for (const BlockKind kind : {BlockKind::layers, BlockKind::cross_attention_layers}) {
    const std::string_view word = to_string(kind);
    if (!name.starts_with(word) || name.substr(word.size()).substr(0, 1) != ".") continue;
    const std::string_view rest = name.substr(word.size() + 1);
    const std::size_t dot = rest.find('.');
    const auto index = number_of(rest.substr(0, dot));
    const bool ends = dot == std::string_view::npos;
    if (!index || (!ends && dot + 1 == rest.size())) return std::nullopt;
    return BlockWords{kind, *index, ends ? std::string_view() : rest.substr(dot + 1)};
  }
  return std::nullopt;
}

std::optional<TapName> parse_tap_name(std::string_view name, const Architecture& architecture) {
  TapName result;
  const Reader reader(architecture);
  if (const auto block = block_of(name)) {
    result.block = block->kind;
    result.index = block->index;
    const std::vector<std::string_view> words =
        block->inside.empty() ? std::vector<std::string_view>() : words_of(block->inside);
    return reader.read_inside(words, result) ? std::optional(result) : std::nullopt;
  }
  return reader.read_outside(words_of(name), result) ? std::optional(result) : std::nullopt;
}

TapName in_block(BlockKind kind, std::int64_t index, TapModule module, const std::string& modality) {
  TapName name;
  name.block = kind;
  name.index = index;
  name.module = module;
  name.modality = modality;
  return name;
}

TapName outside(TapModule module, TapPart part) {
  TapName name;
  name.module = module;
  name.part = part;
  return name;
}

TapName with_part(TapName name, TapPart part) {
  name.part = part;
  return name;
}

std::string block_text(const TapName& name) {
  TapName block;
  block.block = name.block;
  block.index = name.index;
  return name.block == BlockKind::none ? "" : to_string(block);
}

}  // namespace forgecheck
