// Freeing memory while work that uses it is still to come.
#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Free : Simt {
  Free() { cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking); }
  ~Free() override {
    clean();
    cudaStreamDestroy(a);
  }
  cudaStream_t a = nullptr;
};

__global__ void increment(int* value) {
  ++*value;
}

TEST_F(Free, WaitsForTheWorkOfEveryStream) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    simt::set_seed(seed);
    int* memory = nullptr;
    cudaMalloc(&memory, sizeof(int));
    cudaMemsetAsync(memory, 0, sizeof(int), a);
    simt::launch(increment, 1, 1, 0, a, memory);
    EXPECT_EQ(cudaFree(memory), cudaSuccess);
    EXPECT_EQ(error_of_device(), "");
  }
}

// Each is checked when it is asked for, and again when it runs.
TEST_F(Free, MemoryFreedBeforeItsCopyOrMemsetIsAFinding) {
  int* pinned = nullptr;
  cudaMallocHost(&pinned, sizeof(int));
  const auto after_free = [&](auto use) {
    clean();
    int* memory = nullptr;
    cudaMalloc(&memory, sizeof(int));
    cudaFreeAsync(memory, a);
    EXPECT_EQ(use(memory), cudaSuccess);
    return error_of_device();
  };
  EXPECT_THAT(
      after_free([&](int* memory) {
        return cudaMemcpyAsync(pinned, memory, sizeof(int), cudaMemcpyDeviceToHost, a);
      }),
      AllOf(HasSubstr("use after free: the source of a copy: 4 bytes"), HasSubstr("which was freed")));
  EXPECT_THAT(
      after_free([&](int* memory) {
        return cudaMemcpyAsync(memory, pinned, sizeof(int), cudaMemcpyHostToDevice, a);
      }),
      AllOf(HasSubstr("use after free: the destination of a copy: 4 bytes"), HasSubstr("which was freed")));
  EXPECT_THAT(
      after_free([&](int* memory) { return cudaMemsetAsync(memory, 0, sizeof(int), a); }),
      AllOf(HasSubstr("use after free: the memory of a memset: 4 bytes"), HasSubstr("which was freed")));
  clean();
  cudaFreeHost(pinned);
}

}  // namespace
