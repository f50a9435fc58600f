// Emulated cuBLAS compared with explicit sums, and its checks.
#include <cublas_v2.h>
#include <cuda_bf16.h>

#include <cmath>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Cublas : Simt {
  Cublas() { cublasCreate(&handle); }
  ~Cublas() override { cublasDestroy(handle); }
  cublasHandle_t handle = nullptr;
};

/// Small integers: every sum is exact in float and in bfloat16 inputs.
std::vector<float> integers(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i] = static_cast<float>(static_cast<int>((i * 7 + seed * 3 + i / 5) % 9) - 4);
  }
  return values;
}

std::vector<__nv_bfloat16> to_bf16(const std::vector<float>& values) {
  return std::vector<__nv_bfloat16>(values.begin(), values.end());
}

/// The element (i, j) of op(X), X column-major.
float at(const std::vector<float>& x, int ld, bool transpose, int i, int j) {
  return x[static_cast<std::size_t>(transpose ? j + i * ld : i + j * ld)];
}

TEST_F(Cublas, EveryTransposeAndLeadingDimension) {
  const int m = 3, n = 4, k = 5, lda = 7, ldb = 6, ldc = 5;
  for (const bool ta : {false, true}) {
    for (const bool tb : {false, true}) {
      const std::vector<float> a = integers(static_cast<std::size_t>(lda * (ta ? m : k)), 1);
      const std::vector<float> b = integers(static_cast<std::size_t>(ldb * (tb ? k : n)), 2);
      const std::vector<float> c = integers(static_cast<std::size_t>(ldc * n), 3);
      const float alpha = 2, beta = -1;
      const DeviceArray<float> da(a), db(b), dc(c);
      EXPECT_EQ(cublasSgemm(handle, ta ? CUBLAS_OP_T : CUBLAS_OP_N, tb ? CUBLAS_OP_C : CUBLAS_OP_N, m, n, k,
                            &alpha, da.data(), lda, db.data(), ldb, &beta, dc.data(), ldc),
                CUBLAS_STATUS_SUCCESS);
      std::vector<float> expected = c;
      for (int j = 0; j < n; ++j) {
        for (int i = 0; i < m; ++i) {
          float sum = 0;
          for (int l = 0; l < k; ++l) {
            sum += at(a, lda, ta, i, l) * at(b, ldb, tb, l, j);
          }
          expected[static_cast<std::size_t>(i + j * ldc)] = 2 * sum - at(c, ldc, false, i, j);
        }
      }
      EXPECT_EQ(dc.values(), expected) << ta << tb;  // the gaps between the columns are not touched
    }
  }
}

const auto no_reduced_sums =
    static_cast<cublasMath_t>(CUBLAS_DEFAULT_MATH | CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION);

TEST_F(Cublas, Bfloat16InputsAreSummedInFloatAndRoundedOnce) {
  ASSERT_EQ(cublasSetMathMode(handle, no_reduced_sums), CUBLAS_STATUS_SUCCESS);
  const std::vector<float> a = {1, 1.0F / 256, 1.0F / 512};  // 1 x 3; a sum that bfloat16 steps would lose
  const std::vector<float> b = {1, 1, 1};
  const DeviceArray<__nv_bfloat16> da(to_bf16(a)), db(to_bf16(b)), rounded(1);
  const DeviceArray<float> wide(1);
  const float one = 1, zero = 0;
  EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 3, &one, da.data(), CUDA_R_16BF, 1,
                         db.data(), CUDA_R_16BF, 3, &zero, wide.data(), CUDA_R_32F, 1, CUBLAS_COMPUTE_32F,
                         CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 3, &one, da.data(), CUDA_R_16BF, 1,
                         db.data(), CUDA_R_16BF, 3, &zero, rounded.data(), CUDA_R_16BF, 1, CUBLAS_COMPUTE_32F,
                         CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(wide.values()[0], 1 + 3.0F / 512);  // C is NaN before: it is not read where beta is 0
  EXPECT_EQ(static_cast<float>(rounded.values()[0]), 1 + 1.0F / 128);
}

