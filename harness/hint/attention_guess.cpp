#include "harness/hint/attention_guess.h"

#include <algorithm>

#include "harness/hint/residual.h"
#include "reference/ops/attention.h"
#include "reference/ops/embedding.h"
#include "reference/ops/norm.h"
#include "reference/ops/rope.h"

namespace forgecheck {

namespace {

/// (B, S, heads, d) of one part of an attention.
std::optional<Tensor<double>> heads_of(const WrongTap& wrong, const TapName& attention, TapPart part,
                                       std::int64_t heads) {
  const auto x = found_value(wrong, to_string(with_part(attention, part)));
  if (!x) return std::nullopt;
  const Shape shape{x->dim(0), x->dim(1), heads, x->size() / (x->dim(0) * x->dim(1) * heads)};
  return x->reshaped(shape);
}

/// What QK-norm reads.
void add_unnormed(const WrongTap& wrong, const TapName& attention, std::int64_t heads, std::int64_t kv_heads,
                  AttentionStream& stream) {
  const std::string q_norm = to_string(with_part(attention, TapPart::q_norm));
  const std::string k_norm = to_string(with_part(attention, TapPart::k_norm));
  const auto q = heads_of(wrong, attention, TapPart::q_proj, heads);
  const auto k = heads_of(wrong, attention, TapPart::k_proj, kv_heads);
  if (!q || !k) return;
  stream.raw_q = *q;
  stream.raw_k = *k;
  stream.q_weight = stored_weight(wrong, q_norm + ".weight");
  stream.k_weight = stored_weight(wrong, k_norm + ".weight");
}

/// The columns (2j, 2j + 1) of each head at (j, j + d/2), or back.
Tensor<double> split_pairs(const Tensor<double>& x, bool back) {
  Tensor<double> out(x.shape);
  const std::int64_t half = x.width() / 2;
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    for (std::int64_t j = 0; j < x.width(); ++j) {
      const auto paired = static_cast<std::size_t>(j), split = static_cast<std::size_t>(j / 2 + j % 2 * half);
      out.row(r)[back ? paired : split] = x.row(r)[back ? split : paired];
    }
  }
  return out;
}

Tensor<double> rotated(const Tensor<double>& x, const AttentionParts& parts, const AttentionChange& change,
                       std::int64_t first) {
  RopeOptions rope = parts.rope;
  rope.theta = change.theta.value_or(rope.theta);
  if (!change.scaled_rope) rope.scaling = RopeScaling::none;
  RopeTable<double> table = rope_table<double>(x.dim(3), first + x.dim(1), rope);
  for (double& sine : table.sin.data) sine *= change.direction;
  if (!change.interleaved) return apply_rope(x, table, first);
  return split_pairs(apply_rope(split_pairs(x, false), table, first), true);
}

/// (B, S, K, d) as (B, S, H, d), head h a copy of head h % K.
Tensor<double> strided(const Tensor<double>& x, std::int64_t heads) {
  Tensor<double> out({x.dim(0), x.dim(1), heads, x.dim(3)});
  for (std::int64_t r = 0; r < out.rows(); ++r) {
    std::ranges::copy(x.row(r / heads * x.dim(2) + r % heads % x.dim(2)), out.row(r).begin());
  }
  return out;
}

Tensor<double> joined(const Tensor<double>& first, const Tensor<double>& second) {
  const auto flat = [](const Tensor<double>& x) {
    return x.reshaped({x.dim(0), x.dim(1), x.dim(2) * x.dim(3)});
  };
  const Tensor<double> all = concat_sequence(flat(first), flat(second));
  return all.reshaped({all.dim(0), all.dim(1), second.dim(2), second.dim(3)});
}

Tensor<std::uint8_t> mask_of(const AttentionParts& parts, const AttentionChange& change, std::int64_t batch,
                             std::int64_t queries, std::int64_t keys) {
  const Visible visible = change.visible;
  const bool any = visible == Visible::everything;
  const bool documents = parts.doc_ids && !any && visible != Visible::ignoring_documents;
  const bool padding = parts.padding && !any && visible != Visible::ignoring_padding;
  const bool causal = !parts.cross && !any && visible != Visible::without_causality;
  const bool windowed = causal && parts.window > 0 && visible != Visible::ignoring_window;
  const std::int64_t window = parts.window + (visible == Visible::one_in_window_too_many ? 1 : 0);
  const std::int64_t reach = visible == Visible::one_ahead ? 1 : visible == Visible::only_before ? -1 : 0;
  Tensor<std::uint8_t> mask({batch, queries, keys});
  for (std::int64_t i = 0; i < mask.size(); ++i) {
    const std::int64_t key = i % keys, query = i / keys % queries, row = i / keys / queries * keys;
    const bool seen = (!causal || key <= query + reach) && (!windowed || key > query - window) &&
                      (!documents || (*parts.doc_ids)[row + key] == (*parts.doc_ids)[row + query]) &&
                      (!padding || (*parts.padding)[row + key] != 0);
    mask[i] = seen ? 1 : 0;
  }
  return mask;
}

/// Rows without a visible key see all; their numbers.
std::vector<std::int64_t> open_empty_rows(Tensor<std::uint8_t>& mask) {
  std::vector<std::int64_t> empty;
  for (std::int64_t r = 0; r < mask.rows(); ++r) {
    if (std::ranges::any_of(mask.row(r), [](std::uint8_t seen) { return seen != 0; })) continue;
    std::ranges::fill(mask.row(r), 1);
    empty.push_back(r);
  }
  return empty;
}

}  // namespace

