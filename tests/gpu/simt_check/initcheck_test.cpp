// The mistakes that compute-sanitizer's initcheck is made for, each named by kernel and line. This file is
// compiled in the checking mode.
#include <cublas_v2.h>

#include "gpu/simt/observer.h"
#include "tests/gpu/simt_check/expect.h"

namespace {

using namespace simt_test;

struct Initcheck : Simt {};

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

__global__ void add_one(int* data) {
  atomicAdd(data, 1);  // [add]
}

TEST_F(Initcheck, AnAtomicOperationReads) {
  const DeviceArray<int> sum(1);
  simt::launch(add_one, 1, 1, 0, nullptr, sum.data());
  EXPECT_THAT(error_of_device(), HasSubstr("uninitialized: atomic operation of 4 bytes"));
}

struct Triple {
  int values[3];
};

__global__ void copy_object(Triple* out, const Triple* in) {
  *out = *in;  // [object]
}

TEST_F(Initcheck, AWholeObjectIsReadAndWritten) {
  const DeviceArray<Triple> a({Triple{{1, 2, 3}}}), b(1), c(1);
  simt::launch(copy_object, 1, 1, 0, nullptr, b.data(), a.data());
  simt::launch(copy_object, 1, 1, 0, nullptr, a.data(), b.data());
  EXPECT_EQ(error_of_device(), "");
  cudaMemset(c.data(), 0, 8);
  simt::launch(copy_object, 1, 1, 0, nullptr, a.data(), c.data());
  expect_report("uninitialized", "read of 12 bytes", "object", "which was never written", "copy_object");
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

TEST_F(Initcheck, EveryMatrixOfAProductIsLookedAt) {
  cublasHandle_t handle = nullptr;
  cublasCreate(&handle);
  for (const std::string missing : {"", "A", "B", "C"}) {
    for (const float beta : {0.0F, 1.0F}) {
      clean();
      const float one = 1;
      const DeviceArray<float> a(4), b(2), c(2);
      if (missing != "A") cudaMemset(a.data(), 0, 16);
      if (missing != "B") cudaMemset(b.data(), 0, 8);
      if (missing != "C") cudaMemset(c.data(), 0, 8);
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 2, &one, a.data(), 2, b.data(), 2, &beta, c.data(),
                  2);
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 2, &one, a.data(), 2, c.data(), 2, &beta, b.data(),
                  2);  // C was written by the first
      const std::string error = error_of_device();
      if (missing.empty() || (missing == "C" && beta == 0)) {
        EXPECT_EQ(error, "") << missing;
      } else {
        EXPECT_THAT(error,
                    HasSubstr("uninitialized: a cuBLAS product (matrix " + missing + ") reads byte 0"));
      }
    }
  }
  cublasDestroy(handle);
}

}  // namespace
