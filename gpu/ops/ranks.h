// Ranks of equal keys: they sort assignments by expert, and show which exceed an expert's capacity. Each
// column is counted separately, along the rows, in tiles of rows that blocks count in parallel; prefix sums
// over the tiles join them. There are no atomics.
#pragma once

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

struct Ranks {
  DeviceTensor<std::int64_t> ranks;   // (N, columns): how many equal keys come earlier in the same column
  DeviceTensor<std::int64_t> counts;  // (columns, K): how often each key occurs in the column
};

/// For keys (N, columns), each in 0 .. K - 1.
Ranks rank_keys(Device& device, const DeviceTensor<std::int64_t>& keys, std::int64_t num_keys);

/// Only the counts.
DeviceTensor<std::int64_t> count_keys(Device& device, const DeviceTensor<std::int64_t>& keys,
                                      std::int64_t num_keys);

/// offsets (n + 1) of counts (n): offsets[i] is the sum of the counts before i.
DeviceTensor<std::int64_t> offsets_of(Device& device, const DeviceTensor<std::int64_t>& counts);

}  // namespace forgecheck::gpu
