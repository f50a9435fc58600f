#include "harness/fuzz/relations.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "harness/fuzz/fuzz_case.h"

namespace forgecheck {

namespace {

using Rows = std::vector<std::int64_t>;

Rows all_rows(const Shape& logits) {
  Rows rows(static_cast<std::size_t>(logits[0] * logits[1]));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

/// 0 .. count - 1, each in another place.
Rows other_order(std::int64_t count, RandomDraws& draws) {
  Rows order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  std::rotate(order.begin(), order.begin() + draws.between(1, count - 1), order.end());
  return order;
}

/// `array`, cut into as many equal pieces as `order` has entries, with piece order[i] at i.
Array reordered(const Array& array, const Rows& order) {
  const std::size_t size = array.bytes().size() / order.size();
  const std::shared_ptr<std::byte[]> data(new std::byte[array.bytes().size()]);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto from = array.bytes().subspan(static_cast<std::size_t>(order[i]) * size, size);
    std::ranges::copy(from, data.get() + i * size);
  }
  return Array(array.dtype(), array.shape(), std::shared_ptr<const std::byte>(data, data.get()));
}

/// Whether what one token gets depends on which others there are: by a capacity, by the load of its expert, or as experts choose.
bool tokens_compete(const Case& definition) {
  const ModelConfig& model = definition.architecture.model;
  if (definition.architecture.is(VlmArch::moma)) return true;
  return model.num_experts > 0 &&
         (model.moe_capacity_factor > 0 || (model.moe_gradient_scale && definition.train));
}

/// Whether position s of row b is padding. Such a query may see nothing at all, and then sees everything.
bool is_padded(const Problem& problem, const Shape& logits, std::int64_t b, std::int64_t s) {
  const auto& mask = problem.inputs.key_padding_mask;
  return mask && mask->shape()[1] == logits[1] && mask->int_at(b * logits[1] + s) == 0;
}

/// The plain problem with other tokens where `changes(row, position of the output)`; those rows of the logits are left out. None
/// where nothing is changed, or nothing is left.
template <class Changes>
std::optional<Related> with_other_tokens(const Problem& plain, const Shape& logits, RandomDraws& draws,
                                         const Changes& changes) {
  if (!plain.inputs.tokens || tokens_compete(plain.definition)) return std::nullopt;
  // It reads the mask in the order of its modalities (divergence D3), and its images may come after the text.
  const bool is_mot = plain.definition.architecture.is(VlmArch::mot);
  if (is_mot && (plain.inputs.key_padding_mask || plain.inputs.frame_mask)) return std::nullopt;
  Tensor<std::int64_t> tokens = plain.inputs.tokens->to_int64();
  const std::int64_t vocab = plain.definition.architecture.model.vocab_size;
  if (vocab < 2) return std::nullopt;
  // An image before the text may have positions of its own in the output.
  const std::int64_t before = logits[1] - tokens.dim(1);
  const bool leaves_images_out =
      is_mot || plain.inputs.frame_mask.has_value();  // a mask of frames is one of images
  Related related{plain, all_rows(logits)};
  std::int64_t changed = 0, left_out = 0;
  for (std::int64_t b = 0; b < logits[0]; ++b) {
    for (std::int64_t s = 0; s < logits[1]; ++s) {
      const bool changes_here = s >= before && changes(b, s);
      if (changes_here || is_padded(plain, logits, b, s) || (leaves_images_out && s < before)) {
        related.equals[static_cast<std::size_t>(b * logits[1] + s)] = -1;
        ++left_out;
      }
      if (!changes_here) continue;
      std::int64_t& token = tokens[b * tokens.dim(1) + s - before];
      token = (token + draws.between(1, vocab - 1)) % vocab;
      ++changed;
    }
  }
  if (changed == 0 || left_out == logits[0] * logits[1]) return std::nullopt;
  related.problem.inputs.tokens = Array::from(tokens);
  return related;
}

std::optional<Related> again(const Problem& plain, const Shape& logits, RandomDraws&) {
  return Related{plain, all_rows(logits)};
}

std::optional<Related> decoded(const Problem& plain, const Shape& logits, RandomDraws& draws) {
  Related related{plain, all_rows(logits)};
  Case& definition = related.problem.definition;
  if (tokens_compete(definition) || definition.train || definition.architecture.vlm) return std::nullopt;
  definition.run = RunKind::decode;
  for (std::int64_t left = definition.inputs.text_len; left > 0; left -= definition.chunks.back()) {
    definition.chunks.push_back(draws.between(1, left));
  }
  if (refusal_of(definition)) return std::nullopt;
  return related;
}

std::optional<Related> staged(const Problem& plain, const Shape& logits, RandomDraws& draws) {
  Related related{plain, all_rows(logits), "logits.staged"};
  related.problem.definition.stages = draws.between(1, plain.definition.architecture.model.n_layers);
  if (refusal_of(related.problem.definition)) return std::nullopt;
  return related;
}

std::optional<Related> rows_permuted(const Problem& plain, const Shape& logits, RandomDraws& draws) {
  if (logits[0] < 2 || tokens_compete(plain.definition)) return std::nullopt;
  const Rows order = other_order(logits[0], draws);
  Related related{plain, {}};
  Inputs::visit(related.problem.inputs, [&](const char*, std::optional<Array>& input) {
    if (input) input = reordered(*input, order);
  });
  for (const std::int64_t row : order) {
    for (std::int64_t s = 0; s < logits[1]; ++s) related.equals.push_back(row * logits[1] + s);
  }
  return related;
}

std::optional<Related> last_token_changed(const Problem& plain, const Shape& logits, RandomDraws& draws) {
  return with_other_tokens(plain, logits, draws,
                           [&](std::int64_t, std::int64_t s) { return s == logits[1] - 1; });
}

/// The first one: that no document sees a later one is what a changed last token shows.
std::optional<Related> document_changed(const Problem& plain, const Shape& logits, RandomDraws& draws) {
  if (plain.definition.architecture.is(VlmArch::mot)) return std::nullopt;  // does not use doc_ids
  if (!plain.inputs.doc_ids || plain.inputs.doc_ids->shape()[1] != logits[1]) return std::nullopt;
  const Tensor<std::int64_t> ids = plain.inputs.doc_ids->to_int64();
  return with_other_tokens(plain, logits, draws, [&](std::int64_t b, std::int64_t s) {
    return ids[b * logits[1] + s] == ids[b * logits[1]];
  });
}

std::optional<Related> padding_changed(const Problem& plain, const Shape& logits, RandomDraws& draws) {
  if (!plain.inputs.key_padding_mask || plain.inputs.key_padding_mask->shape()[1] != logits[1]) {
    return std::nullopt;
  }
  return with_other_tokens(plain, logits, draws,
                           [&](std::int64_t b, std::int64_t s) { return is_padded(plain, logits, b, s); });
}

std::optional<Related> experts_permuted(const Problem& plain, const Shape& logits, RandomDraws& draws) {
  const std::int64_t experts = plain.definition.architecture.model.num_experts;
  if (experts < 2 || plain.definition.architecture.is(VlmArch::moma)) return std::nullopt;
  // Scores in bfloat16 are often equal, and of equal ones the lower index is chosen.
  if (plain.definition.dtype == Dtype::bf16) return std::nullopt;
  Related related{plain, all_rows(logits)};
  related.problem.seeded = false;
  ParameterTable& table = related.problem.parameters;
  constexpr std::string_view kGate = "router.gate.weight";
  for (const auto& [gate, unused] : plain.parameters) {
    if (!gate.ends_with(kGate)) continue;
    const std::string module = gate.substr(0, gate.size() - kGate.size());
    const Rows order = other_order(experts, draws);
    for (const char* const stacked :
         {"router.gate.weight", "router.expert_bias", "router.expert_ema", "up_w", "down_w", "gate_w"}) {
      const auto found = table.find(module + stacked);
      if (found != table.end()) found->second = reordered(found->second, order);
    }
    for (std::int64_t e = 0; e < experts; ++e) {
      const std::string to = module + "experts." + std::to_string(e) + ".";
      const std::string from = module + "experts." + std::to_string(order[static_cast<std::size_t>(e)]) + ".";
      for (const char* const matrix : {"gate_proj.weight", "up_proj.weight", "down_proj.weight"}) {
        const auto found = plain.parameters.find(from + matrix);
        if (found != plain.parameters.end()) table.at(to + matrix) = found->second;
      }
    }
  }
  return related;
}

}  // namespace

const std::vector<Relation>& relations() {
  static const std::vector<Relation> all = {
      {"the same run again", again},
      {"decode in chunks", decoded},
      {"batch rows permuted", rows_permuted},
      {"last token changed", last_token_changed},
      {"another document changed", document_changed},
      {"padding changed", padding_changed},
      {"experts permuted", experts_permuted},
      {"in pipeline stages", staged},
  };
  return all;
}

Array expected_logits(const Related& related, const Array& plain) {
  Rows order = related.equals;
  for (std::size_t row = 0; row < order.size(); ++row) {
    if (order[row] < 0) order[row] = static_cast<std::int64_t>(row);
  }
  return reordered(plain, order);
}

Case plain_case(const Case& value) {
  Case plain = value;
  plain.run = RunKind::forward;
  plain.chunks.clear();
  plain.generate = {};
  plain.loss = {};
  plain.inputs.ignore_labels = false;
  plain.output_slice.reset();
  plain.stages = plain.greedy_from = plain.greedy_new_tokens = 0;
  return plain;
}

Problem plain_problem(const Problem& problem) {
  Problem plain = problem;
  plain.definition = plain_case(problem.definition);
  plain.inputs.output_slice.reset();
  plain.inputs.labels.reset();
  return plain;
}

}  // namespace forgecheck
