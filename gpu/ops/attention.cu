#include "gpu/ops/attention.h"

#include <algorithm>
#include <cmath>

#include "gpu/ops/reduce.cuh"
#include "gpu/ops/sight.cuh"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

constexpr int kLanes = 4;     // threads that share a query
constexpr int kKeyTile = 32;  // keys per tile
constexpr int kKeysPerLane = kKeyTile / kLanes;
constexpr int kRowsOfWarp = kWarp / kLanes;

/// Most queries per block: fewer for wide heads, so that the tiles stay below 96 KiB.
constexpr std::int64_t most_rows(std::int64_t head_dim) {
  return head_dim > 128 ? 16 : 32;
}

/// The row stride of a tile: odd for even head sizes, so that a warp's reads of one column hit different
/// banks.
__host__ __device__ constexpr int tile_stride(int head_dim) {
  return head_dim + 1;
}
constexpr int kWeightStride = kKeyTile + 1;

std::size_t shared_bytes(std::int64_t rows, std::int64_t head_dim) {
  const std::int64_t stride = tile_stride(static_cast<int>(head_dim));
  return static_cast<std::size_t>((rows + 2 * kKeyTile) * stride + rows * kWeightStride) * sizeof(float);
}

/// Loads `count` rows of a head into a tile; rows from `available` on are set to zero.
template <class T>
__device__ void load_tile(float* tile, int count, const T* rows, std::int64_t row_stride,
                          std::int64_t available, int head_dim) {
  const int stride = tile_stride(head_dim), warps = static_cast<int>(blockDim.x) / kWarp;
  for (int r = static_cast<int>(threadIdx.x) / kWarp; r < count; r += warps) {
    for (int e = static_cast<int>(threadIdx.x) % kWarp; e < head_dim; e += kWarp) {
      tile[r * stride + e] = r < available ? static_cast<float>(rows[r * row_stride + e]) : 0.0F;
    }
  }
}

/// A block handles neighbouring queries of one head, four threads per query, and walks over the keys in
/// tiles. Thread `lane` of a query handles keys lane, lane + 4, ... of a tile and columns lane, lane + 4, ...
/// of the output, at most kColumns.
template <class T, int kColumns>
__global__ void attend_tiles(T* out, const T* q, KeyValues<T> keys, Visibility visibility,
                             std::int64_t queries, std::int64_t heads, std::int64_t tiles, float scale) {
  const int head_dim = static_cast<int>(keys.head_dim), stride = tile_stride(head_dim);
  const int rows = static_cast<int>(blockDim.x) / kLanes;
  float* const q_tile = shared_memory<float>();           // (rows, stride)
  float* const k_tile = q_tile + rows * stride;           // (kKeyTile, stride)
  float* const v_tile = k_tile + kKeyTile * stride;       // (kKeyTile, stride)
  float* const weight_tile = v_tile + kKeyTile * stride;  // (rows, kWeightStride)

  const std::int64_t tile = blockIdx.x % tiles, h = blockIdx.x / tiles % heads,
                     b = blockIdx.x / tiles / heads;
  const std::int64_t kv_head = h / (heads / keys.kv_heads);
  const int row = static_cast<int>(threadIdx.x) / kLanes, lane = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t first_query = tile * rows, query = first_query + row;
  const bool is_query = query < queries;

  load_tile(q_tile, rows, q + ((b * queries + first_query) * heads + h) * head_dim, heads * head_dim,
            queries - first_query, head_dim);
  Sight sight{0, -1, nullptr, 0, nullptr};
  if (is_query) sight = sight_of(visibility, b, visibility.first_position + query, keys.length);
  const float* const my_q = q_tile + row * stride;
  float* const my_weights = weight_tile + row * kWeightStride;

  float maximum = -INFINITY;  // of the query's scores so far
  float sum = 0;              // of the weights of this thread's keys so far, relative to that maximum
  float total[kColumns];      // of the weighted values so far, relative to that maximum
  for (int i = 0; i < kColumns; ++i) total[i] = 0;

  // Until no query of the block sees further. The barrier also ensures that the last tile has been read.
  for (std::int64_t begin = 0; __syncthreads_or(begin <= sight.last); begin += kKeyTile) {
    const std::int64_t first_key = key_offset(keys, b, kv_head, begin);
    load_tile(k_tile, kKeyTile, keys.k + first_key, keys.position_stride, keys.length - begin, head_dim);
    load_tile(v_tile, kKeyTile, keys.v + first_key, keys.position_stride, keys.length - begin, head_dim);
    __syncthreads();

    // 1. scores and their maximum
    float scores[kKeysPerLane];
    for (int i = 0; i < kKeysPerLane; ++i) scores[i] = 0;
    for (int e = 0; e < head_dim; ++e) {
      const float q_e = my_q[e];
      for (int i = 0; i < kKeysPerLane; ++i) scores[i] += q_e * k_tile[(lane + kLanes * i) * stride + e];
    }
    unsigned seen = 0;  // one bit per key
    float largest = maximum;
    for (int i = 0; i < kKeysPerLane; ++i) {
      if (!sees(sight, begin + lane + kLanes * i)) continue;
      seen |= 1U << i;
      scores[i] *= scale;
      largest = larger(largest, scores[i]);
    }
    largest = lanes_max(largest, kLanes);

    // 2. exponentials and their sum; the sums so far are rescaled to the new maximum
    const float shift = shift_of(largest), shrink = expf(maximum - shift);
    maximum = largest;
    sum *= shrink;
    for (int i = 0; i < kKeysPerLane; ++i) {
      const bool is_seen = (seen >> i & 1U) != 0;
      const float weight = is_seen ? expf(scores[i] - shift) : kUnseen;
      if (is_seen) sum += weight;
      my_weights[lane + kLanes * i] = weight;
    }
    __syncwarp();

    // 3. weighted sum of the values
    for (int i = 0; i < kColumns; ++i) total[i] *= shrink;
    for (int j = 0; j < kKeyTile; ++j) {
      const float weight = my_weights[j];
      if (weight < 0) continue;
      for (int i = 0; i < kColumns; ++i) {
        const int e = lane + kLanes * i;
        if (e < head_dim) total[i] += weight * v_tile[j * stride + e];
      }
    }
  }

  // The weighted mean; without keys there is nothing to divide.
  sum = lanes_sum(sum, kLanes);
  if (keys.length == 0) sum = 1;
  T* const my_out = out + ((b * queries + query) * heads + h) * head_dim;
  for (int i = 0; i < kColumns; ++i) {
    const int e = lane + kLanes * i;
    if (is_query && e < head_dim) my_out[e] = T(total[i] / sum);
  }
}

