// The mistakes that compute-sanitizer's memcheck is made for, each named by kernel and line.
// This file is compiled in the checking mode.
#include <cuda_bf16.h>

#include "tests/gpu/simt_check/expect.h"

namespace {

using namespace simt_test;

struct Memcheck : Simt {};

__global__ void write_at(float* data, int index) {
  data[index] = 1;  // [write_at]
}

TEST_F(Memcheck, OneElementPastTheEnd) {
  const DeviceArray<float> a(10);
  simt::launch(write_at, 1, 1, 0, nullptr, a.data(), 10);
  expect_report("out of bounds", "write of 4 bytes", "write_at", "byte 40 of allocation", "write_at");
}

TEST_F(Memcheck, OneElementBeforeTheBeginning) {
  const DeviceArray<float> a(10);
  simt::launch(write_at, 1, 1, 0, nullptr, a.data(), -1);
  expect_report("out of bounds", "write of 4 bytes", "write_at", "4 bytes before allocation", "write_at");
}

__global__ void write_words(int* data) {
  data[threadIdx.x] = 1;  // [words]
}

TEST_F(Memcheck, HalfInsideIsOutside) {
  const DeviceArray<char> ten_bytes(10);
  simt::launch(write_words, 1, 3, 0, nullptr, reinterpret_cast<int*>(ten_bytes.data()));
  expect_report("out of bounds", "write of 4 bytes", "words", "byte 8 of allocation", "write_words");
}

TEST_F(Memcheck, TheLastElementIsInside) {
  const DeviceArray<float> a(10);
  simt::launch(write_at, 1, 1, 0, nullptr, a.data(), 9);
  simt::launch(write_at, 1, 1, 0, nullptr, a.data(), 0);
  EXPECT_EQ(error_of_device(), "");
}

TEST_F(Memcheck, UseAfterFree) {
  float* freed = nullptr;
  cudaMalloc(&freed, 40);
  cudaFree(freed);
  simt::launch(write_at, 1, 1, 0, nullptr, freed, 3);
  expect_report("out of bounds", "write of 4 bytes", "write_at", "which was freed", "write_at");
}

// What the checker remembers of the last access must not outlive the memory.
TEST_F(Memcheck, UseAfterFreeOfWhatWasUsedLast) {
  for (const bool reset : {false, true}) {
    clean();
    float* freed = nullptr;
    cudaMalloc(&freed, 40);
    simt::launch(write_at, 1, 1, 0, nullptr, freed, 3);
    EXPECT_EQ(error_of_device(), "");
    reset ? cudaDeviceReset() : cudaFree(freed);
    simt::launch(write_at, 1, 1, 0, nullptr, freed, 3);
    expect_report("out of bounds", "write of 4 bytes", "write_at", "which was freed", "write_at");
  }
}

TEST_F(Memcheck, HostMemoryInAKernel) {
  std::vector<float> host(10);
  simt::launch(write_at, 1, 1, 0, nullptr, host.data(), 3);
  expect_report("not device memory", "write of 4 bytes", "write_at", "host memory at 0x", "write_at");
}

TEST_F(Memcheck, PinnedHostMemoryIsTheDevicesToo) {
  float* pinned = nullptr;
  cudaMallocHost(&pinned, 4);
  simt::launch(write_at, 1, 1, 0, nullptr, pinned, 0);
  EXPECT_EQ(error_of_device(), "");
  EXPECT_EQ(*pinned, 1.0F);
  cudaFreeHost(pinned);
}

volatile int a_host_variable = 3;
__global__ void read_host_variable(int* out) {
  *out = a_host_variable;  // [host_variable]
}

TEST_F(Memcheck, AVariableOfTheHostInAKernel) {
  const DeviceArray<int> out(1);
  simt::launch(read_host_variable, 1, 1, 0, nullptr, out.data());
  expect_report("not device memory", "read of 4 bytes", "host_variable", "host memory", "read_host_variable");
}

const int a_table[4] = {1, 2, 3, 4};

__global__ void copy_table(int* out, const int* table) {
  out[threadIdx.x] = table[threadIdx.x];
}

TEST_F(Memcheck, ConstantsOfTheProgramMayBeRead) {
  const DeviceArray<int> out(4);
  simt::launch(copy_table, 1, 4, 0, nullptr, out.data(), a_table);
  EXPECT_EQ(out.values(), (std::vector<int>{1, 2, 3, 4}));
}

__global__ void load_vector(float* out, const float* in, int offset) {
  const auto* vectors = reinterpret_cast<const float4*>(in + offset);
  const float4 four = vectors[0];  // [vector]
  *out = four.x + four.y + four.z + four.w;
}

TEST_F(Memcheck, AMisalignedVectorLoad) {
  const DeviceArray<float> in({1, 2, 3, 4, 5, 6, 7, 8});
  const DeviceArray<float> out(1);
  simt::launch(load_vector, 1, 1, 0, nullptr, out.data(), in.data(), 4);
  EXPECT_EQ(out.values()[0], 26.0F);
  simt::launch(load_vector, 1, 1, 0, nullptr, out.data(), in.data(), 1);
  expect_report("misaligned", "read of 16 bytes", "vector", "byte 4 of allocation", "load_vector");
}

__global__ void past_shared_memory(int count) {
  simt::shared_memory<int>()[static_cast<int>(threadIdx.x) + count] = 1;  // [shared]
}

TEST_F(Memcheck, PastTheEndOfSharedMemory) {
  simt::launch(past_shared_memory, 1, 8, 37, nullptr, 2);
  expect_report("out of bounds", "write of 4 bytes", "shared", "of shared memory (37 bytes)",
                "past_shared_memory");
}

__global__ void sum_at_stride(float* out, const float* in, int stride) {
  float local[8];
  for (int i = 0; i < 8; ++i) {
    local[i] = in[i * stride];
  }
  float sum = 0;
  for (const float value : local) {
    sum += value;
  }
  *out = sum;
}

TEST_F(Memcheck, ReadsAreCheckedToo) {
  const DeviceArray<float> in(std::vector<float>(8, 1.0F));
  const DeviceArray<float> out(1);
  simt::launch(sum_at_stride, 1, 1, 0, nullptr, out.data(), in.data(), 1);
  EXPECT_EQ(out.values()[0], 8.0F);
  simt::launch(sum_at_stride, 1, 1, 0, nullptr, out.data(), in.data(), 2);
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("out of bounds: read of 4 bytes at memcheck_test.cpp:"),
                                       HasSubstr("byte 32 of allocation")));
}

__global__ void halves(__nv_bfloat16* out, const float* in) {
  out[threadIdx.x] = __float2bfloat16(in[threadIdx.x]);
}

TEST_F(Memcheck, TwoByteElementsHaveTheirOwnEnd) {
  const DeviceArray<float> in(std::vector<float>(8, 1.0F));
  const DeviceArray<__nv_bfloat16> out(7);
  simt::launch(halves, 1, 7, 0, nullptr, out.data(), in.data());
  EXPECT_EQ(error_of_device(), "");
  simt::launch(halves, 1, 8, 0, nullptr, out.data(), in.data());
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("out of bounds: write of 2 bytes"), HasSubstr("byte 14 of allocation")));
}

}  // namespace
