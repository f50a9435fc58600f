#include "reference/ops/mask.h"

#include <algorithm>

namespace forgecheck {

namespace {

/// Rows without a single visible key see all of them, so that softmax stays finite.
void unmask_empty_rows(AttentionMask& mask) {
  for (std::int64_t r = 0; r < mask.rows(); ++r) {
    const auto row = mask.row(r);
    if (std::ranges::none_of(row, [](std::uint8_t seen) { return seen != 0; })) std::ranges::fill(row, 1);
  }
}

}  // namespace

AttentionMask causal_mask(std::int64_t batch, std::int64_t queries, std::int64_t keys,
                          std::int64_t first_position, const Tensor<std::int64_t>* doc_ids,
                          const Tensor<std::int64_t>* key_padding_mask, std::int64_t window) {
  if (doc_ids != nullptr) require_shape("[attention] doc_ids", doc_ids->shape, {batch, keys});
  if (key_padding_mask != nullptr) {
    require_shape("[attention] key_padding_mask", key_padding_mask->shape, {batch, keys});
  }
  AttentionMask mask({batch, queries, keys});
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t i = 0; i < queries; ++i) {
      const std::int64_t position = first_position + i;
      for (std::int64_t j = 0; j < keys; ++j) {
        const bool causal = j <= position;
        const bool near = window == 0 || j > position - window;
        const bool same_document =
            doc_ids == nullptr || (*doc_ids)[b * keys + j] == (*doc_ids)[b * keys + position];
        const bool valid = key_padding_mask == nullptr || (*key_padding_mask)[b * keys + j] != 0;
        mask[(b * queries + i) * keys + j] = causal && same_document && valid && near ? 1 : 0;
      }
    }
  }
  unmask_empty_rows(mask);
  return mask;
}

AttentionMask cross_mask(std::int64_t batch, std::int64_t queries, std::int64_t keys,
                         const Tensor<std::int64_t>* image_mask) {
  if (image_mask != nullptr) require_shape("[cross_attention] image_mask", image_mask->shape, {batch, keys});
  AttentionMask mask({batch, queries, keys});
  for (std::int64_t r = 0; r < mask.rows(); ++r) {
    const std::int64_t b = r / queries;
    for (std::int64_t j = 0; j < keys; ++j) {
      mask.row(r)[static_cast<std::size_t>(j)] =
          image_mask == nullptr || (*image_mask)[b * keys + j] != 0 ? 1 : 0;
    }
  }
  unmask_empty_rows(mask);
  return mask;
}

}  // namespace forgecheck
