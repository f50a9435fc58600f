// Attention of a single query per row, as in decoding: split along the keys, since there are too few queries
// to keep a device busy. Source: kempnerforge/model/attention.py; Dao et al. 2023 (Flash-Decoding).
#pragma once

#include "gpu/ops/attention.h"

namespace forgecheck::gpu {

/// As attention() with q (B, 1, H, d); returns (B, 1, H * d). The keys are cut into splits of fixed length
/// from key 0 on, so the splits depend only on the number of keys; their partial results are combined in
/// order. All arithmetic is in float; the output is rounded to T once. Differs from attention() only in the
/// order of its sums.
template <class T>
DeviceTensor<T> decode_attention(Device& device, const DeviceTensor<T>& q, const KeyValues<T>& keys,
                                 const Visibility& visibility);

}  // namespace forgecheck::gpu
