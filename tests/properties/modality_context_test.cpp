// The rules of the forward call (specification, section 13), over all combinations of set and unset fields, against a table that
// was written down from the specification.
#include <map>

#include "harness/backend/backend.h"
#include "tests/properties/cases.h"
#include "tests/properties/generators.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

enum Field {
  tokens,
  inputs_embeds,
  prefix_embeds,
  output_slice,
  image_features,
  image_mask,
  modality_ids,
  key_padding_mask,
  doc_ids
};
constexpr int kFields = 9;

using Set = unsigned;
bool has(Set set, Field field) {
  return (set >> field & 1U) != 0;
}

/// A rule: when it is broken, and what its error must say.
struct Rule {
  std::function<bool(Set set, const Architecture& architecture, bool cache)> is_broken;
  std::string message;
};

const std::vector<Rule>& rules() {
  const auto cache_forbids = [](Field field, const std::string& name) {
    return Rule{[field](Set set, const Architecture&, bool cache) { return cache && has(set, field); },
                name + " cannot be combined with a KV cache"};
  };
  const auto extended = [](Set set) { return has(set, prefix_embeds) || has(set, inputs_embeds); };
  static const std::vector<Rule> all = {
      {[](Set set, const Architecture&, bool) { return has(set, tokens) == has(set, inputs_embeds); },
       "exactly one of tokens and inputs_embeds must be given"},
      {[](Set set, const Architecture&, bool) {
         return has(set, inputs_embeds) + has(set, prefix_embeds) + has(set, image_features) > 1;
       },
       "at most one of inputs_embeds, prefix_embeds and image_features may be given"},
      {[](Set set, const Architecture&, bool) { return has(set, image_mask) && !has(set, image_features); },
       "image_mask needs image_features"},
      {[=](Set set, const Architecture&, bool) { return has(set, modality_ids) && !extended(set); },
       "modality_ids needs prefix_embeds or inputs_embeds"},
      {[=](Set set, const Architecture&, bool) { return has(set, key_padding_mask) && !extended(set); },
       "key_padding_mask needs prefix_embeds or inputs_embeds"},
      cache_forbids(output_slice, "output_slice"),
      cache_forbids(prefix_embeds, "prefix_embeds"),
      cache_forbids(image_features, "image_features"),
      cache_forbids(modality_ids, "modality_ids"),
      cache_forbids(doc_ids, "doc_ids"),
      cache_forbids(key_padding_mask, "key_padding_mask"),
      {[](Set, const Architecture& of, bool cache) { return cache && of.is(VlmArch::moma); },
       "a KV cache is not possible with moma"},
      {[](Set set, const Architecture& of, bool) {
         return (of.is(VlmArch::mot) || of.is(VlmArch::moma)) && !has(set, modality_ids);
       },
       "modality_ids is required by arch = "},
      {[](Set set, const Architecture& of, bool) {
         return of.is(VlmArch::cross_attention) && !has(set, image_features);
       },
       "image_features is required by arch = cross_attention"},
  };
  return all;
}

/// Two rows: 3 tokens or embeddings behind 3 embeddings of an image.
Inputs inputs_of(Set set) {
  const std::int64_t residual = 3 + (has(set, prefix_embeds) ? 3 : 0);
  Inputs inputs;
  if (has(set, tokens)) inputs.tokens = integers({2, 3}, {1, 2, 3, 4, 5, 6});
  if (has(set, inputs_embeds)) inputs.inputs_embeds = random_input("embeds", {2, 3, 8});
  if (has(set, prefix_embeds)) inputs.prefix_embeds = random_input("prefix", {2, 3, 8});
  if (has(set, output_slice)) inputs.output_slice = OutputSlice{1, {}};
  if (has(set, image_features)) inputs.image_features = random_input("features", {2, 4, 8});
  if (has(set, image_mask))
    inputs.image_mask = Array::from(Tensor<std::uint8_t>({2, 4}, std::vector<std::uint8_t>(8, 1)));
  const auto count = static_cast<std::size_t>(2 * residual);
  if (has(set, modality_ids))
    inputs.modality_ids = integers({2, residual}, std::vector<std::int64_t>(count, 1));
  if (has(set, key_padding_mask)) {
    inputs.key_padding_mask =
        Array::from(Tensor<std::uint8_t>({2, residual}, std::vector<std::uint8_t>(count, 1)));
  }
  if (has(set, doc_ids)) inputs.doc_ids = integers({2, residual}, std::vector<std::int64_t>(count, 0));
  return inputs;
}

