// What a token of a whole model may depend on.
#include "tests/properties/cases.h"

namespace forgecheck {
namespace {

Tensor<std::int64_t> tokens_of(const Problem& problem) {
  return problem.inputs.tokens->to_int64();
}

/// The same problem with token (b, t) another one wherever `changes(b, t)`.
template <class Changes>
Problem with_other_tokens(const Problem& problem, const Changes& changes) {
  Tensor<std::int64_t> tokens = tokens_of(problem);
  for (std::int64_t b = 0; b < tokens.dim(0); ++b) {
    for (std::int64_t t = 0; t < tokens.dim(1); ++t) {
      std::int64_t& token = tokens[b * tokens.dim(1) + t];
      if (changes(b, t)) token = (token + 1) % problem.definition.architecture.model.vocab_size;
    }
  }
  Problem changed = problem;
  changed.inputs.tokens = Array::from(tokens);
  return changed;
}

bool has_text(Case& value, std::int64_t at_least) {
  value.inputs.embeds = false;
  return value.inputs.text_len >= at_least && value.architecture.model.vocab_size > 1;
}

/// By how much of the size of all a row may change: by nothing, but where experts get other tokens, as a library may sum a
/// product of other sizes in another order.
double allowed_change(const Backend& backend, const Problem& problem) {
  return problem.definition.architecture.model.num_experts > 0 && backend.name() != "reference" ? 1e-5 : 0.0;
}

/// "" where the rows for which `is_kept(b, s)` have not changed.
template <class Kept>
std::string unless_kept(const Tensor<double>& before, const Tensor<double>& after, double limit,
                        const Kept& is_kept) {
  for (std::int64_t b = 0; b < before.dim(0); ++b) {
    for (std::int64_t s = 0; s < before.dim(1); ++s) {
      const auto was = before.row(b * before.dim(1) + s), is = after.row(b * before.dim(1) + s);
      for (std::size_t i = 0; i < was.size() && is_kept(b, s); ++i) {
        if (std::abs(was[i] - is[i]) <= limit * root_mean_square(before.data)) continue;
        return "row " + std::to_string(b) + ", position " + std::to_string(s) + " changed";
      }
    }
  }
  return "";
}

// A query that sees nothing sees everything, so there is no padding here; and MoT's images may come after the text.
TEST(MaskingProperties, ALaterTokenNeverChangesAnEarlierOutput) {
  expect_property({[](Case& c) {
                     c.inputs.padding = false;
                     return tokens_are_independent(c) && has_text(c, 2) && !c.architecture.is(VlmArch::mot);
                   },
                   [](Backend& backend, const Problem& problem) {
                     const std::int64_t last = tokens_of(problem).dim(1) - 1;
                     const Problem changed =
                         with_other_tokens(problem, [&](std::int64_t, std::int64_t t) { return t == last; });
                     const Tensor<double> before = tap_of(backend, problem), after = tap_of(backend, changed);
                     return unless_kept(before, after, allowed_change(backend, problem),
                                        [&](std::int64_t, std::int64_t s) { return s < before.dim(1) - 1; });
                   }});
}

TEST(MaskingProperties, ATokenChangesItsOwnOutput) {
  expect_property({[](Case& c) { return tokens_are_independent(c) && has_text(c, 1); },
                   [](Backend& backend, const Problem& problem) -> std::string {
                     const std::int64_t last = tokens_of(problem).dim(1) - 1;
                     const Problem changed =
                         with_other_tokens(problem, [&](std::int64_t, std::int64_t t) { return t == last; });
                     const std::string distance =
                         unless_equal(tap_of(backend, problem), tap_of(backend, changed), 0);
                     return distance.empty() ? "nothing changed" : "";
                   }});
}

TEST(MaskingProperties, ADocumentDoesNotSeeTheOnesBeforeIt) {
  expect_property({[](Case& c) {
                     c.inputs.documents = 2;
                     return tokens_are_independent(c) && has_text(c, 3) && !c.architecture.vlm;
                   },
                   [](Backend& backend, const Problem& problem) {
                     const Tensor<std::int64_t> ids = problem.inputs.doc_ids->to_int64();
                     const auto is_first = [&](std::int64_t b, std::int64_t t) {
                       return ids[b * ids.dim(1) + t] == ids[b * ids.dim(1)];
                     };
                     const Problem changed = with_other_tokens(problem, is_first);
                     return unless_kept(tap_of(backend, problem), tap_of(backend, changed),
                                        allowed_change(backend, problem),
                                        [&](std::int64_t b, std::int64_t s) { return !is_first(b, s); });
                   }});
}

TEST(MaskingProperties, TheFirstDocumentIsTheRowThatEndsWithIt) {
  expect_property({[](Case& c) {
                     c.inputs.documents = 2;
                     c.inputs.documents_recur = false;
                     c.inputs.batch = 1;
                     return tokens_are_independent(c) && has_text(c, 3) && !c.architecture.vlm;
                   },
                   [](Backend& backend, const Problem& problem) {
                     const Tensor<std::int64_t> ids = problem.inputs.doc_ids->to_int64();
                     const auto length = std::ranges::count(ids.data, ids[0]);
                     Problem alone = problem;
                     Tensor<std::int64_t> tokens({1, length});
                     std::copy_n(tokens_of(problem).data.begin(), length, tokens.data.begin());
                     alone.inputs.tokens = Array::from(tokens);
                     alone.inputs.doc_ids.reset();
                     return unless_equal(tap_of(backend, alone),
                                         positions_of(tap_of(backend, problem), 0, length));
                   }});
}

// Experts that take every token have no choice to make: then nothing couples the rows.
TEST(MaskingProperties, MomaCouplesTheBatchByTheChoiceOfItsExpertsAlone) {
  expect_property({[](Case& c) {
                     if (!c.architecture.is(VlmArch::moma)) return false;
                     c.architecture.vlm->moma_capacity_factor = 1.0;
                     c.inputs.batch = 2;
                     return plain_forward(c) && has_text(c, 1);
                   },
                   [](Backend& backend, const Problem& problem) {
                     const Problem other =
                         with_other_tokens(problem, [](std::int64_t b, std::int64_t) { return b == 1; });
                     const double limit = backend.name() == "reference" ? 0.0 : 1e-5;
                     return unless_kept(tap_of(backend, problem), tap_of(backend, other), limit,
                                        [](std::int64_t b, std::int64_t) { return b == 0; });
                   }});
}

TEST(MaskingProperties, PermutedRowsGivePermutedResults) {
  expect_property(
      {[](Case& c) {
         c.inputs.batch = 2;
         return tokens_are_independent(c);
       },
       [](Backend& backend, const Problem& problem) {
         Problem swapped = problem;
         Inputs::visit(swapped.inputs, [](const char*, std::optional<Array>& input) {
           if (!input) return;
           std::vector<std::byte> bytes(input->bytes().begin(), input->bytes().end());
           std::rotate(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2),
                       bytes.end());
           const std::shared_ptr<std::byte[]> data(new std::byte[bytes.size()]);
           std::ranges::copy(bytes, data.get());
           input = Array(input->dtype(), input->shape(), std::shared_ptr<const std::byte>(data, data.get()));
         });
         Tensor<double> logits = tap_of(backend, problem);
         std::rotate(logits.data.begin(), logits.data.begin() + logits.size() / 2, logits.data.end());
         return unless_equal(logits, tap_of(backend, swapped));
       }});
}

bool has_padded_embeds(Case& c) {
  c.inputs.padding = c.inputs.embeds = true;
  c.inputs.documents = 0;
  c.architecture.model.num_experts = 0;
  return tokens_are_independent(c) && !c.architecture.vlm && c.inputs.text_len > 1;
}

/// The problem with `value` in every padded embedding.
Problem with_padding_of(const Problem& problem, float value) {
  Problem changed = problem;
  Tensor<float> embeds = problem.inputs.inputs_embeds->to<float>();
  const Tensor<std::int64_t> mask = problem.inputs.key_padding_mask->to_int64();
  for (std::int64_t i = 0; i < mask.size(); ++i) {
    if (mask[i] == 0) std::ranges::fill(embeds.row(i), value);
  }
  changed.inputs.inputs_embeds = Array::from(embeds);
  return changed;
}

std::string unless_padding_is_unseen(Backend& backend, const Problem& problem, float value) {
  const Tensor<std::int64_t> mask = problem.inputs.key_padding_mask->to_int64();
  return unless_kept(tap_of(backend, problem), tap_of(backend, with_padding_of(problem, value)), 0.0,
                     [&](std::int64_t b, std::int64_t s) { return mask[b * mask.dim(1) + s] != 0; });
}

TEST(MaskingProperties, PaddingIsNotSeen) {
  expect_property({has_padded_embeds, [](Backend& backend, const Problem& problem) {
                     return unless_padding_is_unseen(backend, problem, 1e3F);
                   }});
}

TEST(MaskingProperties, PaddingMayHoldAnything) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    expect_property({has_padded_embeds, [&](Backend& backend, const Problem& problem) {
                       return unless_padding_is_unseen(backend, problem, value);
                     }});
  }
}

