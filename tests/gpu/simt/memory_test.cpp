// Device memory: what it holds at first, where it ends, and who may access it.
#include <cmath>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Memory : Simt {};

TEST_F(Memory, StartsAsNaN) {
  const DeviceArray<float> fresh(100);
  for (const float value : fresh.values()) {
    EXPECT_TRUE(std::isnan(value));
  }
}

TEST_F(Memory, IsAlignedTo256Bytes) {
  for (std::size_t bytes = 1; bytes < 5000; bytes += 77) {
    const DeviceArray<char> array(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(array.data()) % 256, 0U);
  }
}

TEST_F(Memory, CopiesAndSets) {
  const DeviceArray<int> a({1, 2, 3, 4});
  const DeviceArray<int> b(4);
  EXPECT_EQ(cudaMemcpy(b.data() + 1, a.data(), 3 * sizeof(int), cudaMemcpyDeviceToDevice), cudaSuccess);
  EXPECT_EQ(cudaMemset(b.data(), 0, sizeof(int)), cudaSuccess);
  EXPECT_EQ(b.values(), (std::vector<int>{0, 1, 2, 3}));
  int host[2] = {7, 8};
  EXPECT_EQ(cudaMemcpy(b.data(), host, sizeof host, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(host, b.data() + 2, sizeof host, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(b.values(), (std::vector<int>{7, 8, 2, 3}));
  EXPECT_EQ(host[1], 3);
}

void expect_copy_refused(cudaError_t expected, cudaError_t error, const std::string& text) {
  EXPECT_EQ(error, expected);
  EXPECT_THAT(cudaGetErrorString(error), HasSubstr(text));
}

TEST_F(Memory, CopiesThatDoNotFitAreRefused) {
  const DeviceArray<int> a({1, 2, 3, 4});
  std::vector<int> host(8);
  expect_copy_refused(cudaErrorInvalidValue, cudaMemcpy(host.data(), a.data(), 20, cudaMemcpyDeviceToHost),
                      "the source: 20 bytes from byte 0 of allocation");
  expect_copy_refused(cudaErrorInvalidValue, cudaMemcpy(a.data() + 3, host.data(), 8, cudaMemcpyHostToDevice),
                      "the destination: 8 bytes from byte 12 of allocation");
  expect_copy_refused(cudaErrorInvalidMemcpyDirection,
                      cudaMemcpy(host.data(), a.data(), 4, cudaMemcpyHostToDevice),
                      "the kind of the copy does not fit its destination, host memory");
  expect_copy_refused(cudaErrorInvalidMemcpyDirection,
                      cudaMemcpy(a.data(), host.data(), 4, cudaMemcpyDeviceToDevice),
                      "the kind of the copy does not fit its source, host memory");
  expect_copy_refused(cudaErrorInvalidValue, cudaMemcpy(nullptr, host.data(), 4, cudaMemcpyDefault),
                      "a null pointer");
  expect_copy_refused(cudaErrorInvalidValue, cudaMemset(host.data(), 0, 4),
                      "the memory: 4 bytes from host memory");
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Memory, EndsAtItsLimit) {
  simt::set_memory_limit(1 << 20);
  void* first = nullptr;
  void* second = nullptr;
  EXPECT_EQ(cudaMalloc(&first, 1000000), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 100000), cudaErrorMemoryAllocation);
  EXPECT_EQ(second, nullptr);
  EXPECT_THAT(cudaGetErrorString(cudaErrorMemoryAllocation),
              HasSubstr("out of memory: cudaMalloc: 100000 bytes, where 1000000 of 1048576 are in use"));
  EXPECT_EQ(cudaFree(first), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second, 100000), cudaSuccess);
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  EXPECT_EQ(cudaMemGetInfo(&free_bytes, &total_bytes), cudaSuccess);
  EXPECT_EQ(free_bytes, 948576U);
  EXPECT_EQ(total_bytes, 1048576U);
  simt::set_memory_limit(std::size_t{16} << 30);
}

TEST_F(Memory, WhatWasNotFreedIsListed) {
  void* device_memory = nullptr;
  void* pinned = nullptr;
  EXPECT_TRUE(simt::allocations().empty());
  cudaMalloc(&device_memory, 12);
  cudaMallocHost(&pinned, 34);
  ASSERT_EQ(simt::allocations().size(), 2U);
  EXPECT_EQ(simt::allocations()[0].bytes + simt::allocations()[1].bytes, 46U);
  EXPECT_EQ(cudaFree(device_memory), cudaSuccess);
  EXPECT_EQ(cudaFreeHost(pinned), cudaSuccess);
  EXPECT_TRUE(simt::allocations().empty());
}

TEST_F(Memory, FreesOnlyWhatWasAllocated) {
  const DeviceArray<int> a(4);
  int host = 0;
  void* twice = nullptr;
  cudaMalloc(&twice, 8);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_EQ(cudaFree(twice), cudaSuccess);
  expect_copy_refused(cudaErrorInvalidValue, cudaFree(twice), "which was freed");
  expect_copy_refused(cudaErrorInvalidValue, cudaFree(a.data() + 1), "byte 4 of allocation");
  expect_copy_refused(cudaErrorInvalidValue, cudaFree(&host), "host memory");
  expect_copy_refused(cudaErrorInvalidValue, cudaFreeHost(&host), "host memory");
}

TEST_F(Memory, AddressesAreUsedAgainOnlyLate) {
  std::vector<void*> seen;
  for (int i = 0; i < 100; ++i) {
    void* pointer = nullptr;
    cudaMalloc(&pointer, 1000);
    cudaFree(pointer);
    EXPECT_THAT(seen, testing::Not(testing::Contains(pointer)));
    seen.push_back(pointer);
  }
}

__global__ void write_at(char* data, long long index) {
  data[index] = 1;
}

#if !defined(__SANITIZE_ADDRESS__)
// AddressSanitizer ends the program at such an access; its own tests are below.

TEST_F(Memory, AWriteIntoTheClosedPageIsAFinding) {
  const DeviceArray<char> a(1024);
  simt::launch(write_at, 1, 1, 0, nullptr, a.data(), 1024LL);
  EXPECT_THAT(
      error_of_device(),
      AllOf(HasSubstr("out of bounds: access to byte 1024 of allocation"), HasSubstr("(1024 bytes)"),
            HasSubstr("memory_test.cpp:"),
            HasSubstr("by thread (0,0,0) of block (0,0,0) in kernel (anonymous namespace)::write_at")));
  EXPECT_EQ(simt::findings().at(0).kind, "out of bounds");
}

TEST_F(Memory, AWriteIntoTheGuardBytesIsAFindingAfterTheKernel) {
  for (const long long index : {1000LL, 1023LL, -1LL, -64LL}) {
    clean();
    const DeviceArray<char> a(1000);
    simt::launch(write_at, 1, 1, 0, nullptr, a.data(), index);
    EXPECT_THAT(error_of_device(), AllOf(HasSubstr("write_at wrote right before or after allocation"),
                                         HasSubstr("(1000 bytes)")))
        << index;
  }
}

TEST_F(Memory, UseAfterFreeIsAFinding) {
  char* freed = nullptr;
  cudaMalloc(&freed, 100);
  cudaFree(freed);
  simt::launch(write_at, 1, 1, 0, nullptr, freed, 5LL);
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("byte 5 of allocation"), HasSubstr("which was freed")));
}

