// Where the keys are, and which of them a query may see, computed on the fly: nothing of size queries x keys
// is ever stored.
#pragma once

#include "gpu/ops/attention.h"
#include "gpu/runtime/launch.h"

namespace forgecheck::gpu {

/// Where key `position` of row b and of a key-value head begins, in elements.
template <class T>
__host__ __device__ constexpr std::int64_t key_offset(const KeyValues<T>& keys, std::int64_t b,
                                                      std::int64_t kv_head, std::int64_t position) {
  return b * keys.batch_stride + kv_head * keys.head_stride + position * keys.position_stride;
}

/// What one query may see of the keys of its row.
struct Sight {
  std::int64_t first;            // no key before this one
  std::int64_t last;             // no key after this one; -1: none
  const std::int64_t* doc_ids;   // of the row's keys, or null
  std::int64_t document;         // the only one that is seen, where there are doc_ids
  const std::uint8_t* key_mask;  // of the row's keys, or null
};

__device__ inline bool sees(const Sight& sight, std::int64_t key) {
  return key >= sight.first && key <= sight.last &&
         (sight.doc_ids == nullptr || sight.doc_ids[key] == sight.document) &&
         (sight.key_mask == nullptr || sight.key_mask[key] != 0);
}

/// The sight of the query at `position` of row b, which has `length` keys. One that would see nothing sees
/// every key, so that softmax stays finite.
__device__ inline Sight sight_of(const Visibility& visibility, std::int64_t b, std::int64_t position,
                                 std::int64_t length) {
  Sight sight{0, length - 1, nullptr, 0, nullptr};
  if (visibility.causal && position < length) sight.last = position;
  if (visibility.causal && visibility.window > 0 && position >= visibility.window) {
    sight.first = position - visibility.window + 1;
  }
  if (visibility.doc_ids != nullptr) {
    sight.doc_ids = visibility.doc_ids + b * length;
    sight.document = sight.doc_ids[position];
  }
  if (visibility.key_mask != nullptr) sight.key_mask = visibility.key_mask + b * length;
  // From the last key backwards: a query usually sees itself.
  for (std::int64_t key = sight.last; key >= sight.first; --key) {
    if (sees(sight, key)) return sight;
  }
  return {0, length - 1, nullptr, 0, nullptr};
}

/// What is subtracted from a score before exp: the maximum, or 0 as long as only -inf was seen.
__device__ inline float shift_of(float maximum) {
  return maximum == -INFINITY ? 0.0F : maximum;
}

/// Marks the weight of an unseen key, whose value must not be read: 0 * NaN is NaN.
inline constexpr float kUnseen = -1.0F;

}  // namespace forgecheck::gpu
