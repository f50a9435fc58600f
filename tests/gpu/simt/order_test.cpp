// The orders in which threads and blocks run: every one that CUDA allows can happen.
#include <algorithm>
#include <numeric>
#include <set>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Order : Simt {};

constexpr int steps = 16;

/// Both threads of a block take turns at its counter; `ends` is where each was through.
__global__ void count_together(int* counters, int* ends) {
  int last = 0;
  for (int i = 0; i < steps; ++i) {
    last = atomicAdd(&counters[blockIdx.x], 1);
  }
  ends[2 * blockIdx.x + threadIdx.x] = last + 1;
}

// Ahead: the other made at most one step until this one was through. Where each step is any thread's, that is
// as rare as 17 heads in a row.
TEST_F(Order, InHalfOfTheBlocksAThreadRunsFarAhead) {
  constexpr std::size_t blocks = 400;
  const DeviceArray<int> counters(std::vector<int>(blocks, 0)), ends(2 * blocks);
  simt::launch(count_together, blocks, 2, 0, nullptr, counters.data(), ends.data());
  const std::vector<int> values = ends.values();
  int ahead = 0;
  for (std::size_t b = 0; b < blocks; ++b) {
    ahead += std::min(values[2 * b], values[2 * b + 1]) <= steps + 1;
  }
  EXPECT_GT(ahead, 120);
  EXPECT_LT(ahead, 280);
}

// In such blocks, too, any thread can be the first.
TEST_F(Order, EveryThreadCanBeTheFirstToEnd) {
  std::set<bool> second_ended_first;
  constexpr std::size_t blocks = 400;
  const DeviceArray<int> counters(std::vector<int>(blocks, 0)), ends(2 * blocks);
  simt::launch(count_together, blocks, 2, 0, nullptr, counters.data(), ends.data());
  const std::vector<int> values = ends.values();
  for (std::size_t b = 0; b < blocks; ++b) {
    if (std::min(values[2 * b], values[2 * b + 1]) == steps) {
      second_ended_first.insert(values[2 * b + 1] == steps);
    }
  }
  EXPECT_EQ(second_ended_first.size(), 2U);
}

__global__ void order_of_blocks(int* counter, int* order) {
  order[atomicAdd(counter, 1)] = static_cast<int>(blockIdx.x);
}

/// Numbers of the blocks in the order in which they ran.
std::vector<int> blocks_in_order(std::uint64_t seed, std::size_t count) {
  simt::set_seed(seed);
  const DeviceArray<int> counter({0}), order(count);
  simt::launch(order_of_blocks, static_cast<unsigned>(count), 1, 0, nullptr, counter.data(), order.data());
  return order.values();
}

TEST_F(Order, BlocksRunInManyOrders) {
  constexpr int count = 12;
  std::set<int> firsts, steps_between;
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 64; ++seed) {
    std::vector<int> order = blocks_in_order(seed, count);
    firsts.insert(order[0]);
    steps_between.insert((order[1] - order[0] + count) % count);
    orders.insert(order);
    std::ranges::sort(order);
    for (int i = 0; i < count; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i) << "seed " << seed;
  }
  EXPECT_EQ(firsts.size(), 12U);
  EXPECT_EQ(steps_between, (std::set<int>{1, 5, 7, 11}));  // those that have no divisor in common with 12
  EXPECT_GT(orders.size(), 30U);
}

__global__ void order_of_threads(int* counter, int* order) {
  order[atomicAdd(counter, 1)] = static_cast<int>(threadIdx.x);
}

// As `verify` runs each case: under consecutive seeds.
TEST_F(Order, SixteenSeedsGiveSixteenOrdersOfThreads) {
  std::set<std::vector<int>> orders;
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<int> counter({0}), order(64);
    simt::launch(order_of_threads, 1, 64, 0, nullptr, counter.data(), order.data());
    orders.insert(order.values());
  }
  EXPECT_EQ(orders.size(), 16U);
}

TEST_F(Order, AResetBeginsAgainWithTheSeed) {
  const auto run = [] {
    const DeviceArray<int> counter({0}), order(64);
    simt::launch(order_of_blocks, 64, 1, 0, nullptr, counter.data(), order.data());
    return order.values();
  };
  simt::set_seed(7);
  const std::vector<int> first = run();
  EXPECT_NE(run(), first);
  EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
  EXPECT_EQ(run(), first);
}

__global__ void places_of_lanes(int* places) {
  const auto place = static_cast<int>(threadIdx.x + 10 * threadIdx.y + 100 * threadIdx.z);
  for (int lane = 0; lane < 24; ++lane) {
    const int other = __shfl_sync(0xffffffU, place, lane);
    if (place == 0) places[lane] = other;
  }
}

TEST_F(Order, LanesCountXFastestThenYThenZ) {
  const DeviceArray<int> places(24);
  simt::launch(places_of_lanes, 1, dim3(2, 3, 4), 0, nullptr, places.data());
  std::vector<int> expected;
  for (const int z : {0, 1, 2, 3}) {
    for (const int y : {0, 1, 2}) {
      for (const int x : {0, 1}) expected.push_back(x + 10 * y + 100 * z);
    }
  }
  EXPECT_EQ(places.values(), expected);
}

}  // namespace