std::vector<Architecture> architectures() {
  std::vector<Architecture> all = {small_text(), small_moe()};
  for (const VlmArch arch : {VlmArch::joint_decoder, VlmArch::cross_attention, VlmArch::mot, VlmArch::moma}) {
    all.push_back(small_vlm(arch));
  }
  return all;
}

/// The messages of the rules that the combination breaks.
std::vector<std::string> broken_rules(Set set, const Architecture& architecture, bool cache) {
  std::vector<std::string> messages;
  for (const Rule& rule : rules()) {
    if (rule.is_broken(set, architecture, cache)) messages.push_back(rule.message);
  }
  return messages;
}

bool names_one_of(const std::string& error, const std::vector<std::string>& messages) {
  return std::ranges::any_of(
      messages, [&](const std::string& message) { return error.find(message) != std::string::npos; });
}

TEST(ModalityContextProperties, EveryCombinationIsAcceptedOrRefusedByItsRule) {
  int accepted = 0, refused = 0;
  std::map<std::string, int> seen;
  for (const Architecture& architecture : architectures()) {
    for (const bool cache : {false, true}) {
      for (Set set = 0; set < (1U << kFields); ++set) {
        const std::vector<std::string> expected = broken_rules(set, architecture, cache);
        std::string error;
        try {
          validate_inputs(architecture, inputs_of(set), cache);
        } catch (const ShapeError& refusal) {
          error = refusal.what();
        }
        ASSERT_EQ(error.empty(), expected.empty())
            << "fields " << set << ", cache " << cache << ": " << error;
        if (expected.empty()) {
          ++accepted;
        } else {
          ++refused;
          ASSERT_TRUE(names_one_of(error, expected)) << "fields " << set << ": " << error;
          if (expected.size() == 1) ++seen[expected[0]];
        }
      }
    }
  }
  EXPECT_GT(accepted, 50);
  EXPECT_GT(refused, 5000);
  // Every rule is the only one that some combination breaks, but for three that come with another one.
  EXPECT_GE(seen.size(), rules().size() - 3);
}

/// A case of that architecture; what the inputs are is set afterwards.
Problem problem_of(const Architecture& architecture, Set set) {
  Problem problem;
  problem.definition.architecture = architecture;
  problem.inputs = inputs_of(set);
  return problem;
}

// Without any weights: what is refused is refused before the first of them is asked for, and what is accepted runs with them.
TEST(ModalityContextProperties, EveryBackendRefusesBeforeAnyArithmeticAndInTheSameWords) {
  for (const Architecture& architecture : architectures()) {
    for (Set set = 0; set < (1U << kFields); ++set) {
      const bool refused = !broken_rules(set, architecture, false).empty();
      if (refused && set % 3 != 0) continue;
      std::string first;
      for (const std::string& name : with_gpu()) {
        const std::unique_ptr<Backend> backend = make_backend(name);
        Problem problem = problem_of(architecture, set);
        if (!refused) problem.parameters = seeded_parameters(architecture);
        std::string error;
        try {
          (void)backend->run(problem, [](std::string_view tap) { return tap == "logits"; });
        } catch (const Error& refusal) {
          error = refusal.what();
        }
        ASSERT_EQ(error.empty(), !refused) << name << ", fields " << set << ": " << error;
        if (name == "reference") first = error;
        ASSERT_EQ(error, first) << name << ", fields " << set;
        ASSERT_EQ(error.find("parameter"), std::string::npos) << error;
      }
    }
  }
}

}  // namespace
}  // namespace forgecheck
