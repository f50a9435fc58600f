// Counting equal keys in their order: what sorts assignments by expert, and tells which come too late for a
// capacity. Columns are counted each on its own, along the rows, in tiles of rows that many blocks count at
// the same time; prefix sums over the tiles join them. There are no atomics.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

struct Ranks {
  DeviceTensor<std::int64_t> ranks;   // (N, columns): how many equal keys stand before, in the same column
  DeviceTensor<std::int64_t> counts;  // (columns, K): how often each key stands in the column
};

/// Of keys (N, columns), each in 0 .. K - 1.
Ranks rank_keys(Device& device, const DeviceTensor<std::int64_t>& keys, std::int64_t num_keys);

/// The counts alone.
DeviceTensor<std::int64_t> count_keys(Device& device, const DeviceTensor<std::int64_t>& keys,
                                      std::int64_t num_keys);

/// offsets (n + 1) of counts (n): offsets[i] is the sum of the counts before i.
DeviceTensor<std::int64_t> offsets_of(Device& device, const DeviceTensor<std::int64_t>& counts);

}  // namespace forgecheck::gpu
