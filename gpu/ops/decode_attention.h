// Attention of a single query a row, as in decoding: split along the keys, since there are few queries to
// keep a device busy. Source: kempnerforge/model/attention.py; Dao et al. 2023 (Flash-Decoding).
#pragma once

#include "gpu/ops/attention.h"

namespace forgecheck::gpu {

/// As attention() with q (B, 1, H, d); returns (B, 1, H * d). The keys are cut into splits of fixed length
/// from key 0 on, so the split depends on the number of keys only; their partial results are combined in the
/// order of the splits. Everything inside is float; the output rounds to T once. Differs from attention() by
/// the order of its sums.
template <class T>
DeviceTensor<T> decode_attention(Device& device, const DeviceTensor<T>& q, const KeyValues<T>& keys,
                                 const Visibility& visibility);

}  // namespace forgecheck::gpu
