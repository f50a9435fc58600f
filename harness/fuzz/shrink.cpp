#include "harness/fuzz/shrink.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "harness/fuzz/fuzz_case.h"
#include "harness/fuzz/transformers_case.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// Changes a copy.
template <class Change>
Case with(const Case& value, const Change& change) {
  Case copy = value;
  change(copy);
  return copy;
}

/// The smallest value, the half of the way to it, and one step.
std::vector<std::int64_t> smaller(std::int64_t now, std::int64_t smallest) {
  std::vector<std::int64_t> values;
  for (const std::int64_t value : {smallest, smallest + (now - smallest) / 2, now - 1}) {
    if (value < now && value >= smallest && std::ranges::find(values, value) == values.end())
      values.push_back(value);
  }
  return values;
}

/// A size that may become smaller by itself.
template <class Get>
Simplification size(std::int64_t smallest, const Get& member) {
  return [=](const Case& value) {
    Case copy = value;
    std::vector<Case> alternatives;
    for (const std::int64_t size : smaller(member(copy), smallest)) {
      alternatives.push_back(with(value, [&](Case& c) { member(c) = size; }));
    }
    return alternatives;
  };
}

std::vector<Case> text_model(const Case& value) {
  if (!value.architecture.vlm) return {};
  return {without_images(value)};
}

/// Image tokens without the adapter that made them: one, or two, or as many.
std::vector<Case> no_adapter(const Case& value) {
  if (!value.architecture.adapter) return {};
  const std::int64_t as_many = value.architecture.adapter->output_num_tokens(value.inputs.patches) *
                               std::max<std::int64_t>(1, value.inputs.frames);
  std::vector<Case> alternatives;
  for (const std::int64_t tokens : {std::int64_t{1}, std::int64_t{2}, as_many}) {
    if (tokens > as_many) continue;
    alternatives.push_back(with(value, [&](Case& c) {
      c.inputs.image_tokens = c.architecture.is(VlmArch::mot) ? c.architecture.num_image_tokens : tokens;
      c.inputs.patches = c.inputs.frames = c.architecture.feature_dim = 0;
      c.architecture.adapter.reset();
    }));
  }
  return alternatives;
}

/// One row in place of several: as long as all of them together, as what needs several tokens may not need several rows.
std::vector<Case> one_longer_row(const Case& value) {
  if (value.inputs.batch == 1) return {};
  return {with(value, [](Case& c) {
    c.inputs.text_len *= c.inputs.batch;
    c.inputs.batch = 1;
    if (c.run == RunKind::decode) c.chunks = {c.inputs.text_len};
  })};
}

std::vector<Case> no_experts(const Case& value) {
  if (value.architecture.model.num_experts == 0) return {};
  return {with(value, [](Case& c) {
    c.architecture.model.num_experts = 0;
    c.architecture.model.moe_top_k = ModelConfig().moe_top_k;
    c.moe_step.reset();
    c.mot_moe_totals = false;
  })};
}

std::vector<Case> forward_run(const Case& value) {
  if (value.run == RunKind::forward) return {};
  return {with(value, [](Case& c) {
    c.run = RunKind::forward;
    c.chunks.clear();
    c.inputs.ignore_labels = false;
  })};
}

/// What says how large something is, and what removing would make large or say nothing of: not an option.
const std::set<std::string> kSizes = {"dim",
                                      "n_layers",
                                      "n_heads",
                                      "vocab_size",
                                      "ffn_hidden_dim",
                                      "max_seq_len",
                                      "num_experts",
                                      "moe_top_k",
                                      "arch",
                                      "run",
                                      "chunks",
                                      "kind",
                                      "max_new_tokens",
                                      "batch",
                                      "text_len",
                                      "image_tokens",
                                      "patches",
                                      "feature_dim",
                                      "num_image_tokens",
                                      "dtype",
                                      "seed",
                                      "schema"};

/// Each option at its default: the case's JSON without that key, as only what differs is written.
std::vector<Case> defaults(const Case& value) {
  const nlohmann::json json = nlohmann::json::parse(case_json(value));
  std::vector<Case> alternatives;
  const auto try_without = [&](const nlohmann::json::json_pointer& at) {
    nlohmann::json without = json;
    without[at.parent_pointer()].erase(at.back());
    try {
      Case simpler = parse_case_json(without.dump());
      if (case_text(simpler) != case_text(value)) alternatives.push_back(std::move(simpler));
    } catch (const Error&) {
      // an option that others need
    }
  };
  for (const auto& [section, members] : json.items()) {
    if (!members.is_object()) {
      if (!kSizes.contains(section)) try_without(nlohmann::json::json_pointer("/" + section));
      continue;
    }
    for (const auto& [key, member] : members.items()) {
      if (!kSizes.contains(key)) try_without(nlohmann::json::json_pointer("/" + section + "/" + key));
    }
  }
  return alternatives;
}

