#include "reference/ops/mask.h"

#include <algorithm>

namespace forgecheck {

namespace {

/// A row without a single visible key sees all of them, so that softmax stays finite.
void unmask_if_empty(std::span<std::uint8_t> row) {
  if (std::ranges::none_of(row, [](std::uint8_t seen) { return seen != 0; })) std::ranges::fill(row, 1);
}

}  // namespace

AttentionMask::AttentionMask(Tensor<std::uint8_t> mask)
    : shape_(mask.shape),
      row_([mask = std::move(mask)](std::int64_t b, std::int64_t i, std::span<std::uint8_t> row) {
        std::ranges::copy(mask.row(b * mask.dim(1) + i), row.begin());
      }) {}

AttentionMask causal_mask(std::int64_t batch, std::int64_t queries, std::int64_t keys,
                          std::int64_t first_position, const Tensor<std::int64_t>* doc_ids,
                          const Tensor<std::int64_t>* key_padding_mask, std::int64_t window) {
  if (doc_ids != nullptr) require_shape("[attention] doc_ids", doc_ids->shape, {batch, keys});
  if (key_padding_mask != nullptr) {
    require_shape("[attention] key_padding_mask", key_padding_mask->shape, {batch, keys});
  }
  return {{batch, queries, keys}, [=](std::int64_t b, std::int64_t i, std::span<std::uint8_t> row) {
            const std::int64_t position = first_position + i;
            for (std::int64_t j = 0; j < keys; ++j) {
              const bool causal = j <= position;
              const bool near = window == 0 || j > position - window;
              const bool same_document =
                  doc_ids == nullptr || (*doc_ids)[b * keys + j] == (*doc_ids)[b * keys + position];
              const bool valid = key_padding_mask == nullptr || (*key_padding_mask)[b * keys + j] != 0;
              row[static_cast<std::size_t>(j)] = causal && same_document && valid && near ? 1 : 0;
            }
            unmask_if_empty(row);
          }};
}

AttentionMask cross_mask(std::int64_t batch, std::int64_t queries, std::int64_t keys,
                         const Tensor<std::int64_t>* image_mask) {
  if (image_mask != nullptr) require_shape("[cross_attention] image_mask", image_mask->shape, {batch, keys});
  return {{batch, queries, keys},
          [=](std::int64_t b, [[maybe_unused]] std::int64_t i, std::span<std::uint8_t> row) {
            for (std::int64_t j = 0; j < keys; ++j) {
              row[static_cast<std::size_t>(j)] =
                  image_mask == nullptr || (*image_mask)[b * keys + j] != 0 ? 1 : 0;
            }
            unmask_if_empty(row);
          }};
}

}  // namespace forgecheck