// The pages close at once, though the memory was open to the work before.
TEST_F(Memory, UseAfterFreeInTheOrderOfTheStreamIsAFinding) {
  char* freed = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&freed), 100, nullptr);
  simt::launch(write_at, 1, 1, 0, nullptr, freed, 5LL);
  cudaFreeAsync(freed, nullptr);
  simt::launch(write_at, 1, 1, 0, nullptr, freed, 7LL);
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("byte 7 of allocation"), HasSubstr("which was freed")));
}

TEST_F(Memory, ANullPointerIsAFinding) {
  simt::launch(write_at, 1, 1, 0, nullptr, static_cast<char*>(nullptr), 0LL);
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("out of bounds: access to the null pointer"), HasSubstr("memory_test.cpp:")));
}

#if defined(__x86_64__)
// As a compiler that optimises copies a float4: by one instruction, which needs a multiple of 16.
using Four = float __attribute__((vector_size(16)));

__global__ void store_vector(float* base, long long index, long long offset) {
  auto* vectors = reinterpret_cast<Four*>(base + offset);
  vectors[index] = Four{1, 2, 3, 4};  // [vector]
}

TEST_F(Memory, AMisalignedVectorStoreIsAFinding) {
  const DeviceArray<float> a(64);
  simt::launch(store_vector, 1, 1, 0, nullptr, a.data(), 2LL, 4LL);
  EXPECT_EQ(error_of_device(), "");
  EXPECT_EQ(a.values()[15], 4.0F);
  for (const long long index : {0LL, 2LL, 13LL}) {
    clean();
    const DeviceArray<float> again(64);
    simt::launch(store_vector, 1, 1, 0, nullptr, again.data(), index, 1LL);
    EXPECT_THAT(error_of_device(),
                AllOf(HasSubstr("misaligned address"),
                      HasSubstr("misaligned: vector access to byte " + std::to_string(index * 16 + 4) +
                                " of allocation"),
                      HasSubstr("(256 bytes) at " + line_marked(__FILE__, "vector")),
                      HasSubstr("by thread (0,0,0) of block (0,0,0) in kernel"), HasSubstr("store_vector")));
    EXPECT_EQ(simt::findings().at(0).kind, "misaligned");
  }
}