/// Fewer heads of the same width.
std::vector<Case> fewer_heads(const Case& value) {
  const ModelConfig& model = value.architecture.model;
  const std::int64_t width = model.dim / model.n_heads;
  std::vector<Case> alternatives;
  for (const std::int64_t heads : smaller(model.n_heads, 1)) {
    for (const std::int64_t kv_heads : {heads, std::int64_t{1}}) {
      alternatives.push_back(with(value, [&](Case& c) {
        ModelConfig& m = c.architecture.model;
        m.n_heads = heads;
        m.dim = heads * width;
        m.n_kv_heads.reset();
        if (kv_heads != heads) m.n_kv_heads = kv_heads;
      }));
    }
  }
  return alternatives;
}

std::vector<Case> narrower_heads(const Case& value) {
  const ModelConfig& model = value.architecture.model;
  std::vector<Case> alternatives;
  for (const std::int64_t half : smaller(model.dim / model.n_heads / 2, 1)) {
    alternatives.push_back(
        with(value, [&](Case& c) { c.architecture.model.dim = 2 * half * model.n_heads; }));
  }
  return alternatives;
}

std::vector<Case> narrower_own_heads(const Case& value) {
  std::vector<Case> alternatives;
  for (const std::int64_t half : smaller(value.architecture.model.head_dim.value_or(2) / 2, 1)) {
    alternatives.push_back(with(value, [&](Case& c) { c.architecture.model.head_dim = 2 * half; }));
  }
  return alternatives;
}

std::vector<Case> fewer_choices(const Case& value) {
  if (value.architecture.model.num_experts == 0) return {};
  std::vector<Case> alternatives;
  for (const std::int64_t top_k : smaller(value.architecture.model.moe_top_k, 1)) {
    alternatives.push_back(with(value, [&](Case& c) { c.architecture.model.moe_top_k = top_k; }));
  }
  return alternatives;
}

std::vector<Case> fewer_experts(const Case& value) {
  std::vector<Case> alternatives;
  for (const std::int64_t experts : smaller(value.architecture.model.num_experts, 1)) {
    alternatives.push_back(with(value, [&](Case& c) {
      ModelConfig& model = c.architecture.model;
      model.num_experts = experts;
      model.moe_top_k = std::min(model.moe_top_k, experts);
    }));
  }
  return alternatives;
}

/// A shorter text, and of a decode its last chunks cut off; one token at its end may have a chunk of its own.
std::vector<Case> shorter_text(const Case& value) {
  std::vector<Case> alternatives;
  for (const std::int64_t length : smaller(value.inputs.text_len, 1)) {
    Case shorter = with(value, [&](Case& c) { c.inputs.text_len = length; });
    if (value.run == RunKind::decode) {
      std::int64_t left = length;
      shorter.chunks.clear();
      for (const std::int64_t chunk : value.chunks) {
        if (left > 0) shorter.chunks.push_back(std::min(chunk, left));
        left -= chunk;
      }
    }
    alternatives.push_back(std::move(shorter));
    if (value.run == RunKind::decode && length > 1) {
      alternatives.push_back(with(alternatives.back(), [&](Case& c) { c.chunks = {length - 1, 1}; }));
    }
  }
  return alternatives;
}

