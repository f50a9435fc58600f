// The mistakes with which compute-sanitizer's manual demonstrates its four tools, each with the kernel and
// the line that the tool would name. This file is compiled in the checking mode.
#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

// Once, and under other orders of the threads.
struct Classics : Simt, testing::WithParamInterface<std::uint64_t> {
  Classics() { simt::set_seed(GetParam()); }
};
INSTANTIATE_TEST_SUITE_P(Seeds, Classics, testing::Range(std::uint64_t{0}, std::uint64_t{8}));

void expect_report(const std::string& what, const std::string& mark, const std::string& kernel) {
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr(what), HasSubstr(line_marked(__FILE__, mark)),
                                       HasSubstr("in kernel (anonymous namespace)::" + kernel)));
}

// memcheck

__device__ void store(int* address) {
  *address = 42;  // [store]
}

__global__ void store_off_by_a_byte(int* data) {
  store(reinterpret_cast<int*>(reinterpret_cast<char*>(data) + 1));
}

TEST_P(Classics, AMisalignedStoreInAFunctionOfTheKernel) {
  const DeviceArray<int> data({1, 2});
  simt::launch(store_off_by_a_byte, 1, 1, 0, nullptr, data.data());
  expect_report("misaligned: write of 4 bytes at ", "store", "store_off_by_a_byte");
}

__global__ void store_at_an_address_from_nowhere(std::uintptr_t address) {
  *reinterpret_cast<int*>(address) = 42;  // [nowhere]
}

TEST_P(Classics, AStoreToAnAddressFromNowhere) {
  simt::launch(store_at_an_address_from_nowhere, 1, 1, 0, nullptr, std::uintptr_t{0x87654320});
  expect_report("write of 4 bytes at ", "nowhere", "store_at_an_address_from_nowhere");
}

// racecheck

template <bool barrier>
__global__ void sum_by_one_thread(int* sum, const int* data) {
  int* terms = simt::shared_memory<int>();
  terms[threadIdx.x] = 0;
  __syncthreads();
  terms[threadIdx.x] = data[threadIdx.x] + 1;  // [term]
  if (barrier) __syncthreads();
  if (threadIdx.x == 0) {
    int total = 0;
    for (unsigned i = 0; i < blockDim.x; ++i) {
      total += terms[i];  // [total]
    }
    *sum = total;
  }
}

TEST_P(Classics, OneThreadReadsWhatTheOthersWriteInSharedMemory) {
  const DeviceArray<int> data(std::vector<int>(64, 1)), sum(1);
  simt::launch(sum_by_one_thread<true>, 1, 64, 256, nullptr, sum.data(), data.data());
  EXPECT_EQ(sum.values()[0], 128);
  simt::launch(sum_by_one_thread<false>, 1, 64, 256, nullptr, sum.data(), data.data());
  EXPECT_THAT(error_of_device(), HasSubstr(line_marked(__FILE__, "term")));
  expect_report("race: ", "total", "sum_by_one_thread<false>");
}

template <bool barrier>
__global__ void sum_by_the_first_lanes(int* sum, const int* data) {
  int* terms = simt::shared_memory<int>();
  int* sums = terms + blockDim.x;
  const unsigned warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  terms[threadIdx.x] = 0;
  __syncthreads();
  terms[threadIdx.x] = data[threadIdx.x] + 1;  // [lane's term]
  if (barrier) __syncwarp();
  if (lane == 0) {
    int total = 0;
    for (unsigned i = 0; i < 32; ++i) {
      total += terms[warp * 32 + i];  // [warp's total]
    }
    sums[warp] = total;
  }
  __syncthreads();
  if (threadIdx.x == 0) *sum = sums[0] + sums[1];
}

TEST_P(Classics, AWarpThatTrustsThatItsLanesRunInStep) {
  const DeviceArray<int> data(std::vector<int>(64, 1)), sum(1);
  simt::launch(sum_by_the_first_lanes<true>, 1, 64, 264, nullptr, sum.data(), data.data());
  EXPECT_EQ(sum.values()[0], 128);
  simt::launch(sum_by_the_first_lanes<false>, 1, 64, 264, nullptr, sum.data(), data.data());
  EXPECT_THAT(error_of_device(), HasSubstr(line_marked(__FILE__, "lane's term")));
  expect_report("race: ", "warp's total", "sum_by_the_first_lanes<false>");
}