// 1 + 2^-8 lies in the middle between two numbers of bfloat16, and rounds to 1.
TEST_F(Cublas, WithABetaAProductRoundsBeforeCIsAdded) {
  ASSERT_EQ(cublasSetMathMode(handle, no_reduced_sums), CUBLAS_STATUS_SUCCESS);
  const std::vector<float> a = {1, 1.0F / 256};
  const DeviceArray<__nv_bfloat16> da(to_bf16(a)), db(to_bf16({1, 1})), half(to_bf16({1.0F / 256}));
  const DeviceArray<float> wide({1.0F / 256});
  const float one = 1;
  for (const auto& [data, type] :
       {std::pair<void*, cudaDataType>{half.data(), CUDA_R_16BF}, {wide.data(), CUDA_R_32F}}) {
    EXPECT_EQ(
        cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 2, &one, da.data(), CUDA_R_16BF, 1, db.data(),
                     CUDA_R_16BF, 2, &one, data, type, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
        CUBLAS_STATUS_SUCCESS);
  }
  EXPECT_EQ(static_cast<float>(half.values()[0]), 1);
  EXPECT_EQ(wide.values()[0], 1 + 2.0F / 256);
}

TEST_F(Cublas, BatchesByStrideAndByPointers) {
  const int m = 2, n = 3, k = 4, batch = 3;
  const std::vector<float> a = integers(m * k * batch, 4), b = integers(k * n, 5);
  const DeviceArray<float> da(a), db(b), strided(m * n * batch), pointed(m * n * batch);
  const float one = 1, zero = 0;
  EXPECT_EQ(cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, da.data(), CUDA_R_32F,
                                       m, m * k, db.data(), CUDA_R_32F, k, 0, &zero, strided.data(),
                                       CUDA_R_32F, m, m * n, batch, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_SUCCESS);
  std::vector<float> expected;
  for (int z = 0; z < batch; ++z) {
    for (int j = 0; j < n; ++j) {
      for (int i = 0; i < m; ++i) {
        float sum = 0;
        for (int l = 0; l < k; ++l) {
          sum += a[static_cast<std::size_t>(z * m * k + i + l * m)] * b[static_cast<std::size_t>(l + j * k)];
        }
        expected.push_back(sum);
      }
    }
  }
  EXPECT_EQ(strided.values(), expected);

  std::vector<const void*> as, bs;
  std::vector<void*> cs;
  for (int z = 0; z < batch; ++z) {
    as.push_back(da.data() + z * m * k);
    bs.push_back(db.data());
    cs.push_back(pointed.data() + z * m * n);
  }
  const DeviceArray<const void*> das(as), dbs(bs);
  const DeviceArray<void*> dcs(cs);
  EXPECT_EQ(cublasGemmBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, n, k, &one, das.data(), CUDA_R_32F, m,
                                dbs.data(), CUDA_R_32F, k, &zero, dcs.data(), CUDA_R_32F, m, batch,
                                CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(pointed.values(), expected);
}

TEST_F(Cublas, RunsInItsStream) {
  cudaStream_t stream = nullptr;
  cudaStreamCreate(&stream);
  EXPECT_EQ(cublasSetStream(handle, stream), CUBLAS_STATUS_SUCCESS);
  const float one = 1, zero = 0;
  const DeviceArray<float> a({3}), b({4}), c({-1});
  float* result = nullptr;
  cudaMallocHost(&result, sizeof(float));
  cudaDeviceSynchronize();
  cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, b.data(), 1, &zero, c.data(), 1);
  cudaMemcpyAsync(result, c.data(), sizeof(float), cudaMemcpyDeviceToHost, stream);
  *result = -2;
  cudaStreamSynchronize(stream);
  EXPECT_EQ(*result, 12);
  cudaFreeHost(result);
  cudaStreamDestroy(stream);
}

