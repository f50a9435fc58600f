// Mistakes between the projections and the context: rope, scale, masks, shared heads.
#include <algorithm>
#include <cmath>

#include "harness/case/config_value.h"
#include "harness/hint/attention_guess.h"
#include "harness/hint/mistake.h"

namespace forgecheck {

namespace {

struct AttentionMistake {
  std::string text;
  AttentionChange change;
};

template <class Change>
AttentionMistake mistake(std::string text, const Change& change) {
  AttentionMistake result{std::move(text), {}};
  change(result.change);
  return result;
}

void add_rope_mistakes(const AttentionParts& parts, std::vector<AttentionMistake>& mistakes) {
  using Change = AttentionChange;
  const auto add = [&](const std::string& text, const auto& change) {
    mistakes.push_back(mistake(text, change));
  };
  if (parts.cross) {
    add("queries and keys are rotated by rope, but cross-attention has no rope",
        [](Change& c) { c.rotate_cross = true; });
    return;
  }
  add("rope is left out", [](Change& c) { c.rotate_q = c.rotate_k = false; });
  add("the keys are not rotated", [](Change& c) { c.rotate_k = false; });
  add("the queries are not rotated", [](Change& c) { c.rotate_q = false; });
  add("the values are rotated too", [](Change& c) { c.rotate_v = true; });
  add("rope is interleaved: pairs (2j, 2j + 1) instead of (j, j + head_dim/2)",
      [](Change& c) { c.interleaved = true; });
  add("rope turns backwards: the sign of the sine", [](Change& c) { c.direction = -1; });
  for (const double theta : {10000.0, 500000.0, 1000000.0}) {
    if (theta == parts.rope.theta) continue;
    add("rope_theta is " + format_value(theta) + " instead of " + format_value(parts.rope.theta),
        [theta](Change& c) { c.theta = theta; });
  }
  if (parts.rope.scaling != RopeScaling::none) {
    add("rope_scaling is left out", [](Change& c) { c.scaled_rope = false; });
  }
  const auto unnormed = [](const AttentionStream& stream) { return stream.raw_q.rank() > 0; };
  if (std::ranges::all_of(parts.streams, unnormed)) {
    add("the norms of q and k come after rope instead of before",
        [](Change& c) { c.norm_after_rope = true; });
  }
  if (parts.streams.size() > 1) {
    add("positions go on from one modality to the next instead of beginning at 0",
        [](Change& c) { c.joined_positions = true; });
  }
}

void add_mask_mistakes(const AttentionParts& parts, std::vector<AttentionMistake>& mistakes) {
  const auto add = [&](const std::string& text, Visible visible) {
    mistakes.push_back(mistake(text, [visible](AttentionChange& c) { c.visible = visible; }));
  };
  if (parts.doc_ids) add("doc_ids are left out of the mask", Visible::ignoring_documents);
  if (parts.padding) {
    add(parts.cross ? "image_mask is left out" : "key_padding_mask is left out", Visible::ignoring_padding);
    mistakes.push_back(mistake("a query that sees no key gets 0 instead of the mean of all values",
                               [](AttentionChange& c) { c.empty_rows_are_zero = true; }));
  }
  if (parts.cross) return;
  if (parts.window > 0) {
    add("sliding_window is left out of the mask", Visible::ignoring_window);
    add("a query sees sliding_window keys before its own, one too many", Visible::one_in_window_too_many);
  }
  add("the causal mask is left out", Visible::without_causality);
  if (parts.doc_ids || parts.padding) add("every mask is left out", Visible::everything);
  add("the mask lets every query see one key too many (j <= i + 1)", Visible::one_ahead);
  add("the mask hides every query's own key (j < i)", Visible::only_before);
}

void add_score_mistakes(const AttentionParts& parts, double dim, std::vector<AttentionMistake>& mistakes) {
  const auto add = [&](const std::string& text, double factor) {
    mistakes.push_back(mistake(text, [factor](AttentionChange& c) { c.score_factor = factor; }));
  };
  const auto head_dim = static_cast<double>(parts.streams[0].q.dim(3));
  add("the scores are not divided by sqrt(head_dim)", std::sqrt(head_dim));
  add("the scores are divided by head_dim instead of sqrt(head_dim)", 1 / std::sqrt(head_dim));
  if (dim != head_dim)
    add("the scores are divided by sqrt(dim) instead of sqrt(head_dim)", std::sqrt(head_dim / dim));
  const std::int64_t heads = parts.streams[0].q.dim(2), kv_heads = parts.streams[0].k.dim(2);
  if (heads != kv_heads && kv_heads > 1) {
    mistakes.push_back(mistake("head h reads key-value head h % " + std::to_string(kv_heads) +
                                   " instead of h / " + std::to_string(heads / kv_heads) +
                                   ", as by repeat instead of repeat_interleave",
                               [](AttentionChange& c) { c.strided_heads = true; }));
  }
  mistakes.push_back(
      mistake("keys and values are exchanged", [](AttentionChange& c) { c.exchange_k_and_v = true; }));
}

}  // namespace

void add_attention_mistakes(const WrongTap& wrong, const Modules& modules, std::vector<Mistake>& mistakes) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  const auto is_context = [&](const std::string& tap) {
    return place_of(tap, architecture).kind == TapKind::context;
  };
  const auto context = std::ranges::find_if(modules, is_context);
  if (context == modules.end()) return;
  std::optional<AttentionParts> parts = attention_parts(wrong, place_of(*context, architecture));
  if (!parts) return;
  std::vector<AttentionMistake> attention_mistakes;
  add_rope_mistakes(*parts, attention_mistakes);
  add_mask_mistakes(*parts, attention_mistakes);
  add_score_mistakes(*parts, static_cast<double>(architecture.model.dim), attention_mistakes);
  // One copy of the parts for all mistakes.
  const auto shared = std::make_shared<const AttentionParts>(std::move(*parts));
  for (AttentionMistake& mistake : attention_mistakes) {
    mistakes.push_back({std::move(mistake.text), [shared, change = mistake.change](Problem&, Trace& forced) {
                          const std::vector<Tensor<double>> values = contexts(*shared, change);
                          for (std::size_t i = 0; i < values.size(); ++i) {
                            forced = with_value(forced, shared->streams[i].context, Array::from(values[i]));
                          }
                        }});
  }
}

}  // namespace forgecheck