template <bool barrier>
__global__ void halve_and_add(int* sum, const int* data) {
  int* terms = simt::shared_memory<int>();
  terms[threadIdx.x] = data[threadIdx.x];
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      terms[threadIdx.x] += terms[threadIdx.x + half];  // [add half]
    }
    if (barrier) __syncthreads();
  }
  if (threadIdx.x == 0) *sum = terms[0];
}

TEST_P(Classics, AReductionWithoutABarrierBetweenItsSteps) {
  const DeviceArray<int> data(std::vector<int>(128, 1)), sum(1);
  simt::launch(halve_and_add<true>, 1, 128, 512, nullptr, sum.data(), data.data());
  EXPECT_EQ(sum.values()[0], 128);
  simt::launch(halve_and_add<false>, 1, 128, 512, nullptr, sum.data(), data.data());
  expect_report("race: ", "add half", "halve_and_add<false>");
}

// initcheck

__global__ void add_index(int* data) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  data[i] += static_cast<int>(i);  // [add index]
}

TEST_P(Classics, AMemsetThatTakesElementsForBytes) {
  const DeviceArray<int> data(64);
  cudaMemset(data.data(), 0, 64 * sizeof(int));
  simt::launch(add_index, 2, 32, 0, nullptr, data.data());
  EXPECT_EQ(data.values()[63], 63);
  const DeviceArray<int> short_of(64);
  cudaMemset(short_of.data(), 0, 64);
  simt::launch(add_index, 2, 32, 0, nullptr, short_of.data());
  expect_report("uninitialized: read of 4 bytes at ", "add index", "add_index");
}

// synccheck

__global__ void barrier_after_a_return(int* data, unsigned count) {
  if (threadIdx.x >= count) return;
  data[threadIdx.x] = 1;
  __syncthreads();  // [after a return]
}

TEST_P(Classics, ABarrierBehindAnEarlyReturn) {
  const DeviceArray<int> data(64);
  simt::launch(barrier_after_a_return, 1, 64, 0, nullptr, data.data(), 50U);
  expect_report("divergent barrier: ", "after a return", "barrier_after_a_return");
}

__global__ void barrier_of_each_branch(int* data) {
  if (threadIdx.x < 32) {
    data[threadIdx.x] = 1;
    __syncthreads();  // [first branch]
  } else {
    data[threadIdx.x] = 2;
    __syncthreads();  // [second branch]
  }
}

TEST_P(Classics, ABarrierInEachBranch) {
  const DeviceArray<int> data(64);
  simt::launch(barrier_of_each_branch, 1, 64, 0, nullptr, data.data());
  EXPECT_THAT(error_of_device(), HasSubstr(line_marked(__FILE__, "first branch")));
  expect_report("divergent barrier: ", "second branch", "barrier_of_each_branch");
}

template <bool inclusive>
__global__ void mask_of_too_few(int* data) {
  const unsigned mask = __ballot_sync(0xffffffffU, threadIdx.x < 16);
  if (threadIdx.x < 16 || (inclusive && threadIdx.x == 16)) {
    data[threadIdx.x] = 1;
    __syncwarp(mask);  // [syncwarp]
  }
}

TEST_P(Classics, ASyncwarpWhoseMaskDoesNotNameTheCaller) {
  const DeviceArray<int> data(32);
  simt::launch(mask_of_too_few<false>, 1, 32, 0, nullptr, data.data());
  EXPECT_EQ(error_of_device(), "");
  simt::launch(mask_of_too_few<true>, 1, 32, 0, nullptr, data.data());
  expect_report("wrong warp mask: ", "syncwarp", "mask_of_too_few<true>");
}

__global__ void shuffle_in_a_branch(int* data) {
  int value = static_cast<int>(threadIdx.x);
  if (threadIdx.x < 16) {
    value += __shfl_down_sync(0xffffffffU, value, 1);  // [branch's shuffle]
  }
  data[threadIdx.x] = value;
}

TEST_P(Classics, AShuffleOfTheWholeWarpInABranch) {
  const DeviceArray<int> data(32);
  simt::launch(shuffle_in_a_branch, 1, 32, 0, nullptr, data.data());
  expect_report("inactive lane: ", "branch's shuffle", "shuffle_in_a_branch");
}

}  // namespace
