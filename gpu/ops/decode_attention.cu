#include "gpu/ops/decode_attention.h"

#include <cmath>

#include "gpu/ops/elementwise.cuh"
#include "gpu/ops/reduce.cuh"
#include "gpu/ops/sight.cuh"

namespace forgecheck::gpu {

namespace {

constexpr int kLanes = 4;   // threads that share a key
constexpr int kSplit = 64;  // keys per block, and threads per block
constexpr int kKeysTogether = kSplit / kLanes;

/// A split's result: the maximum of its scores and the sum of its weights relative to it, then head_dim sums
/// of weighted values.
constexpr std::int64_t kStatistics = 2;

/// One block per split of a query. partials (B * H, splits, 2 + head_dim).
template <class T>
__global__ void attend_split(float* partials, const T* q, KeyValues<T> keys, Visibility visibility,
                             std::int64_t heads, std::int64_t splits, float scale) {
  float* const scores = shared_memory<float>();  // (kSplit)
  float* const weights = scores + kSplit;        // (kSplit)

  const std::int64_t split = blockIdx.x % splits, r = blockIdx.x / splits, h = r % heads, b = r / heads;
  const std::int64_t kv_head = h / (heads / keys.kv_heads), begin = split * kSplit;
  const std::int64_t first_key = key_offset(keys, b, kv_head, begin);
  const int count = static_cast<int>(keys.length - begin < kSplit ? keys.length - begin : kSplit);
  const int thread = static_cast<int>(threadIdx.x), lane = thread % kLanes;
  const Sight sight = sight_of(visibility, b, visibility.first_position, keys.length);
  const T* const my_q = q + r * keys.head_dim;
  float* const partial = partials + blockIdx.x * (kStatistics + keys.head_dim);

  // 1. scores, four threads per key, and their maximum
  for (int together = 0; together < count; together += kKeysTogether) {
    const int j = together + thread / kLanes;
    const bool is_seen = sees(sight, begin + j);
    float score = 0;
    for (std::int64_t e = lane; is_seen && e < keys.head_dim; e += kLanes) {
      score +=
          static_cast<float>(my_q[e]) * static_cast<float>(keys.k[first_key + j * keys.position_stride + e]);
    }
    score = lanes_sum(score, kLanes);
    if (lane == 0) scores[j] = is_seen ? score * scale : -INFINITY;
  }
  __syncthreads();
  float maximum = -INFINITY;
  for (int j = 0; j < count; ++j) maximum = larger(maximum, scores[j]);

  // 2. exponentials and their sum
  if (thread < count) {
    weights[thread] = sees(sight, begin + thread) ? expf(scores[thread] - shift_of(maximum)) : kUnseen;
  }
  __syncthreads();
  float sum = 0;
  for (int j = 0; j < count; ++j) sum += weights[j] < 0 ? 0 : weights[j];

  // 3. weighted sum of the values
  for (std::int64_t e = thread; e < keys.head_dim; e += kSplit) {
    float total = 0;
    for (int j = 0; j < count; ++j) {
      if (weights[j] < 0) continue;
      total += weights[j] * static_cast<float>(keys.v[first_key + j * keys.position_stride + e]);
    }
    partial[kStatistics + e] = total;
  }
  if (thread == 0) {
    partial[0] = maximum;
    partial[1] = sum;
  }
}

/// out (B * H, head_dim) has n elements; each combines its splits in order.
template <class T>
__global__ void combine_splits(std::int64_t n, T* out, const float* partials, std::int64_t splits,
                               std::int64_t head_dim) {
  for_each_element(n, [=](std::int64_t i) {
    const std::int64_t size = kStatistics + head_dim;
    const float* const of_query = partials + i / head_dim * splits * size;
    float maximum = -INFINITY;
    for (std::int64_t s = 0; s < splits; ++s) maximum = larger(maximum, of_query[s * size]);
    float sum = 0, total = 0;
    for (std::int64_t s = 0; s < splits; ++s) {
      const float* const partial = of_query + s * size;
      const float factor = expf(partial[0] - shift_of(maximum));
      sum += factor * partial[1];
      total += factor * partial[kStatistics + i % head_dim];
    }
    out[i] = T(splits == 0 ? 0 : total / sum);
  });
}

}  // namespace

template <class T>
DeviceTensor<T> decode_attention(Device& device, const DeviceTensor<T>& q, const KeyValues<T>& keys,
                                 const Visibility& visibility) {
  require_attention_shapes("decode_attention", q, keys, visibility);
  const std::int64_t batch = q.dim(0), heads = q.dim(2), head_dim = q.dim(3);
  require_shape("[decode_attention] q", q.shape, {batch, 1, heads, head_dim});
  DeviceTensor<T> out = device.make<T>({batch, 1, heads * head_dim}, "decode_attention");
  const std::int64_t splits = blocks_for(keys.length, kSplit);
  const DeviceTensor<float> partials =
      device.make<float>({batch * heads, splits, kStatistics + head_dim}, "partial attention");
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  launch(device, "attend_split", attend_split<T>, batch * heads * splits, kSplit, 2 * kSplit * sizeof(float),
         partials.get(), q.get(), keys, visibility, heads, splits, scale);
  launch_elementwise(device, "combine_splits", combine_splits<T>, out.size(), out.get(), partials.get(),
                     splits, head_dim);
  return out;
}

#define INSTANTIATE(T)                                                                            \
  template DeviceTensor<T> decode_attention(Device&, const DeviceTensor<T>&, const KeyValues<T>&, \
                                            const Visibility&);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