TEST(MaskingProperties, ARowOfPaddingAloneSeesSomethingFinite) {
  expect_property({has_padded_embeds, [](Backend& backend, const Problem& problem) -> std::string {
                     Problem masked = problem;
                     masked.inputs.key_padding_mask =
                         Array::from(Tensor<std::uint8_t>(problem.inputs.key_padding_mask->shape()));
                     const Tensor<double> logits = tap_of(backend, masked);
                     const bool finite =
                         std::ranges::all_of(logits.data, [](double x) { return std::isfinite(x); });
                     if (!finite) return "a logit is not finite";
                     const Tensor<double> seen = tap_of(backend, masked, "layers.0.attention.context");
                     return root_mean_square(seen.data) > 0 ? "" : "attention sees nothing";
                   }});
}

TEST(MaskingProperties, MaskedImageTokensDoNotMatter) {
  expect_property({[](Case& c) {
                     c.inputs.image_mask = true;
                     c.architecture.adapter.reset();
                     c.architecture.feature_dim = c.inputs.patches = c.inputs.frames = 0;
                     c.inputs.image_tokens = std::max<std::int64_t>(2, c.inputs.image_tokens);
                     return tokens_are_independent(c) && c.architecture.is(VlmArch::cross_attention);
                   },
                   [](Backend& backend, const Problem& problem) {
                     Problem changed = problem;
                     Tensor<float> features = problem.inputs.image_features->to<float>();
                     const Tensor<std::int64_t> mask = problem.inputs.image_mask->to_int64();
                     for (std::int64_t i = 0; i < mask.size(); ++i) {
                       if (mask[i] == 0) std::ranges::fill(features.row(i), 1e3F);
                     }
                     changed.inputs.image_features = Array::from(features);
                     return unless_equal(tap_of(backend, problem), tap_of(backend, changed), 0);
                   }});
}

