#include "harness/verdict/vacuity.h"

#include <algorithm>
#include <cstddef>

#include "harness/tap/tap_kind.h"

namespace forgecheck {

namespace {

/// mask (B, positions); a row of one position has nothing to choose from.
bool masks_nothing(const std::optional<Array>& mask) {
  if (!mask || mask->shape().back() < 2) return false;
  for (std::int64_t i = 0; i < mask->size(); ++i) {
    if (mask->int_at(i) == 0) return false;
  }
  return true;
}

/// doc_ids (B, S).
bool one_document_a_row(const Array& doc_ids) {
  const std::int64_t length = doc_ids.shape().back();
  if (length < 2) return false;
  for (std::int64_t i = 0; i < doc_ids.size(); ++i) {
    if (doc_ids.int_at(i) != doc_ids.int_at(i / length * length)) return false;
  }
  return true;
}

std::string idle_mask(const Inputs& inputs) {
  if (masks_nothing(inputs.key_padding_mask)) return "key_padding_mask is true everywhere";
  if (masks_nothing(inputs.image_mask)) return "image_mask is true everywhere";
  if (masks_nothing(inputs.frame_mask)) return "frame_mask is true everywhere";
  if (inputs.doc_ids && one_document_a_row(*inputs.doc_ids)) return "doc_ids has one document in every row";
  return "";
}

/// An expert that a token-choice router left out; tokens (N, k) chose among `scores.width()` experts.
std::string idle_expert(const std::string& name, const Decision& decision) {
  const std::int64_t experts = decision.scores.width();
  if (static_cast<double>(decision.chosen.size()) < kExpectedTokens * static_cast<double>(experts)) return "";
  std::vector<bool> busy(static_cast<std::size_t>(experts));
  for (const std::int64_t expert : decision.chosen.data) busy[static_cast<std::size_t>(expert)] = true;
  const auto idle = std::ranges::find(busy, false);
  if (idle == busy.end()) return "";
  return name + " gives expert " + std::to_string(idle - busy.begin()) + " no token, of " +
         std::to_string(decision.chosen.size()) + " choices among " + std::to_string(experts);
}

template <class Values>
bool all_equal(const Values& values) {
  return std::ranges::adjacent_find(values, std::ranges::not_equal_to()) == values.end();
}

/// Elements of an array whose bytes are all 0xFF.
std::int64_t unwritten_elements(const Array& array) {
  const auto bytes = array.bytes();
  const std::size_t size = size_of(array.dtype());
  std::int64_t count = 0;
  for (std::size_t begin = 0; begin < bytes.size(); begin += size) {
    const auto element = bytes.subspan(begin, size);
    count += std::ranges::all_of(element, [](std::byte b) { return b == std::byte{0xFF}; });
  }
  return count;
}

}  // namespace

std::string vacuity(const Problem& problem, const ReferenceRun& oracle) {
  if (std::string idle = idle_mask(problem.inputs); !idle.empty()) return idle + ": it masks nothing";
  if (problem.seeded) {
    const Architecture& architecture = problem.definition.architecture;
    for (const auto& [name, decision] : oracle.decisions) {
      if (place_of(name, architecture).kind != TapKind::indices || architecture.is(VlmArch::moma)) continue;
      if (std::string idle = idle_expert(name, decision); !idle.empty()) return idle;
    }
  }
  const Array* logits = oracle.trace.find("logits");
  if (logits != nullptr && logits->size() > 1 && all_equal(logits->to<double>().data)) {
    return "logits are the same number everywhere, in the oracle too";
  }
  return "";
}

std::string emptiness(const Array& candidate, const Tensor<double>& oracle) {
  if (!is_floating_point(candidate.dtype()) || candidate.size() == 0) return "";
  if (const std::int64_t count = unwritten_elements(candidate); count > 0) {
    return "was not written: every bit is set in " + std::to_string(count) + " of " +
           std::to_string(candidate.size()) + " elements";
  }
  const Tensor<double> values = candidate.to<double>();
  if (!all_equal(values.data)) return "";
  const double value = values[0];
  if (std::ranges::all_of(oracle.data, [value](double x) { return x == value; })) return "";
  if (value == 0) return "is all zero";
  return values.size() > 1 && !all_equal(oracle.data) ? "is one number everywhere: " + std::to_string(value)
                                                      : "";
}

}  // namespace forgecheck
