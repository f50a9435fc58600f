// Grids, blocks, dynamic shared memory, and the limits of a launch.
#include <algorithm>
#include <numeric>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Launch : Simt {};

__global__ void mark_place(int* out) {
  const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  const unsigned size = blockDim.x * blockDim.y * blockDim.z;
  out[block * size + thread] = static_cast<int>(block * size + thread);
}

TEST_F(Launch, EveryThreadOfEveryBlockRunsOnce) {
  const dim3 grid(3, 4, 2);
  const dim3 block(8, 3, 2);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<int> out(3 * 4 * 2 * 8 * 3 * 2);
    EXPECT_EQ(simt::launch(mark_place, grid, block, 0, nullptr, out.data()), cudaSuccess);
    std::vector<int> expected(3 * 4 * 2 * 8 * 3 * 2);
    std::iota(expected.begin(), expected.end(), 0);
    EXPECT_EQ(out.values(), expected);
  }
}

__global__ void order_of_threads(unsigned* counter, unsigned* order) {
  order[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(counter, 1U);
}

std::vector<unsigned> order(std::uint64_t seed) {
  simt::set_seed(seed);
  const DeviceArray<unsigned> counter(std::vector<unsigned>{0});
  const DeviceArray<unsigned> out(64);
  simt::launch(order_of_threads, 2, 32, 0, nullptr, counter.data(), out.data());
  return out.values();
}

TEST_F(Launch, TheSeedDecidesTheOrder) {
  const std::vector<unsigned> first = order(7);
  EXPECT_EQ(first, order(7));
  EXPECT_NE(first, order(8));
  std::vector<unsigned> sorted = first;
  std::sort(sorted.begin(), sorted.end());
  for (unsigned i = 0; i < 64; ++i) {
    EXPECT_EQ(sorted[i], i);
  }
}

struct Parameters {
  int* out;
  long long big;
  float scale;
};

__global__ void use_parameters(Parameters parameters, double addend, const int count) {
  *parameters.out =
      static_cast<int>(static_cast<double>(parameters.big) * static_cast<double>(parameters.scale) + addend) +
      count;
}

TEST_F(Launch, ArgumentsAreCopiedAtTheCall) {
  const DeviceArray<int> out(1);
  Parameters parameters{out.data(), 1000, 0.5F};
  simt::launch(use_parameters, 1, 1, 0, nullptr, parameters, 1.0, 2);
  parameters = {nullptr, 0, 0};
  EXPECT_EQ(out.values()[0], 503);
}

__global__ void look_at_shared_memory(unsigned* seen) {
  auto* words = simt::shared_memory<unsigned>();
  seen[blockIdx.x * blockDim.x + threadIdx.x] = words[threadIdx.x];
  words[threadIdx.x] = threadIdx.x;
}

TEST_F(Launch, SharedMemoryIsPoisonedInEveryBlock) {
  const DeviceArray<unsigned> seen(3 * 33);
  simt::launch(look_at_shared_memory, 3, 33, 33 * sizeof(unsigned), nullptr, seen.data());
  EXPECT_EQ(seen.values(), std::vector<unsigned>(3 * 33, 0xffffffffU));
}

__global__ void do_nothing() {}

void expect_refused(dim3 grid, dim3 block, std::size_t shared_bytes, cudaError_t error,
                    const std::string& text) {
  EXPECT_EQ(simt::launch(do_nothing, grid, block, shared_bytes, nullptr), error);
  EXPECT_THAT(cudaGetErrorString(error),
              AllOf(HasSubstr("launch of (anonymous namespace)::do_nothing: "), HasSubstr(text)));
  EXPECT_EQ(cudaGetLastError(), error);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(Launch, LimitsAreThoseOfADevice) {
  EXPECT_EQ(simt::launch(do_nothing, dim3(70000, 2, 2), dim3(1, 1, 1), 0, nullptr), cudaSuccess);
  EXPECT_EQ(simt::launch(do_nothing, 1, dim3(16, 16, 4), 48 << 10, nullptr), cudaSuccess);
  expect_refused(1, 1025, 0, cudaErrorInvalidConfiguration, "a block of (1025, 1, 1) threads");
  expect_refused(1, dim3(32, 33), 0, cudaErrorInvalidConfiguration, "a block of (32, 33, 1) threads");
  expect_refused(1, dim3(1, 1, 65), 0, cudaErrorInvalidConfiguration, "a block of (1, 1, 65) threads");
  expect_refused(1, 0, 0, cudaErrorInvalidConfiguration, "a block of (0, 1, 1) threads");
  expect_refused(0, 1, 0, cudaErrorInvalidConfiguration, "a grid of (0, 1, 1) blocks");
  expect_refused(dim3(1, 65536), 1, 0, cudaErrorInvalidConfiguration, "a grid of (1, 65536, 1) blocks");
  expect_refused(dim3(1, 1, 65536), 1, 0, cudaErrorInvalidConfiguration, "a grid of (1, 1, 65536) blocks");
  expect_refused(1, 1, (48 << 10) + 1, cudaErrorInvalidValue,
                 "49153 bytes of shared memory; the limit is 49152");
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Launch, SharedMemoryPast48KiBMustBeAskedFor) {
  EXPECT_EQ(cudaFuncSetAttribute(do_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10),
            cudaSuccess);
  EXPECT_EQ(simt::launch(do_nothing, 1, 1, 100 << 10, nullptr), cudaSuccess);
  expect_refused(1, 1, 101 << 10, cudaErrorInvalidValue, "the limit is 102400");
  EXPECT_EQ(cudaFuncSetAttribute(do_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 228 << 10),
            cudaErrorInvalidValue);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Launch, TheDeviceDescribesItself) {
  int count = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, 1);
  cudaDeviceProp properties;
  EXPECT_EQ(cudaGetDeviceProperties(&properties, 0), cudaSuccess);
  EXPECT_EQ(properties.warpSize, 32);
  EXPECT_EQ(properties.sharedMemPerBlockOptin, 227U << 10);
  const auto attribute = [](cudaDeviceAttr name) {
    int value = -1;
    EXPECT_EQ(cudaDeviceGetAttribute(&value, name, 0), cudaSuccess);
    return value;
  };
  EXPECT_EQ(attribute(cudaDevAttrMaxThreadsPerBlock), 1024);
  EXPECT_EQ(attribute(cudaDevAttrMaxSharedMemoryPerBlock), 48 << 10);
  EXPECT_EQ(attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin), 227 << 10);
  EXPECT_EQ(attribute(cudaDevAttrWarpSize), 32);
  EXPECT_EQ(attribute(cudaDevAttrMultiProcessorCount), properties.multiProcessorCount);
  EXPECT_EQ(attribute(cudaDevAttrComputeCapabilityMajor), 9);
  EXPECT_EQ(attribute(cudaDevAttrComputeCapabilityMinor), 0);
  EXPECT_EQ(cudaSetDevice(0), cudaSuccess);
  EXPECT_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
  EXPECT_STREQ(cudaGetErrorName(cudaErrorInvalidDevice), "cudaErrorInvalidDevice");
}