TEST_F(Memory, AnAlignedVectorAtTheNullPointerIsTheNullPointer) {
  simt::launch(store_vector, 1, 1, 0, nullptr, static_cast<float*>(nullptr), 0LL, 0LL);
  EXPECT_THAT(error_of_device(), HasSubstr("out of bounds: access to the null pointer"));
}

TEST_F(Memory, AnAddressThatNoMemoryCanHaveIsAFinding) {
  auto* const nowhere = reinterpret_cast<char*>(0x7ff8000000000010ULL);
  simt::launch(store_vector, 1, 1, 0, nullptr, reinterpret_cast<float*>(nowhere), 0LL, 0LL);
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("out of bounds: access to host memory at 0x7ff8000000000010"),
                    HasSubstr("memory_test.cpp:")));
}
#endif

__global__ void write_shared_at(int index) {
  simt::shared_memory<char>()[index] = 1;
}

TEST_F(Memory, AWritePastSharedMemoryIsAFinding) {
  simt::launch(write_shared_at, 1, 1, 96, nullptr, 95);
  EXPECT_EQ(error_of_device(), "");
  simt::launch(write_shared_at, 1, 1, 96, nullptr, 96);
  EXPECT_THAT(error_of_device(), HasSubstr("byte 96 of shared memory (96 bytes)"));
}

#else

TEST_F(Memory, AddressSanitizerSeesEveryStepOutside) {
  const DeviceArray<char> a(1000);
  for (const long long index : {1000LL, -1LL, -64LL}) {
    EXPECT_DEATH(
        {
          simt::launch(write_at, 1, 1, 0, nullptr, a.data(), index);
          cudaDeviceSynchronize();
        },
        "use-after-poison.*write_at.*simt: in thread .0,0,0. of block .0,0,0. in kernel .*write_at");
  }
}

__global__ void write_shared_at(int index) {
  simt::shared_memory<char>()[index] = 1;
}

TEST_F(Memory, AddressSanitizerSeesTheEndOfSharedMemory) {
  EXPECT_DEATH(
      {
        simt::launch(write_shared_at, 1, 1, 100, nullptr, 100);
        cudaDeviceSynchronize();
      },
      "use-after-poison.*write_shared_at");
}

#endif

TEST_F(Memory, TheHostMayNotTouchDeviceMemory) {
  const DeviceArray<int> a({1, 2, 3, 4});
  cudaDeviceSynchronize();
  volatile int* pointer = a.data();
  EXPECT_DEATH(
      pointer[2] = 5,
      "simt: the host touched device memory: byte 8 of allocation [0-9]+ .16 bytes. at memory_test.cpp");
  EXPECT_DEATH(static_cast<void>(pointer[0]), "simt: the host touched device memory: byte 0");
}

TEST_F(Memory, ThePoolTakesAThreshold) {
  cudaMemPool_t pool = nullptr;
  EXPECT_EQ(cudaDeviceGetDefaultMemPool(&pool, 1), cudaErrorInvalidDevice);
  ASSERT_EQ(cudaDeviceGetDefaultMemPool(&pool, 0), cudaSuccess);
  std::uint64_t threshold = 1;
  EXPECT_EQ(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold), cudaSuccess);
  EXPECT_EQ(cudaMemPoolSetAttribute(nullptr, cudaMemPoolAttrReleaseThreshold, &threshold),
            cudaErrorInvalidValue);
}

}  // namespace