TEST_F(Cublas, Tf32LosesDigits) {
  const float one = 1, zero = 0, fine = 1 + 1.0F / 4096;
  const DeviceArray<float> a({fine}), b({1}), c(1);
  const auto product = [&](cublasMath_t mode) {
    cublasSetMathMode(handle, mode);
    cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, b.data(), 1, &zero, c.data(),
                1);
    return c.values()[0];
  };
  EXPECT_EQ(product(CUBLAS_DEFAULT_MATH), fine);
  EXPECT_EQ(product(CUBLAS_TF32_TENSOR_OP_MATH), 1.0F);
  EXPECT_EQ(product(CUBLAS_PEDANTIC_MATH), fine);
  EXPECT_EQ(product(no_reduced_sums), fine);
  EXPECT_EQ(product(static_cast<cublasMath_t>(CUBLAS_TF32_TENSOR_OP_MATH |
                                              CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION)),
            1.0F);
}

TEST_F(Cublas, PartsOfASumAreRoundedToBfloat16WhereThatIsAllowed) {
  const float one = 1, zero = 0;
  const DeviceArray<__nv_bfloat16> a(to_bf16({1, 1.0F / 256, -1, 0})), b(to_bf16({1, 1, 1, 1})), c(1);
  const DeviceArray<float> wide(1);
  const auto multiply = [&](void* out, cudaDataType type, cublasComputeType_t compute) {
    EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 4, &one, a.data(), CUDA_R_16BF, 1,
                           b.data(), CUDA_R_16BF, 4, &zero, out, type, 1, compute, CUBLAS_GEMM_DEFAULT),
              CUBLAS_STATUS_SUCCESS);
  };
  const auto rounded = [&](cublasMath_t mode, cublasComputeType_t compute = CUBLAS_COMPUTE_32F) {
    EXPECT_EQ(cublasSetMathMode(handle, mode), CUBLAS_STATUS_SUCCESS);
    multiply(c.data(), CUDA_R_16BF, compute);
    return static_cast<float>(c.values()[0]);
  };
  EXPECT_EQ(rounded(CUBLAS_DEFAULT_MATH), 0.0F);  // 1 + 1/256 became 1
  EXPECT_EQ(rounded(CUBLAS_DEFAULT_MATH, CUBLAS_COMPUTE_32F_PEDANTIC), 1.0F / 256);
  EXPECT_EQ(rounded(CUBLAS_PEDANTIC_MATH), 1.0F / 256);
  EXPECT_EQ(rounded(no_reduced_sums), 1.0F / 256);
  EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_DEFAULT_MATH), CUBLAS_STATUS_SUCCESS);
  multiply(wide.data(), CUDA_R_32F, CUBLAS_COMPUTE_32F);  // the output is no smaller than the sums
  EXPECT_EQ(wide.values()[0], 1.0F / 256);
}

TEST_F(Cublas, AnUnknownMathModeIsRefused) {
  for (const int mode : {1, 4, 17}) {
    const cublasStatus_t status = cublasSetMathMode(handle, static_cast<cublasMath_t>(mode));
    EXPECT_EQ(status, CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_THAT(cublasGetStatusString(status), HasSubstr("the math mode is " + std::to_string(mode)));
  }
}

TEST_F(Cublas, EmptyProducts) {
  const float one = 1, two = 2, zero = 0;
  const DeviceArray<float> c({5, 6});
  EXPECT_EQ(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 1, 0, &one, nullptr, 2, nullptr, 1, &two, c.data(), 2),
      CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(c.values(), (std::vector<float>{10, 12}));
  EXPECT_EQ(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 0, 1, 3, &one, nullptr, 1, nullptr, 3, &zero, nullptr, 1),
      CUBLAS_STATUS_SUCCESS);
}

