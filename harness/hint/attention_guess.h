// One attention of the case, recomputed from its queries, keys and values with one thing changed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/hint/wrong_tap.h"

namespace forgecheck {

enum class Visible {
  as_configured,
  without_causality,  // documents and padding still count
  everything,
  one_ahead,    // j <= i + 1
  only_before,  // j < i
  ignoring_documents,
  ignoring_padding,  // under cross-attention the image mask
  ignoring_window,
  one_in_window_too_many,
};

/// What may be wrong between the projections and the context.
struct AttentionChange {
  bool rotate_q = true, rotate_k = true, rotate_v = false;
  bool rotate_cross = false;  // cross-attention has no rope
  bool interleaved = false;   // pairs (2j, 2j + 1) instead of (j, j + d/2)
  double direction = 1.0;     // -1: rotated backwards
  std::optional<double> theta;
  bool scaled_rope = true;        // positions as rope_scaling says
  bool joined_positions = false;  // modalities counted on, not each from 0
  double score_factor = 1.0;
  Visible visible = Visible::as_configured;
  bool empty_rows_are_zero = false;  // a query without a visible key gets 0, not the mean of all
  bool strided_heads = false;        // head h reads key-value head h % K
  bool exchange_k_and_v = false;
  bool norm_after_rope = false;  // QK-norm of rotated queries and keys
};

/// Queries, keys and values before rope, (B, S, heads, d) of each stream.
struct AttentionStream {
  std::string context;  // tap
  Tensor<double> q, k, v;
  /// Under QK-norm: q and k as the norms read them, and the norms' weights. Empty where the trace shows what
  /// the norms gave, so that nothing about them is left to guess.
  Tensor<double> raw_q, raw_k, q_weight, k_weight;
};

struct AttentionParts {
  std::vector<AttentionStream> streams;  // one, or the modalities of a Mixture-of-Transformers
  bool cross = false;
  RopeOptions rope;
  std::int64_t window = 0;
  double qk_norm_eps = 0.0;
  std::optional<Tensor<std::int64_t>> doc_ids, padding;  // padding: the image mask under cross-attention
};

/// The attention of the block at `place`; none where a tap is missing from the case.
std::optional<AttentionParts> attention_parts(const WrongTap& wrong, const TapPlace& place);

/// The context of each stream, (B, S, heads * d).
std::vector<Tensor<double>> contexts(const AttentionParts& parts, const AttentionChange& change);

}  // namespace forgecheck
