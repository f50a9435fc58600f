// The keys and values of the positions so far. Source: kempnerforge/model/attention.py (KVCache).
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// cache_k, cache_v (B, K, max, d), k and v (B, S, K, d): writes position s of k and v to position
/// seq_len + s of the caches, in place. Throws ShapeError and leaves the caches unchanged if
/// seq_len + S > max.
template <class T>
void append_to_cache(Device& device, const DeviceTensor<T>& cache_k, const DeviceTensor<T>& cache_v,
                     const DeviceTensor<T>& k, const DeviceTensor<T>& v, std::int64_t seq_len);

/// cache (B, K, max, d); returns its first seq_len positions, (B, K, seq_len, d). Throws ShapeError if
/// seq_len > max.
template <class T>
DeviceTensor<T> filled(Device& device, const DeviceTensor<T>& cache, std::int64_t seq_len);

}  // namespace forgecheck::gpu
