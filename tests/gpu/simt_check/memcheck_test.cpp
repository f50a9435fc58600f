// The mistakes that compute-sanitizer's memcheck and initcheck are made for, each named by kernel and line.
// This file is compiled in the checking mode.
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include "gpu/simt/observer.h"
#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Memcheck : Simt {};
struct Initcheck : Simt {};

void expect_report(const std::string& kind, const std::string& what, const std::string& mark,
                   const std::string& rest, const std::string& kernel) {
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr(kind + ": " + what + " at " + line_marked(__FILE__, mark) + ", "),
                    HasSubstr(rest), HasSubstr("in kernel (anonymous namespace)::" + kernel)));
  ASSERT_EQ(simt::findings().size(), 1U);
  EXPECT_EQ(simt::findings()[0].kind, kind);
}

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

__global__ void copy(int* out, const int* in) {
  out[threadIdx.x] = in[threadIdx.x];  // [copy]
}

TEST_F(Initcheck, AnElementThatNobodyWrote) {
  const DeviceArray<int> in(8);
  const DeviceArray<int> out(8);
  cudaMemset(in.data(), 0, 7 * sizeof(int));
  simt::launch(copy, 1, 7, 0, nullptr, out.data(), in.data());
  EXPECT_EQ(error_of_device(), "");
  simt::launch(copy, 1, 8, 0, nullptr, out.data(), in.data());
  expect_report("uninitialized", "read of 4 bytes", "copy", "which was never written, by thread (7,0,0)",
                "copy");
}

TEST_F(Initcheck, WhatAKernelWroteIsWritten) {
  const DeviceArray<int> a({1, 2, 3});
  const DeviceArray<int> b(3), c(3), d(3);
  simt::launch(copy, 1, 3, 0, nullptr, b.data(), a.data());
  simt::launch(copy, 1, 3, 0, nullptr, c.data(), b.data());
  cudaMemcpy(d.data(), c.data(), 12, cudaMemcpyDeviceToDevice);
  simt::launch(copy, 1, 3, 0, nullptr, a.data(), d.data());
  EXPECT_EQ(a.values(), (std::vector<int>{1, 2, 3}));
}

TEST_F(Initcheck, ACopyInsideTheDeviceWritesNothingNew) {
  const DeviceArray<int> a(3), b(3);
  cudaMemcpy(b.data(), a.data(), 12, cudaMemcpyDeviceToDevice);
  simt::launch(copy, 1, 3, 0, nullptr, a.data(), b.data());
  EXPECT_THAT(error_of_device(), HasSubstr("uninitialized"));
}

TEST_F(Initcheck, AnAddressThatIsUsedAgainIsNotWritten) {
  for (const int count : {100, 50000}) {  // less than a page, and many pages
    for (const int first : {0, count / 2, count - 1}) {
      clean();
      const DeviceArray<int> a(static_cast<std::size_t>(count)), out(1);
      const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(int);
      cudaMemset(a.data(), 0, bytes);
      simt::launch(copy, 1, 1, 0, nullptr, out.data(), a.data() + first);
      EXPECT_EQ(error_of_device(), "");
      simt::observer->allocated(a.data(), bytes);  // as when the address space is used up
      simt::launch(copy, 1, 1, 0, nullptr, out.data(), a.data() + first);
      EXPECT_THAT(error_of_device(), HasSubstr("uninitialized")) << count << " " << first;
    }
  }
}

TEST_F(Initcheck, ACopyToTheHost) {
  const DeviceArray<int> a(3);
  int host[3];
  cudaMemset(a.data(), 0, 8);
  EXPECT_EQ(cudaMemcpy(host, a.data(), 8, cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(host, a.data(), 12, cudaMemcpyDeviceToHost), cudaErrorLaunchFailure);
  EXPECT_THAT(cudaGetErrorString(cudaErrorLaunchFailure),
              HasSubstr("uninitialized: a copy to the host reads byte 8 of allocation"));
}

__global__ void sum_shared(int* out, int written) {
  int* words = simt::shared_memory<int>();
  const auto read = [&](int i) { return words[i]; };  // [shared_read]
  for (int i = 0; i < written; ++i) {
    words[i] = i;
  }
  out[blockIdx.x] = read(0) + read(1);
}

TEST_F(Initcheck, SharedMemoryOfTheBlockBeforeIsNotWritten) {
  const DeviceArray<int> out(2);
  simt::launch(sum_shared, 2, 1, 8, nullptr, out.data(), 2);
  EXPECT_EQ(error_of_device(), "");
  simt::launch(sum_shared, 2, 1, 8, nullptr, out.data(), 1);
  expect_report("uninitialized", "read of 4 bytes", "shared_read", "byte 4 of shared memory (8 bytes)",
                "sum_shared");
}

TEST_F(Initcheck, AMatrixOfAProduct) {
  cublasHandle_t handle = nullptr;
  cublasCreate(&handle);
  const float one = 1, zero = 0;
  const DeviceArray<float> a({1, 2, 3, 4}), b({1, 2}), c(2);
  const auto product = [&](const float* right, const float* beta) {
    cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 2, &one, a.data(), 2, right, 2, beta, c.data(), 2);
    return error_of_device();
  };
  EXPECT_THAT(product(b.data(), &one), HasSubstr("uninitialized: a cuBLAS product (matrix C) reads byte 0"));
  cudaDeviceReset();
  const DeviceArray<float> a2({1, 2, 3, 4}), b2({1, 2}), c2(2);
  cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 2, &one, a2.data(), 2, b2.data(), 2, &zero, c2.data(),
              2);
  cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 2, &one, a2.data(), 2, c2.data(), 2, &one, c2.data(),
              2);
  EXPECT_EQ(error_of_device(), "");
  cublasDestroy(handle);
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
