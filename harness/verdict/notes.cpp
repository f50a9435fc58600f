#include "harness/verdict/notes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstddef>

#include "harness/tap/parameter_name.h"
#include "harness/tap/tap_kind.h"
#include "reference/ops/moe.h"
#include "reference/parameters.h"

namespace forgecheck {

namespace {

using Notes = std::vector<std::string>;

/// mask (B, positions); a row of one position has nothing to choose from.
bool masks_nothing(const std::optional<Array>& mask) {
  if (!mask || mask->shape().back() < 2) return false;
  for (std::int64_t i = 0; i < mask->size(); ++i) {
    if (mask->int_at(i) == 0) return false;
  }
  return true;
}

/// doc_ids (B, S).
bool one_document_a_row(const std::optional<Array>& doc_ids) {
  if (!doc_ids) return false;
  const std::int64_t length = doc_ids->shape().back();
  if (length < 2) return false;
  for (std::int64_t i = 0; i < doc_ids->size(); ++i) {
    if (doc_ids->int_at(i) != doc_ids->int_at(i / length * length)) return false;
  }
  return true;
}

void note_masks(Notes& notes, const Inputs& inputs) {
  const auto note = [&notes](const char* input, const char* what) {
    notes.push_back(fmt::format("{} {}: the trace does not test it", input, what));
  };
  if (masks_nothing(inputs.key_padding_mask)) note("key_padding_mask", "is true everywhere");
  if (masks_nothing(inputs.image_mask)) note("image_mask", "is true everywhere");
  if (masks_nothing(inputs.frame_mask)) note("frame_mask", "is true everywhere");
  if (one_document_a_row(inputs.doc_ids)) note("doc_ids", "has one document in every row");
}

/// The experts that get no token, where that is worth a note; tokens (N, k) chose among `scores.width()`.
std::vector<std::int64_t> idle_experts(const Decision& decision) {
  const std::int64_t experts = decision.scores.width();
  if (static_cast<double>(decision.chosen.size()) < kExpectedTokens * static_cast<double>(experts)) return {};
  std::vector<std::int64_t> idle;
  for (std::int64_t expert = 0; expert < experts; ++expert) {
    if (std::ranges::find(decision.chosen.data, expert) == decision.chosen.data.end()) idle.push_back(expert);
  }
  return idle;
}

/// Whether an expert is chosen more often in one slot than its capacity allows; chosen (N, k).
bool drops_a_token(const Decision& decision, double capacity_factor) {
  const std::int64_t experts = decision.scores.width(), slots = decision.chosen.width();
  const std::int64_t capacity = expert_capacity(decision.chosen.rows(), slots, experts, capacity_factor);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(slots * experts));
  for (std::int64_t i = 0; i < decision.chosen.size(); ++i) {
    if (++counts[static_cast<std::size_t>(i % slots * experts + decision.chosen[i])] > capacity) return true;
  }
  return false;
}

void note_routers(Notes& notes, const Problem& problem, const ReferenceRun& oracle) {
  const Architecture& architecture = problem.definition.architecture;
  if (architecture.is(VlmArch::moma)) return;  // experts choose tokens: each has its share
  const double capacity_factor = architecture.model.moe_capacity_factor;
  bool routes = false, drops = false;
  for (const auto& [name, decision] : oracle.decisions) {
    if (place_of(name, architecture).kind != TapKind::indices) continue;
    routes = true;
    drops = drops || (capacity_factor > 0 && drops_a_token(decision, capacity_factor));
    const std::vector<std::int64_t> idle = idle_experts(decision);
    if (idle.empty()) continue;
    notes.push_back(fmt::format("{} gives no token to expert {} (of {}): the trace does not test {}", name,
                                fmt::join(idle, ", "), decision.scores.width(),
                                idle.size() == 1 ? "it" : "them"));
  }
  if (routes && capacity_factor > 0 && !drops && !problem.seeded) {
    notes.push_back(
        fmt::format("moe_capacity_factor = {} drops no token: the trace does not test it", capacity_factor));
  }
}

/// Whether every element of every parameter that `wanted(info)` selects is `value`, and there is one.
template <class Wanted>
bool all_are(const Problem& problem, double value, const Wanted& wanted) {
  bool found = false;
  for (const ParameterInfo& info : model_parameters(problem.definition.architecture)) {
    const auto parameter = problem.parameters.find(info.name);
    if (!wanted(info) || parameter == problem.parameters.end()) continue;
    found = true;
    for (std::int64_t i = 0; i < parameter->second.size(); ++i) {
      if (parameter->second.at(i) != value) return false;
    }
  }
  return found;
}

bool is_head_norm(const ParameterInfo& info, const Architecture& architecture) {
  const std::optional<ParameterName> name = parse_parameter_name(info.name, architecture);
  return name && kind_of(name->module, architecture) == TapKind::head_norm;
}

/// Whether the gains of every q_norm and k_norm are one number each.
bool head_gains_are_equal(const Problem& problem) {
  for (const ParameterInfo& info : model_parameters(problem.definition.architecture)) {
    const auto gains = problem.parameters.find(info.name);
    if (!is_head_norm(info, problem.definition.architecture) || gains == problem.parameters.end()) continue;
    for (std::int64_t i = 1; i < gains->second.size(); ++i) {
      if (gains->second.at(i) != gains->second.at(0)) return false;
    }
  }
  return true;
}

void note_weights(Notes& notes, const Problem& problem, const Trace& candidate) {
  const Architecture& architecture = problem.definition.architecture;
  const bool has_head_norm_tap = std::ranges::any_of(candidate.entries(), [&](const Trace::Entry& entry) {
    return place_of(entry.first, architecture).kind == TapKind::head_norm;
  });
  if (architecture.model.qk_norm && !has_head_norm_tap && head_gains_are_equal(problem)) {
    notes.emplace_back(
        "the gains of QK-norm are all equal and the trace has no q_norm or k_norm tap: whether QK-norm comes "
        "before RoPE is not tested");
  }
  if (all_are(problem, 1.0, [](const auto& info) { return info.kind == ParameterKind::norm_weight; })) {
    notes.emplace_back("the weight of every norm is 1: that norms multiply by it is not tested");
  }
  if (all_are(problem, 0.0, [](const auto& info) { return info.kind == ParameterKind::expert_bias; })) {
    notes.emplace_back("expert_bias is zero in every router: what it does to the choices is not tested");
  }
}

/// Whether the residual stream has one position and nothing is cached.
bool has_one_position(const Problem& problem) {
  const Inputs& inputs = problem.inputs;
  const Case& definition = problem.definition;
  const bool image_prefix = inputs.prefix_embeds ||
                            (inputs.vision_features && !definition.architecture.is(VlmArch::cross_attention));
  const std::optional<Array>& sequence = inputs.tokens ? inputs.tokens : inputs.inputs_embeds;
  return sequence && sequence->shape()[1] == 1 && !image_prefix && definition.run != RunKind::generate &&
         definition.greedy_from == 0;
}

}  // namespace

std::vector<std::string> notes_on(const Problem& problem, const Trace& candidate,
                                  const ReferenceRun& oracle) {
  Notes notes;
  note_masks(notes, problem.inputs);
  note_routers(notes, problem, oracle);
  note_weights(notes, problem, candidate);
  if (!problem.seeded && has_one_position(problem)) {
    notes.emplace_back(
        "the sequence has one position: RoPE and the causal mask change nothing, so the trace does not test "
        "them");
  }
  return notes;
}

void fail_on_notes(Judgement& judgement) {
  if (judgement.notes.empty() || !is_success(judgement.verdict)) return;
  judgement.verdict = Verdict::untrusted;
  judgement.message = fmt::format("{}", fmt::join(judgement.notes, "; "));
}

}  // namespace forgecheck
