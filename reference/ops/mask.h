// Which keys a query may see. Source: the masking strategy in kempnerforge/model/attention.py, mot.py and
// cross_attention.py.
#pragma once

#include <functional>
#include <span>
#include <utility>

#include "reference/tensor.h"

namespace forgecheck {

/// (B, queries, keys): 1 where the query may see the key. Rows are made when they are read: nothing is as large as the square
/// of the sequence.
class AttentionMask {
 public:
  /// Writes the row (keys) of query i of sample b.
  using Row = std::function<void(std::int64_t b, std::int64_t i, std::span<std::uint8_t> row)>;

  /// What `row` refers to must live as long as the mask.
  AttentionMask(Shape shape, Row row) : shape_(std::move(shape)), row_(std::move(row)) {}
  AttentionMask(Tensor<std::uint8_t> mask);  // NOLINT(google-explicit-constructor)

  const Shape& shape() const { return shape_; }
  /// Row 0 .. B * queries - 1.
  void read(std::int64_t row, std::span<std::uint8_t> out) const {
    row_(row / shape_[1], row % shape_[1], out);
  }

 private:
  Shape shape_;
  Row row_;
};

/// Self-attention. Query i stands at position first_position + i and sees key j iff
///   j <= first_position + i, and doc_ids[b, j] == doc_ids[b, query] (when given),
///   and j > first_position + i - window (unless window is 0), and key_padding_mask[b, j] (when given).
/// A query that would see no key sees every key of its row. doc_ids, key_padding_mask: (B, keys), or null;
/// they must live as long as the mask.
AttentionMask causal_mask(std::int64_t batch, std::int64_t queries, std::int64_t keys,
                          std::int64_t first_position, const Tensor<std::int64_t>* doc_ids,
                          const Tensor<std::int64_t>* key_padding_mask, std::int64_t window = 0);

/// Cross-attention: every query sees the keys whose image_mask (B, keys) is true, or all keys if there is no
/// mask (null) or the sample has no true key. image_mask must live as long as the result.
AttentionMask cross_mask(std::int64_t batch, std::int64_t queries, std::int64_t keys,
                         const Tensor<std::int64_t>* image_mask);

}  // namespace forgecheck