TEST_F(Launch, AResetForgetsErrorsAndLimits) {
  void* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, std::size_t{1} << 60), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaFuncSetAttribute(do_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 100 << 10),
            cudaSuccess);
  EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
  expect_refused(1, 1, 100 << 10, cudaErrorInvalidValue, "the limit is 49152");
}

__global__ void throw_something(int* out) {
  std::vector<int> owner(100, 1);
  out[0] = owner.at(threadIdx.x * 50);
}

TEST_F(Launch, AnExceptionInAKernelIsAnErrorOutside) {
  const DeviceArray<int> out(1);
  simt::launch(throw_something, 1, 3, 0, nullptr, out.data());
  EXPECT_THAT(
      error_of_device(),
      AllOf(
          HasSubstr("exception: the kernel threw: vector"),
          HasSubstr("by thread (2,0,0) of block (0,0,0) in kernel (anonymous namespace)::throw_something")));
}

__global__ void give_up() {
  if (threadIdx.x == 3) {
    __trap();
  }
}

TEST_F(Launch, AfterAFindingEveryCallFailsUntilTheDeviceIsReset) {
  simt::launch(give_up, dim3(1, 2), 4, 0, nullptr);
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("trap: __trap() at launch_test.cpp:"), HasSubstr("thread (3,0,0)")));
  int* pointer = nullptr;
  EXPECT_EQ(cudaMalloc(&pointer, 4), cudaErrorLaunchFailure);
  EXPECT_EQ(simt::launch(do_nothing, 1, 1, 0, nullptr), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  ASSERT_EQ(simt::findings().size(), 1U);
  EXPECT_EQ(simt::findings()[0].kind, "trap");
  EXPECT_EQ(cudaDeviceReset(), cudaSuccess);
  EXPECT_EQ(simt::launch(do_nothing, 1, 1, 0, nullptr), cudaSuccess);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

#if !defined(__SANITIZE_ADDRESS__)
__device__ int use_much_stack(int depth) {
  volatile char room[1024];
  room[depth % 1024] = static_cast<char>(depth);
  return depth == 0 ? room[0] : use_much_stack(depth - 1) + room[depth % 1024];
}

__global__ void recurse(int* out, int depth) {
  *out = use_much_stack(depth);
}

TEST_F(Launch, AStackThatIsTooDeepIsAFinding) {
  const DeviceArray<int> out(1);
  simt::launch(recurse, 1, 1, 0, nullptr, out.data(), 100000);
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("stack overflow"), HasSubstr("in kernel (anonymous namespace)::recurse")));
}
#endif

}  // namespace