bool decodes(Case& c) {
  c.train = false;
  c.moe_step.reset();
  c.inputs.documents = 0;
  return tokens_are_independent(c) && has_text(c, 2) && !c.architecture.vlm;
}

Problem in_chunks(const Problem& problem, std::vector<std::int64_t> chunks) {
  Problem decoded = problem;
  decoded.definition.run = RunKind::decode;
  decoded.definition.chunks = std::move(chunks);
  return decoded;
}

TEST(MaskingProperties, DecodeEqualsPrefill) {
  expect_property({decodes, [](Backend& backend, const Problem& problem) {
                     const std::vector<std::int64_t> ones(static_cast<std::size_t>(tokens_of(problem).dim(1)),
                                                          1);
                     return unless_equal(tap_of(backend, problem), tap_of(backend, in_chunks(problem, ones)));
                   }});
}

TEST(MaskingProperties, AnyChunksEqualAnyOther) {
  expect_property(
      {decodes, [](Backend& backend, const Problem& problem) -> std::string {
         const std::int64_t length = tokens_of(problem).dim(1);
         const Tensor<double> whole = tap_of(backend, in_chunks(problem, {length}));
         for (std::int64_t first = 1; first < length; ++first) {
           const Tensor<double> two = tap_of(backend, in_chunks(problem, {first, length - first}));
           if (const std::string wrong = unless_equal(whole, two); !wrong.empty()) return wrong;
         }
         return "";
       }});
}

TEST(MaskingProperties, AWindowSeesExactlyItsWidth) {
  expect_property(
      {[](Case& c) {
         c.architecture.model.n_layers = 1;
         c.architecture.model.sliding_window = 2;
         c.architecture.model.num_experts = 0;
         c.inputs.documents = 0;
         return tokens_are_independent(c) && has_text(c, 3) && !c.architecture.vlm;
       },
       [](Backend& backend, const Problem& problem) -> std::string {
         const Tensor<double> before = tap_of(backend, problem);
         const Tensor<double> after =
             tap_of(backend, with_other_tokens(problem, [](std::int64_t, std::int64_t t) { return t == 0; }));
         const std::string seen =
             unless_kept(before, after, 0.0, [](std::int64_t, std::int64_t s) { return s == 1; });
         if (seen.empty()) return "the key before the query is not seen";
         return unless_kept(before, after, 0.0, [](std::int64_t, std::int64_t s) { return s > 1; });
       }});
}

}  // namespace
}  // namespace forgecheck
