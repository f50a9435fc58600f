#include "harness/golden/recorded_sizes.h"

#include <algorithm>
#include <set>

namespace forgecheck {

namespace {

/// Size of an axis, 0 where there is none.
std::int64_t axis(const std::optional<Array>& array, std::size_t index) {
  return array && index < array->shape().size() ? array->shape()[index] : 0;
}

std::size_t rank(const std::optional<Array>& array) {
  return array ? array->shape().size() : 0;
}

/// How many documents are packed in the first row, in which every seeded case has all of them.
std::int64_t count_documents(const std::optional<Array>& ids) {
  std::set<std::int64_t> seen;
  for (std::int64_t i = 0; rank(ids) == 2 && i < axis(ids, 1); ++i) seen.insert(ids->int_at(i));
  return std::ssize(seen);
}

/// Whether an id comes again behind a later one.
bool recurs(const std::optional<Array>& ids) {
  for (std::int64_t i = 1; rank(ids) == 2 && i < axis(ids, 1); ++i) {
    if (ids->int_at(i) < ids->int_at(i - 1)) return true;
  }
  return false;
}

/// Whether modalities alternate: anything but an image and then text, in all rows alike.
bool is_interleaved(const std::optional<Array>& ids, const Architecture& architecture, std::int64_t prefix) {
  if (rank(ids) != 2 || !architecture.vlm) return false;
  const VlmConfig& vlm = *architecture.vlm;
  const auto& modalities = vlm.arch == VlmArch::mot ? vlm.mot_modalities : vlm.moma_modalities;
  const auto index_of = [&](const char* name) {
    return std::ranges::find(modalities, name) - modalities.begin();
  };
  for (std::int64_t i = 0; i < ids->size(); ++i) {
    if (ids->int_at(i) != index_of(i % axis(ids, 1) < prefix ? "image" : "text")) return true;
  }
  return false;
}

bool has_ignored(const std::optional<Array>& labels) {
  constexpr std::int64_t kIgnored = -100;
  for (std::int64_t i = 0; labels && i < labels->size(); ++i) {
    if (labels->int_at(i) == kIgnored) return true;
  }
  return false;
}

}  // namespace

SeededInputs sizes_of(const Inputs& inputs, const Architecture& architecture) {
  SeededInputs sizes;
  sizes.embeds = inputs.inputs_embeds.has_value();
  const std::optional<Array>& text = sizes.embeds ? inputs.inputs_embeds : inputs.tokens;
  sizes.batch = axis(text, 0);
  sizes.text_len = axis(text, 1);
  sizes.image_tokens = std::max(axis(inputs.prefix_embeds, 1), axis(inputs.image_features, 1));
  const std::size_t features = rank(inputs.vision_features);
  if (features >= 3) sizes.patches = axis(inputs.vision_features, features - 2);
  if (features == 4) sizes.frames = axis(inputs.vision_features, 1);
  sizes.documents = count_documents(inputs.doc_ids);
  sizes.documents_recur = recurs(inputs.doc_ids);
  sizes.padding = inputs.key_padding_mask || inputs.frame_mask;
  sizes.image_mask = inputs.image_mask.has_value();
  const std::int64_t residual = axis(inputs.modality_ids, 1);
  const std::int64_t prefix = sizes.embeds ? architecture.num_image_tokens : residual - sizes.text_len;
  sizes.interleaved = is_interleaved(inputs.modality_ids, architecture, prefix);
  sizes.ignore_labels = has_ignored(inputs.labels);
  return sizes;
}

}  // namespace forgecheck