TEST_F(Cublas, WrongArgumentsAreRefused) {
  const float one = 1, zero = 0;
  const DeviceArray<float> a(12), b(12), c(12);
  std::vector<float> host(12);
  const auto sgemm = [&](cublasOperation_t ta, int m, int n, int k, const float* pa, int lda, int ldb,
                         int ldc) {
    return cublasSgemm(handle, ta, CUBLAS_OP_N, m, n, k, &one, pa, lda, b.data(), ldb, &zero, c.data(), ldc);
  };
  const auto refused = [](cublasStatus_t status, const std::string& text) {
    EXPECT_EQ(status, CUBLAS_STATUS_INVALID_VALUE);
    EXPECT_THAT(cublasGetStatusString(status), HasSubstr(text));
  };
  EXPECT_EQ(sgemm(CUBLAS_OP_N, 3, 4, 2, a.data(), 3, 2, 3), CUBLAS_STATUS_SUCCESS);
  refused(sgemm(CUBLAS_OP_N, 3, 4, 2, a.data(), 2, 2, 3), "lda is 2; it must be at least 3");
  refused(sgemm(CUBLAS_OP_T, 3, 4, 2, a.data(), 1, 2, 3), "lda is 1; it must be at least 2");
  refused(sgemm(CUBLAS_OP_N, 3, 4, 2, a.data(), 3, 1, 3), "ldb is 1; it must be at least 2");
  refused(sgemm(CUBLAS_OP_N, 3, 4, 2, a.data(), 3, 2, 2), "ldc is 2; it must be at least 3");
  refused(sgemm(CUBLAS_OP_N, 3, -4, 2, a.data(), 3, 2, 3), "n is -4");
  refused(sgemm(CUBLAS_OP_N, 3, 4, 2, nullptr, 3, 2, 3), "matrix A: 24 bytes from the null pointer");
  refused(sgemm(CUBLAS_OP_N, 3, 4, 2, host.data(), 3, 2, 3), "matrix A: 24 bytes from host memory");
  refused(sgemm(CUBLAS_OP_N, 3, 4, 2, a.data() + 7, 3, 2, 3),
          "matrix A: 24 bytes from byte 28 of allocation");
  refused(sgemm(CUBLAS_OP_N, 3, 4, 2, a.data(), 3, 2, 4), "matrix C: 60 bytes from byte 0");
  EXPECT_EQ(cublasSgemm(nullptr, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, b.data(), 1, &zero,
                        c.data(), 1),
            CUBLAS_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(
      cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), CUDA_R_32F, 1, b.data(),
                   CUDA_R_16BF, 1, &zero, c.data(), CUDA_R_32F, 1, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
      CUBLAS_STATUS_NOT_SUPPORTED);
  refused(cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 2, 1, &one, a.data(), CUDA_R_32F, 1,
                                     1, b.data(), CUDA_R_32F, 1, 1, &zero, c.data(), CUDA_R_32F, 1, 1, 2,
                                     CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
          "strideC is 1; results would overlap below 2");
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Cublas, MemoryFreedBeforeTheProductRunsIsAFinding) {
  const float one = 1, zero = 0;
  const DeviceArray<float> a(1), c(1);
  cudaStream_t stream = nullptr;
  cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
  float* b = nullptr;
  cudaMallocAsync(&b, sizeof(float), stream);
  cudaFreeAsync(b, stream);
  cublasSetStream(handle, stream);
  EXPECT_EQ(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, b, 1, &zero, c.data(), 1),
      CUBLAS_STATUS_SUCCESS);
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("out of bounds: cuBLAS: matrix B"), HasSubstr("which was freed")));
  EXPECT_EQ(
      cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.data(), 1, b, 1, &zero, c.data(), 1),
      CUBLAS_STATUS_EXECUTION_FAILED);
  clean();
  cudaStreamDestroy(stream);
}

}  // namespace