template <class T>
using Kernel = void (*)(T*, const T*, KeyValues<T>, Visibility, std::int64_t, std::int64_t, std::int64_t,
                        float);

/// The instance with the fewest columns that suffice.
template <class T>
Kernel<T> kernel_for(std::int64_t head_dim) {
  if (head_dim <= 32) return attend_tiles<T, 8>;
  if (head_dim <= 64) return attend_tiles<T, 16>;
  if (head_dim <= 128) return attend_tiles<T, 32>;
  return attend_tiles<T, kMaxHeadDim / kLanes>;
}

}  // namespace

template <class T>
KeyValues<T> key_values(const DeviceTensor<T>& k, const DeviceTensor<T>& v) {
  require_shape("[attention] v", v.shape, k.shape);
  const std::int64_t length = k.dim(1), kv_heads = k.dim(2), head_dim = k.dim(3);
  return {.k = k.get(),
          .v = v.get(),
          .batch = k.dim(0),
          .length = length,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .batch_stride = length * kv_heads * head_dim,
          .position_stride = kv_heads * head_dim,
          .head_stride = head_dim};
}

template <class T>
KeyValues<T> key_values_of_cache(const DeviceTensor<T>& k, const DeviceTensor<T>& v, std::int64_t length) {
  require_shape("[attention] cached v", v.shape, k.shape);
  const std::int64_t kv_heads = k.dim(1), capacity = k.dim(2), head_dim = k.dim(3);
  if (length > capacity) {
    throw ShapeError("[attention] a cache of " + std::to_string(capacity) + " positions has no " +
                     std::to_string(length) + " keys");
  }
  return {.k = k.get(),
          .v = v.get(),
          .batch = k.dim(0),
          .length = length,
          .kv_heads = kv_heads,
          .head_dim = head_dim,
          .batch_stride = kv_heads * capacity * head_dim,
          .position_stride = head_dim,
          .head_stride = capacity * head_dim};
}

template <class T>
void require_attention_shapes(const char* operation, const DeviceTensor<T>& q, const KeyValues<T>& keys,
                              const Visibility& visibility) {
  const std::string name = "[" + std::string(operation) + "] ";
  const std::int64_t queries = q.dim(1), heads = q.dim(2), head_dim = q.dim(3);
  require_shape(name + "k", {keys.batch, keys.length, keys.kv_heads, keys.head_dim},
                {q.dim(0), keys.length, keys.kv_heads, head_dim});
  if (keys.kv_heads == 0 || heads % keys.kv_heads != 0) {
    throw ShapeError(name + std::to_string(heads) + " heads cannot share " + std::to_string(keys.kv_heads) +
                     " key-value heads");
  }
  if (head_dim > kMaxHeadDim) {
    throw ShapeError(name + "head_dim " + std::to_string(head_dim) + ": the CUDA backend supports at most " +
                     std::to_string(kMaxHeadDim));
  }
  if (visibility.doc_ids != nullptr && visibility.first_position + queries > keys.length) {
    throw ShapeError(name + "doc_ids of " + std::to_string(keys.length) + " keys do not cover position " +
                     std::to_string(visibility.first_position + queries - 1));
  }
}

template <class T>
DeviceTensor<T> attention(Device& device, const DeviceTensor<T>& q, const KeyValues<T>& keys,
                          const Visibility& visibility) {
  require_attention_shapes("attention", q, keys, visibility);
  const std::int64_t batch = q.dim(0), queries = q.dim(1), heads = q.dim(2), head_dim = q.dim(3);
  DeviceTensor<T> out = device.make<T>({batch, queries, heads * head_dim}, "attention");
  const std::int64_t rows = std::min(most_rows(head_dim), blocks_for(queries, kRowsOfWarp) * kRowsOfWarp);
  const std::int64_t tiles = queries == 0 ? 0 : blocks_for(queries, rows);
  const float scale = 1.0F / std::sqrt(static_cast<float>(head_dim));
  launch(device, "attention", kernel_for<T>(head_dim), batch * heads * tiles, static_cast<int>(rows * kLanes),
         shared_bytes(rows, head_dim), out.get(), q.get(), keys, visibility, queries, heads, tiles, scale);
  return out;
}

#define INSTANTIATE(T)                                                                                     \
  template KeyValues<T> key_values(const DeviceTensor<T>&, const DeviceTensor<T>&);                        \
  template KeyValues<T> key_values_of_cache(const DeviceTensor<T>&, const DeviceTensor<T>&, std::int64_t); \
  template void require_attention_shapes(const char*, const DeviceTensor<T>&, const KeyValues<T>&,         \
                                         const Visibility&);                                               \
  template DeviceTensor<T> attention(Device&, const DeviceTensor<T>&, const KeyValues<T>&, const Visibility&);
INSTANTIATE(float)
INSTANTIATE(bf16)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
