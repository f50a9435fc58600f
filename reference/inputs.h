// The inputs of one forward call, and the rules for them. Source: kempnerforge/model/modality.py
// (ModalityContext) and Transformer.forward.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "reference/array.h"
#include "reference/config.h"

namespace forgecheck {

/// Python's slice(start, stop) over the sequence, step 1.
struct OutputSlice {
  std::optional<std::int64_t> start;
  std::optional<std::int64_t> stop;

  /// The range [begin, end) of `length` positions that it keeps, by Python's rules (negative values count
  /// from the end, everything is clamped).
  std::pair<std::int64_t, std::int64_t> resolve(std::int64_t length) const;
};

/// B batch, T text length, S residual length, N image tokens, D dim. All are optional.
struct Inputs {
  std::optional<Array> tokens;            // (B, T) int64
  std::optional<Array> inputs_embeds;     // (B, S, D)
  std::optional<Array> prefix_embeds;     // (B, P, D), S = P + T
  std::optional<Array> image_features;    // (B, N, D)
  std::optional<Array> vision_features;   // (B, patches, feature_dim) or (B, frames, patches, feature_dim):
                                          // the adapter turns it into prefix_embeds or image_features
  std::optional<Array> frame_mask;        // (B, frames) bool, with video vision_features
  std::optional<Array> image_mask;        // (B, N) bool
  std::optional<Array> modality_ids;      // (B, S) int64
  std::optional<Array> key_padding_mask;  // (B, S) bool, false: padding
  std::optional<Array> doc_ids;           // (B, S) int64
  std::optional<Array> labels;            // (B, S or sliced) int64, -100: ignored
  std::optional<OutputSlice> output_slice;
  std::map<std::string, Array> gumbel;  // "layers.{i}.{m}": (unpadded tokens of the modality, experts)

  /// Calls visit(name, optional<Array>&) for each named tensor, in the order above.
  template <class Self, class Visitor>
  static void visit(Self& self, const Visitor& visitor) {
    visitor("tokens", self.tokens);
    visitor("inputs_embeds", self.inputs_embeds);
    visitor("prefix_embeds", self.prefix_embeds);
    visitor("image_features", self.image_features);
    visitor("vision_features", self.vision_features);
    visitor("frame_mask", self.frame_mask);
    visitor("image_mask", self.image_mask);
    visitor("modality_ids", self.modality_ids);
    visitor("key_padding_mask", self.key_padding_mask);
    visitor("doc_ids", self.doc_ids);
    visitor("labels", self.labels);
  }
};

/// Throws ShapeError, one message for each rule, before any arithmetic:
/// exactly one of tokens and inputs_embeds; at most one of inputs_embeds, prefix_embeds and image_features;
/// image_mask needs image_features; modality_ids and key_padding_mask need prefix_embeds or inputs_embeds;
/// what a KV cache forbids; types and shapes of everything; what the architecture requires or rejects; the
/// sequence fits max_seq_len.
void validate_inputs(const Architecture& architecture, const Inputs& inputs, bool with_kv_cache);

}  // namespace forgecheck
