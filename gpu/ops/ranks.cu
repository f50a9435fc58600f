#include "gpu/ops/ranks.h"

#include "gpu/ops/reduce.cuh"

namespace forgecheck::gpu {

namespace {

constexpr std::int64_t kTile = 256;  // most rows per tile: one thread each

/// Keys (rows, columns), and how they are tiled. Tile t of a column is block column * tiles + t.
struct Tiling {
  const std::int64_t* keys;
  std::int64_t rows, columns, num_keys, tiles;
};

/// The tile of this block, and how many rows it has.
struct Tile {
  std::int64_t column, index, first_row;
  int rows;
};

__device__ Tile tile_of_block(const Tiling& tiling) {
  const std::int64_t column = blockIdx.x / tiling.tiles, index = blockIdx.x % tiling.tiles;
  const std::int64_t first_row = index * blockDim.x, left = tiling.rows - first_row;
  return {column, index, first_row, static_cast<int>(left < blockDim.x ? left : blockDim.x)};
}

/// Loads the tile's keys into shared memory; ends with a barrier.
__device__ const std::int64_t* load_keys(const Tiling& tiling, const Tile& tile) {
  auto* const keys = shared_memory<std::int64_t>();
  if (static_cast<int>(threadIdx.x) < tile.rows) {
    keys[threadIdx.x] = tiling.keys[(tile.first_row + threadIdx.x) * tiling.columns + tile.column];
  }
  __syncthreads();
  return keys;
}

/// How many of the first `end` keys equal `key`.
__device__ std::int64_t count_before(const std::int64_t* keys, int end, std::int64_t key) {
  int count = 0;
  for (int i = 0; i < end; ++i) count += keys[i] == key ? 1 : 0;
  return count;
}

/// counts (columns, K, tiles): how often each key occurs in each tile, one thread per key.
__global__ void count_tiles(Tiling tiling, std::int64_t* counts) {
  const Tile tile = tile_of_block(tiling);
  const std::int64_t* keys = load_keys(tiling, tile);
  for (std::int64_t key = threadIdx.x; key < tiling.num_keys; key += blockDim.x) {
    counts[(tile.column * tiling.num_keys + key) * tiling.tiles + tile.index] =
        count_before(keys, tile.rows, key);
  }
}

/// before[i] = values[0] + .. + values[i - 1] in each row of (rows, width), and the sum of the row in
/// `total`. One warp per row, 32 values at a time.
__global__ void prefix_sums(std::int64_t width, std::int64_t* before, std::int64_t* total,
                            const std::int64_t* values) {
  const std::int64_t first = blockIdx.x * width;
  const int lane = static_cast<int>(threadIdx.x);
  std::int64_t sum = 0;  // of the values before these 32
  for (std::int64_t begin = 0; begin < width; begin += kWarp) {
    const std::int64_t i = begin + lane;
    const std::int64_t value = i < width ? values[first + i] : 0;
    std::int64_t up_to_here = value;
    for (int distance = 1; distance < kWarp; distance *= 2) {
      const std::int64_t other = __shfl_up_sync(kAllLanes, up_to_here, static_cast<unsigned>(distance));
      if (lane >= distance) up_to_here += other;
    }
    if (i < width) before[first + i] = sum + up_to_here - value;
    sum += __shfl_sync(kAllLanes, up_to_here, kWarp - 1);
  }
  if (lane == 0) total[blockIdx.x] = sum;
}

/// ranks (rows, columns), one thread per key; before (columns, K, tiles): equal keys in earlier tiles.
__global__ void rank_tiles(Tiling tiling, std::int64_t* ranks, const std::int64_t* before) {
  const Tile tile = tile_of_block(tiling);
  const std::int64_t* keys = load_keys(tiling, tile);
  const int row = static_cast<int>(threadIdx.x);
  if (row >= tile.rows) return;
  const std::int64_t key = keys[row];
  ranks[(tile.first_row + row) * tiling.columns + tile.column] =
      before[(tile.column * tiling.num_keys + key) * tiling.tiles + tile.index] +
      count_before(keys, row, key);
}

template <class... Parameters, class... Arguments>
void launch_tiles(Device& device, const char* name, void (*kernel)(Parameters...), const Tiling& tiling,
                  Arguments&&... arguments) {
  const std::int64_t threads = std::min(kTile, blocks_for(tiling.rows, kWarp) * kWarp);
  launch(device, name, kernel, tiling.columns * tiling.tiles, static_cast<int>(threads),
         kTile * sizeof(std::int64_t), tiling, std::forward<Arguments>(arguments)...);
}

Tiling tiling_of(const DeviceTensor<std::int64_t>& keys, std::int64_t num_keys) {
  const std::int64_t rows = keys.dim(0), columns = keys.dim(1);
  return {keys.get(), rows, columns, num_keys, blocks_for(rows, kTile)};
}

/// Equal keys in the tiles before each tile (columns, K, tiles), and counts (columns, K).
struct TileCounts {
  DeviceTensor<std::int64_t> before, counts;
};

TileCounts count(Device& device, const Tiling& tiling) {
  const Shape shape{tiling.columns, tiling.num_keys, tiling.tiles};
  const DeviceTensor<std::int64_t> in_tile = device.make<std::int64_t>(shape, "keys of each tile");
  launch_tiles(device, "count_tiles", count_tiles, tiling, in_tile.get());
  TileCounts out{device.make<std::int64_t>(shape, "keys before each tile"),
                 device.make<std::int64_t>({tiling.columns, tiling.num_keys}, "counts of keys")};
  launch(device, "prefix_sums", prefix_sums, out.counts.size(), kWarp, 0, tiling.tiles, out.before.get(),
         out.counts.get(), in_tile.get());
  return out;
}

}  // namespace

Ranks rank_keys(Device& device, const DeviceTensor<std::int64_t>& keys, std::int64_t num_keys) {
  const Tiling tiling = tiling_of(keys, num_keys);
  const TileCounts tile_counts = count(device, tiling);
  Ranks out{device.make<std::int64_t>(keys.shape, "ranks"), tile_counts.counts};
  launch_tiles(device, "rank_tiles", rank_tiles, tiling, out.ranks.get(), tile_counts.before.get());
  return out;
}

DeviceTensor<std::int64_t> count_keys(Device& device, const DeviceTensor<std::int64_t>& keys,
                                      std::int64_t num_keys) {
  return count(device, tiling_of(keys, num_keys)).counts;
}

DeviceTensor<std::int64_t> offsets_of(Device& device, const DeviceTensor<std::int64_t>& counts) {
  const std::int64_t n = counts.size();
  DeviceTensor<std::int64_t> offsets = device.make<std::int64_t>({n + 1}, "offsets");
  launch(device, "prefix_sums", prefix_sums, 1, kWarp, 0, n, offsets.get(), offsets.get() + n, counts.get());
  return offsets;
}

}  // namespace forgecheck::gpu
