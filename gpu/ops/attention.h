// Tiled scaled dot-product attention with grouped queries; no matrix of scores is stored. Source:
// kempnerforge/model/attention.py, mot.py, cross_attention.py; Vaswani et al. 2017, Ainslie et al. 2023
// (GQA), Milakov and Gimelshein 2018 (online softmax), Dao et al. 2022 (tiles).
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// A view of keys and values, strides in elements. Does not own them: memory freed after the call is freed in
/// stream order.
template <class T>
struct KeyValues {
  const T* k = nullptr;
  const T* v = nullptr;
  std::int64_t batch = 0;
  std::int64_t length = 0;  // keys per row
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  std::int64_t batch_stride = 0;
  std::int64_t position_stride = 0;
  std::int64_t head_stride = 0;
};

/// Fresh keys and values, both (B, Sk, K, d).
template <class T>
KeyValues<T> key_values(const DeviceTensor<T>& k, const DeviceTensor<T>& v);

/// The first `length` positions of caches, both (B, K, max, d).
template <class T>
KeyValues<T> key_values_of_cache(const DeviceTensor<T>& k, const DeviceTensor<T>& v, std::int64_t length);

/// Which keys a query may see. Query i is at position first_position + i and sees key j iff
///   j <= first_position + i (causal only), and j > first_position + i - window (causal, window > 0), and doc_ids[b, j] == doc_ids[b, first_position + i] (when given),
///   and key_mask[b, j] != 0 (when given).
/// A query that would see nothing sees every key of its row. Cross-attention: not causal, key_mask is the
/// image mask.
struct Visibility {
  bool causal = false;
  std::int64_t first_position = 0;
  const std::int64_t* doc_ids = nullptr;   // device memory, (B, keys), or null
  const std::uint8_t* key_mask = nullptr;  // device memory, (B, keys), or null
  std::int64_t window = 0;                 // 0: none
};

/// q (B, S, H, d), d at most 256; returns (B, S, H * d). Query head h reads key-value head h / (H / K).
///   score_j = (q . k_j) / sqrt(d) over the visible keys,  p = softmax(score),  out = sum_j p_j v_j
/// All arithmetic is in float, also for bf16 and for p; the output is rounded to T once. Tiles of keys start
/// at key 0 for every query, so a row's bits depend only on its own keys.
template <class T>
DeviceTensor<T> attention(Device& device, const DeviceTensor<T>& q, const KeyValues<T>& keys,
                          const Visibility& visibility);

inline constexpr std::int64_t kMaxHeadDim = 256;

/// Throws ShapeError, naming `operation`, unless q (B, S, H, d) and the keys fit each other, d is at most
/// kMaxHeadDim, and every query has a doc_id if there are any.
template <class T>
void require_attention_shapes(const char* operation, const DeviceTensor<T>& q, const KeyValues<T>& keys,
                              const Visibility& visibility);

}  // namespace forgecheck::gpu
