// __syncthreads and its variants.
#include <set>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Barrier : Simt {};

__global__ void reverse(int* data) {
  auto* copy = simt::shared_memory<int>();
  copy[threadIdx.x] = data[threadIdx.x];
  __syncthreads();
  data[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x];
}

TEST_F(Barrier, EveryThreadSeesWhatWasWrittenBefore) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<int> data({1, 2, 3, 4, 5, 6, 7});
    simt::launch(reverse, 1, 7, 7 * sizeof(int), nullptr, data.data());
    EXPECT_EQ(data.values(), (std::vector<int>{7, 6, 5, 4, 3, 2, 1}));
  }
}

__global__ void reverse_without_barrier(int* data) {
  auto* copy = simt::shared_memory<int>();
  copy[threadIdx.x] = data[threadIdx.x];
  data[threadIdx.x] = copy[blockDim.x - 1 - threadIdx.x];
}

TEST_F(Barrier, WithoutItTheResultDependsOnTheSeed) {
  std::set<std::vector<int>> results;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<int> data({1, 2, 3, 4, 5, 6, 7});
    simt::launch(reverse_without_barrier, 1, 7, 7 * sizeof(int), nullptr, data.data());
    results.insert(data.values());
  }
  EXPECT_GT(results.size(), 1U);
}

__global__ void combine(int* out) {
  const int all = __syncthreads_and(threadIdx.x < 40);
  const int any = __syncthreads_or(threadIdx.x == 39);
  const int none = __syncthreads_or(threadIdx.x > 39);
  const int count = __syncthreads_count(threadIdx.x % 2 == 0 ? 5 : 0);
  const int not_all = __syncthreads_and(threadIdx.x != 7);
  if (all && any && !none && count == 20 && !not_all) {
    atomicAdd(out, 1);
  }
}

TEST_F(Barrier, CombinesPredicates) {
  const DeviceArray<int> out({0});
  simt::launch(combine, 1, 40, 0, nullptr, out.data());
  EXPECT_EQ(out.values()[0], 40);
}

__global__ void loop(int* data, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const int neighbour = data[(threadIdx.x + 1) % blockDim.x];
    __syncthreads();
    data[threadIdx.x] = neighbour;
    __syncthreads();
  }
}

TEST_F(Barrier, WorksInLoops) {
  const DeviceArray<int> data({0, 1, 2, 3, 4});
  simt::launch(loop, 1, 5, 0, nullptr, data.data(), 7);
  EXPECT_EQ(data.values(), (std::vector<int>{2, 3, 4, 0, 1}));
}

constexpr int line_of_barrier_after_return = __LINE__ + 5;
__global__ void leave_early(int count) {
  if (static_cast<int>(threadIdx.x) >= count) {
    return;
  }
  __syncthreads();
}

TEST_F(Barrier, AThreadThatEndedIsNotWaitedFor) {
  simt::launch(leave_early, 1, 33, 0, nullptr, 32);
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("divergent barrier: no thread can go on"),
                    HasSubstr("1 thread (the first is (32,0,0)) ended"),
                    HasSubstr("32 threads (the first is (0,0,0)) waiting at the barrier " +
                              line_of(__FILE__, line_of_barrier_after_return)),
                    HasSubstr("of block (0,0,0) in kernel (anonymous namespace)::leave_early")));
}

__global__ void leave_at_the_second_barrier() {
  for (int i = 0; i < 2; ++i) {
    if (i == 1 && threadIdx.x == 0) {
      return;
    }
    __syncthreads();
  }
}

// Though it waited at the same place before.
TEST_F(Barrier, AThreadThatEndedHasNotArrived) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    clean();
    simt::set_seed(seed);
    simt::launch(leave_at_the_second_barrier, 1, 3, 0, nullptr);
    EXPECT_THAT(error_of_device(),
                AllOf(HasSubstr("divergent barrier"), HasSubstr("1 thread (the first is (0,0,0)) ended"),
                      HasSubstr("2 threads (the first is (1,0,0)) waiting at the barrier")));
  }
}

constexpr int line_of_two_barriers = __LINE__ + 3;
__global__ void two_barriers() {
  if (threadIdx.x % 2 == 0) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST_F(Barrier, TwoBarriersAreNotOne) {
  simt::launch(two_barriers, 1, 8, 0, nullptr);
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("divergent barrier"),
                                       HasSubstr("4 threads (the first is (0,0,0)) waiting at the barrier " +
                                                 line_of(__FILE__, line_of_two_barriers)),
                                       HasSubstr("4 threads (the first is (1,0,0)) waiting at the barrier " +
                                                 line_of(__FILE__, line_of_two_barriers + 2))));
  EXPECT_EQ(simt::findings().at(0).kind, "divergent barrier");
}

__global__ void some_leave_then_work(int* out) {
  if (threadIdx.x >= 32) {
    return;
  }
  atomicAdd(out, static_cast<int>(__ballot_sync(0xffffffffU, 1) == 0xffffffffU));
}

TEST_F(Barrier, LeavingEarlyIsFineWhereNobodyWaits) {
  const DeviceArray<int> out({0});
  simt::launch(some_leave_then_work, 1, 64, 0, nullptr, out.data());
  EXPECT_EQ(out.values()[0], 32);
}

}  // namespace
