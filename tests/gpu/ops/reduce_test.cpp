// Has its own kernels, so it runs on the emulator only: a device's compiler does not see this file.
#ifdef FORGECHECK_SIMT
#include "gpu/ops/reduce.cuh"

#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {
namespace {

using GpuReduce = GpuTest;

constexpr int kRounds = 24;

/// Round r: the sum, or the maximum where r is odd, of (thread + r) over the block; every thread writes what
/// it got. One scratch for all rounds.
__global__ void rounds_of_block(std::int64_t* out) {
  auto* scratch = shared_memory<std::int64_t>();
  for (int r = 0; r < kRounds; ++r) {
    const std::int64_t value = threadIdx.x + static_cast<unsigned>(r);
    out[r * static_cast<int>(blockDim.x) + static_cast<int>(threadIdx.x)] =
        r % 2 == 0 ? block_sum(value, scratch) : block_max(value, scratch);
  }
}

__global__ void sums_of_lanes(std::int64_t* sums, std::int64_t* maxima, int lanes) {
  const std::int64_t value = threadIdx.x % 2 == 0 ? threadIdx.x : -static_cast<std::int64_t>(threadIdx.x);
  sums[threadIdx.x] = lanes_sum(value, lanes);
  maxima[threadIdx.x] = lanes_max(value, lanes);
}

/// Every row's elements 1, 2, .. width, summed.
__global__ void sums_of_rows(std::int64_t rows, std::int64_t width, float* out) {
  const Team team = team_of_thread(width);
  float sum = 0;
  for (std::int64_t j = team.rank; j < width; j += team.size) sum += static_cast<float>(j + 1);
  sum = team_sum(sum, team, shared_memory<float>());
  if (team.row < rows && team.rank == 0) out[team.row] = sum;
}

// A thread may begin a round before others have read the last one: a missing barrier shows under some seed.
TEST_F(GpuReduce, BlocksOfAnySizeReduceRoundAfterRound) {
  for (const int threads : {32, 64, 128, 512}) {
    expect_repeatable([&] {
      const auto out = device.make<std::int64_t>({kRounds, threads}, "rounds");
      launch(device, "rounds_of_block", rounds_of_block, 1, threads, kWarp * sizeof(std::int64_t), out.get());
      const Array rounds = device.download(out);
      for (std::int64_t i = 0; i < rounds.size(); ++i) {
        const std::int64_t r = i / threads, largest = threads - 1 + r;
        const std::int64_t sum = threads * (threads - 1) / 2 + threads * r;
        EXPECT_EQ(rounds.int_at(i), r % 2 == 0 ? sum : largest) << "round " << r << " of " << threads;
      }
      return bytes(out);
    });
  }
}

TEST_F(GpuReduce, LanesReduceInAlignedGroups) {
  for (int lanes = 1; lanes <= kWarp; lanes *= 2) {
    const auto sums = device.make<std::int64_t>({64}, "sums"),
               maxima = device.make<std::int64_t>({64}, "maxima");
    launch(device, "sums_of_lanes", sums_of_lanes, 1, 64, 0, sums.get(), maxima.get(), lanes);
    const Array sum = device.download(sums), maximum = device.download(maxima);
    for (int i = 0; i < 64; ++i) {
      std::int64_t total = 0, largest = -1000;
      for (int j = i / lanes * lanes; j < (i / lanes + 1) * lanes; ++j) {
        total += j % 2 == 0 ? j : -j;
        largest = std::max<std::int64_t>(largest, j % 2 == 0 ? j : -j);
      }
      EXPECT_EQ(sum.int_at(i), total) << "lane " << i << " of groups of " << lanes;
      EXPECT_EQ(maximum.int_at(i), largest) << "lane " << i << " of groups of " << lanes;
    }
  }
}

TEST_F(GpuReduce, EveryRowHasATeam) {
  for (const std::int64_t width : {1, 16, 17, 100, 512, 1024, 1025, 1500}) {
    for (const std::int64_t rows : {1, 5, 129}) {
      const auto out = device.make<float>({rows}, "sums");
      launch_teams(device, "sums_of_rows", sums_of_rows, rows, width, out.get());
      // Below 2^24, so exact.
      EXPECT_THAT(get(out).data, testing::Each(static_cast<double>(width * (width + 1) / 2)))
          << rows << " rows of " << width;
    }
  }
}

TEST_F(GpuReduce, ANanIsPassedOver) {
  EXPECT_EQ(larger(1.0F, NAN), 1.0F);
  EXPECT_EQ(larger(NAN, 1.0F), 1.0F);
  EXPECT_EQ(larger(2.0F, 1.0F), 2.0F);
  EXPECT_EQ(larger(-INFINITY, -3.0F), -3.0F);
}

}  // namespace
}  // namespace forgecheck::gpu
#endif
