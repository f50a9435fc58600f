// What a product reads, and how it rounds.
#include <cublas_v2.h>

#include <cmath>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Gemm : Simt {
  Gemm() { cublasCreate(&handle); }
  ~Gemm() override { cublasDestroy(handle); }
  cublasHandle_t handle = nullptr;
  const float zero = 0, one = 1, two = 2;
};

TEST_F(Gemm, AnAlphaOfZeroReadsNeitherMatrix) {
  const DeviceArray<float> nan(1), c({5});
  const auto product = [&](const float* a, const float* b) {
    EXPECT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &zero, a, 1, b, 1, &two, c.data(), 1),
              CUBLAS_STATUS_SUCCESS);
    return c.values()[0];
  };
  EXPECT_EQ(product(nan.data(), nan.data()), 10);
  EXPECT_EQ(product(nullptr, nullptr), 20);
}

TEST_F(Gemm, TheLeadingDimensionOfATransposedMatrixIsThatOfItsRows) {
  const DeviceArray<float> a(std::vector<float>(8, 1)), b(std::vector<float>(8, 1)), c(8);
  const auto status = [&](int n, int k, int ldb) {
    return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_T, 1, n, k, &one, a.data(), 1, b.data(), ldb, &zero,
                       c.data(), 1);
  };
  EXPECT_EQ(status(2, 4, 2), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(status(4, 2, 4), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(status(4, 2, 3), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_THAT(cublasGetStatusString(CUBLAS_STATUS_INVALID_VALUE),
              HasSubstr("ldb is 3; it must be at least 4"));
}

TEST_F(Gemm, ABatchByPointersRunsInItsStream) {
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  EXPECT_EQ(cublasSetStream(handle, stream), CUBLAS_STATUS_SUCCESS);
  float* result = nullptr;
  cudaMallocHost(&result, sizeof(float));
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<float> a({3}), b({4}), c({-1});
    const DeviceArray<const void*> as({a.data()}), bs({b.data()});
    const DeviceArray<void*> cs({c.data()});
    cudaDeviceSynchronize();
    EXPECT_EQ(cublasGemmBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, as.data(), CUDA_R_32F, 1,
                                  bs.data(), CUDA_R_32F, 1, &zero, cs.data(), CUDA_R_32F, 1, 1,
                                  CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
    cudaMemcpyAsync(result, c.data(), sizeof(float), cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    EXPECT_EQ(*result, 12) << "seed " << seed;
  }
  cudaFreeHost(result);
  cudaStreamDestroy(stream);
}

// TF32 keeps ten digits after the point; half of the last goes to even.
TEST_F(Gemm, Tf32RoundsToNearestEven) {
  const float unit = 1.0F / 1024;
  cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH);
  const auto rounded = [&](float value) {
    const DeviceArray<float> a({value}), b({1}), c(1);
    cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, b.data(), 1, &zero, c.data(),
                1);
    return c.values()[0];
  };
  for (const float sign : {1.0F, -1.0F}) {
    EXPECT_EQ(rounded(sign * (1 + 0.25F * unit)), sign);
    EXPECT_EQ(rounded(sign * (1 + 0.5F * unit)), sign);
    EXPECT_EQ(rounded(sign * (1 + 0.75F * unit)), sign * (1 + unit));
    EXPECT_EQ(rounded(sign * (1 + 1.5F * unit)), sign * (1 + 2 * unit));
  }
  EXPECT_EQ(rounded(INFINITY), INFINITY);
}

}  // namespace