std::vector<Case> fewer_chunks(const Case& value) {
  if (value.chunks.size() < 2) return {};
  std::vector<Case> alternatives = {with(value, [](Case& c) { c.chunks = {c.inputs.text_len}; })};
  for (std::size_t i = 0; i + 1 < value.chunks.size(); ++i) {
    alternatives.push_back(with(value, [&](Case& c) {
      c.chunks[i] += c.chunks[i + 1];
      c.chunks.erase(c.chunks.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }));
  }
  return alternatives;
}

std::vector<Case> fewer_image_tokens(const Case& value) {
  std::vector<Case> alternatives;
  for (const std::int64_t tokens : smaller(value.inputs.image_tokens, 1)) {
    alternatives.push_back(with(value, [&](Case& c) {
      c.inputs.image_tokens = tokens;
      if (c.architecture.is(VlmArch::mot)) c.architecture.num_image_tokens = tokens;
    }));
  }
  return alternatives;
}

/// One patch, which every adapter takes; or four, two by two.
std::vector<Case> fewer_patches(const Case& value) {
  std::vector<Case> alternatives;
  for (const std::int64_t side : {1, 2}) {
    if (!value.architecture.adapter || value.inputs.patches <= side * side) continue;
    alternatives.push_back(with(value, [&](Case& c) {
      AdapterConfig& adapter = *c.architecture.adapter;
      c.inputs.patches = side * side;
      adapter.pool_window = std::min(adapter.pool_window, side);
      if (c.architecture.is(VlmArch::mot)) {
        c.architecture.num_image_tokens = adapter.output_num_tokens(c.inputs.patches);
      }
    }));
  }
  return alternatives;
}

std::vector<Case> fewer_moma_experts(const Case& value) {
  std::vector<Case> alternatives;
  if (!value.architecture.is(VlmArch::moma)) return alternatives;
  for (const auto& modality : value.architecture.vlm->moma_experts_per_modality) {
    for (const std::int64_t fewer : smaller(modality.second, 1)) {
      alternatives.push_back(with(
          value, [&](Case& c) { c.architecture.vlm->moma_experts_per_modality[modality.first] = fewer; }));
    }
  }
  return alternatives;
}

std::vector<Case> narrower_feed_forward(const Case& value) {
  std::vector<Case> alternatives;
  for (const std::int64_t width : smaller(value.architecture.model.computed_ffn_hidden_dim(), 1)) {
    alternatives.push_back(with(value, [&](Case& c) { c.architecture.model.ffn_hidden_dim = width; }));
  }
  return alternatives;
}

std::vector<Case> simpler_type(const Case& value) {
  if (value.dtype == Dtype::f32) return {};
  return {with(value, [](Case& c) { c.dtype = Dtype::f32; })};
}

/// Small seeds are shorter to type, and other values may show less of the mistake.
std::vector<Case> small_seeds(const Case& value) {
  std::vector<Case> alternatives;
  for (std::uint64_t seed = 0; seed < std::min<std::uint64_t>(value.seed, 4); ++seed) {
    alternatives.push_back(with(value, [&](Case& c) { c.seed = seed; }));
  }
  return alternatives;
}

}  // namespace

const std::vector<Simplification>& simplifications() {
  using Member = std::int64_t& (*)(Case&);
  static const std::vector<Simplification> all = {
      text_model,
      no_adapter,
      no_experts,
      forward_run,
      defaults,
      size(1, Member([](Case& c) -> std::int64_t& { return c.architecture.model.n_layers; })),
      fewer_heads,
      fewer_experts,
      fewer_choices,
      fewer_moma_experts,
      size(1, Member([](Case& c) -> std::int64_t& { return c.inputs.batch; })),
      one_longer_row,
      shorter_text,
      fewer_chunks,
      fewer_image_tokens,
      fewer_patches,
      size(64, Member([](Case& c) -> std::int64_t& { return c.architecture.model.max_seq_len; })),
      size(1, Member([](Case& c) -> std::int64_t& { return c.architecture.feature_dim; })),
      size(1, Member([](Case& c) -> std::int64_t& { return c.inputs.frames; })),
      size(1, Member([](Case& c) -> std::int64_t& { return c.inputs.documents; })),
      size(1, Member([](Case& c) -> std::int64_t& { return c.generate.max_new_tokens; })),
      narrower_own_heads,
      narrower_heads,
      size(2, Member([](Case& c) -> std::int64_t& { return c.architecture.model.vocab_size; })),
      narrower_feed_forward,
      simpler_type,
      small_seeds,
  };
  return all;
}

Shrunk shrink(const Case& failing, const std::function<bool(const Case&)>& fails, std::int64_t limit) {
  Shrunk result{failing};
  std::set<std::string> tried;
  const auto take_one = [&](const Simplification& simplify) {
    for (Case& simpler : simplify(result.smallest)) {
      if (!tried.insert(case_text(simpler)).second || refusal_of(simpler)) continue;
      if (result.tried == limit) {
        result.complete = false;
        return false;
      }
      ++result.tried;
      if (!fails(simpler)) continue;
      result.smallest = std::move(simpler);
      return true;
    }
    return false;
  };
  bool changed = true;
  while (changed && result.complete) {
    changed = false;
    for (const Simplification& simplify : simplifications()) {
      while (result.complete && take_one(simplify)) changed = true;
    }
  }
  return result;
}

}  // namespace forgecheck