std::optional<AttentionParts> attention_parts(const WrongTap& wrong, const TapPlace& place) {
  const Architecture& architecture = wrong.problem.definition.architecture;
  const ModelConfig& model = architecture.model;
  const bool mot = architecture.is(VlmArch::mot);
  const TapName attention = attention_of(place.name, architecture);
  const std::int64_t heads = place.cross() ? architecture.vlm->resolved_heads(model) : model.n_heads;
  const std::int64_t kv_heads = place.cross() ? architecture.vlm->resolved_kv_heads(model) : model.kv_heads();
  const bool normed = model.qk_norm && !place.cross();
  const std::vector<std::string> modalities =
      mot ? architecture.vlm->mot_modalities : std::vector<std::string>{""};

  AttentionParts parts;
  parts.cross = place.cross();
  parts.rope = model.rope();
  parts.window = model.sliding_window;
  parts.qk_norm_eps = model.qk_norm_eps;
  for (const std::string& modality : modalities) {
    TapName own = attention;
    own.modality = modality;
    const auto q = heads_of(wrong, own, normed ? TapPart::q_norm : TapPart::q_proj, heads);
    const auto k = heads_of(wrong, own, normed ? TapPart::k_norm : TapPart::k_proj, kv_heads);
    const auto v = heads_of(wrong, own, TapPart::v_proj, kv_heads);
    if (!q || !k || !v) return std::nullopt;
    AttentionStream stream{to_string(with_part(own, TapPart::context)), *q, *k, *v, {}, {}, {}, {}};
    if (normed) add_unnormed(wrong, own, heads, kv_heads, stream);
    parts.streams.push_back(std::move(stream));
  }
  const Inputs inputs = model_inputs(wrong);
  const std::optional<Array>& padding = place.cross() ? inputs.image_mask : inputs.key_padding_mask;
  if (padding) parts.padding = padding->to_int64();
  if (inputs.doc_ids && !place.cross() && !mot) parts.doc_ids = inputs.doc_ids->to_int64();
  return parts;
}

std::vector<Tensor<double>> contexts(const AttentionParts& parts, const AttentionChange& change) {
  // 1. positions, streams joined
  Tensor<double> q, k, v;
  std::int64_t first = 0;
  for (const AttentionStream& stream : parts.streams) {
    const auto turned = [&](const Tensor<double>& x, bool rotate) {
      const bool turns = rotate && (!parts.cross || change.rotate_cross);
      return turns ? rotated(x, parts, change, change.joined_positions ? first : 0) : x;
    };
    Tensor<double> own_q = turned(stream.q, change.rotate_q);
    Tensor<double> own_k = turned(change.exchange_k_and_v ? stream.v : stream.k, change.rotate_k);
    if (change.norm_after_rope) {
      own_q = rms_norm(turned(stream.raw_q, true), stream.q_weight, parts.qk_norm_eps);
      own_k = rms_norm(turned(stream.raw_k, true), stream.k_weight, parts.qk_norm_eps);
    }
    Tensor<double> own_v = turned(change.exchange_k_and_v ? stream.k : stream.v, change.rotate_v);
    const bool alone = q.rank() == 0;
    q = alone ? std::move(own_q) : joined(q, own_q);
    k = alone ? std::move(own_k) : joined(k, own_k);
    v = alone ? std::move(own_v) : joined(v, own_v);
    first += stream.q.dim(1);
  }
  // 2. scores
  for (double& x : q.data) x *= change.score_factor;
  if (change.strided_heads) {
    k = strided(k, q.dim(2));
    v = strided(v, q.dim(2));
  }
  Tensor<std::uint8_t> mask = mask_of(parts, change, q.dim(0), q.dim(1), k.dim(1));
  const std::vector<std::int64_t> empty = open_empty_rows(mask);
  Tensor<double> context = attention(q, k, v, mask);
  if (change.empty_rows_are_zero) {
    for (const std::int64_t row : empty) std::ranges::fill(context.row(row), 0.0);
  }
  // 3. each stream's part
  std::vector<Tensor<double>> result;
  std::int64_t begin = 0;
  for (const AttentionStream& stream : parts.streams) {
    result.push_back(slice_sequence(context, begin, begin + stream.q.dim(1)));
    begin += stream.q.dim(1);
  }
  return result;
}

}  // namespace forgecheck
