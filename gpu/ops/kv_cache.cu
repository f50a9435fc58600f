#include "gpu/ops/kv_cache.h"

#include "gpu/ops/elementwise.cuh"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// Copies the n elements of x (B, S, K, d) to positions seq_len .. of the cache (B, K, max, d).
template <class T>
__global__ void append_elements(std::int64_t n, T* cache, const T* x, std::int64_t length,
                                std::int64_t kv_heads, std::int64_t capacity, std::int64_t head_dim,
                                std::int64_t seq_len) {
  for_each_element(n, [=](std::int64_t i) {
    const std::int64_t e = i % head_dim, r = i / head_dim;
    const std::int64_t head = r % kv_heads, position = r / kv_heads % length, b = r / kv_heads / length;
    cache[((b * kv_heads + head) * capacity + seq_len + position) * head_dim + e] = x[i];
  });
}

/// Copies positions 0 .. seq_len - 1 of each (max, d) block to the n elements of out.
template <class T>
__global__ void filled_elements(std::int64_t n, T* out, const T* cache, std::int64_t capacity,
                                std::int64_t head_dim, std::int64_t seq_len) {
  for_each_element(n, [=](std::int64_t i) {
    const std::int64_t within = i % (seq_len * head_dim), block = i / (seq_len * head_dim);
    out[i] = cache[block * capacity * head_dim + within];
  });
}

}  // namespace

template <class T>
void append_to_cache(Device& device, const DeviceTensor<T>& cache_k, const DeviceTensor<T>& cache_v,
                     const DeviceTensor<T>& k, const DeviceTensor<T>& v, std::int64_t seq_len) {
  const std::int64_t batch = k.dim(0), length = k.dim(1), kv_heads = k.dim(2), head_dim = k.dim(3);
  const std::int64_t capacity = cache_k.dim(2);
  if (seq_len + length > capacity) {
    throw ShapeError("[kv_cache] " + std::to_string(length) + " more positions do not fit: " +
                     std::to_string(seq_len) + " of " + std::to_string(capacity) + " are filled");
  }
  require_shape("[kv_cache] values", v.shape, k.shape);
  require_shape("[kv_cache] key cache", cache_k.shape, {batch, kv_heads, capacity, head_dim});
  require_shape("[kv_cache] value cache", cache_v.shape, cache_k.shape);
  launch_elementwise(device, "append_keys", append_elements<T>, k.size(), cache_k.get(), k.get(), length,
                     kv_heads, capacity, head_dim, seq_len);
  launch_elementwise(device, "append_values", append_elements<T>, v.size(), cache_v.get(), v.get(), length,
                     kv_heads, capacity, head_dim, seq_len);
}

template <class T>
DeviceTensor<T> filled(Device& device, const DeviceTensor<T>& cache, std::int64_t seq_len) {
  const std::int64_t capacity = cache.dim(2), head_dim = cache.dim(3);
  if (seq_len > capacity) {
    throw ShapeError("[kv_cache] " + std::to_string(seq_len) + " positions do not fit a cache of " +
                     std::to_string(capacity));
  }
  DeviceTensor<T> out = device.make<T>({cache.dim(0), cache.dim(1), seq_len, head_dim}, "filled cache");
  launch_elementwise(device, "filled", filled_elements<T>, out.size(), out.get(), cache.get(), capacity,
                     head_dim, seq_len);
  return out;
}

#define INSTANTIATE(T)                                                                         \
  template void append_to_cache(Device&, const DeviceTensor<T>&, const DeviceTensor<T>&,       \
                                const DeviceTensor<T>&, const DeviceTensor<T>&, std::int64_t); \
  template DeviceTensor<T> filled(Device&, const DeviceTensor<T>&, std::int64_t);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
