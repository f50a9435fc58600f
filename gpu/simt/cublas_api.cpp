// The interface: cuBLAS. Arguments are checked at the call; memory is checked again when the product runs.
#include <algorithm>
#include <functional>
#include <string>

#include "cublas_v2.h"
#include "gpu/simt/gemm.h"
#include "gpu/simt/observer.h"
#include "gpu/simt/runtime.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

namespace {

using simt::Device;
using simt::Matrix;
using simt::Product;

/// An argument that cuBLAS refuses.
struct Refusal {
  cublasStatus_t status;
  std::string text;
};

std::string last_refusal;
cublasStatus_t last_status = CUBLAS_STATUS_SUCCESS;

[[noreturn]] void refuse(const std::string& text, cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE) {
  throw Refusal{status, text};
}

/// The body of an interface function.
cublasStatus_t call(cublasHandle_t handle, const std::function<void(Device&)>& function) {
  if (handle == nullptr) {
    return CUBLAS_STATUS_NOT_INITIALIZED;
  }
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  const cudaError_t error = simt::call([&](Device& d) {
    try {
      function(d);
    } catch (const Refusal& refusal) {
      last_refusal = refusal.text;
      last_status = status = refusal.status;
    } catch (const simt::Failure& failure) {
      last_refusal = failure.message;
      last_status = status = CUBLAS_STATUS_INVALID_VALUE;
    }
  });
  return error == cudaSuccess ? status : CUBLAS_STATUS_EXECUTION_FAILED;
}

void require(bool holds, const std::string& name, std::int64_t value, const std::string& rule) {
  if (!holds) {
    refuse(name + " is " + std::to_string(value) + "; " + rule);
  }
}

void require_types(cudaDataType a, cudaDataType b, cudaDataType c, cublasComputeType_t compute) {
  const bool computes = compute == CUBLAS_COMPUTE_32F || compute == CUBLAS_COMPUTE_32F_PEDANTIC ||
                        (compute == CUBLAS_COMPUTE_32F_FAST_TF32 && a == CUDA_R_32F);
  const bool floats = a == CUDA_R_32F && b == CUDA_R_32F && c == CUDA_R_32F;
  const bool halves = a == CUDA_R_16BF && b == CUDA_R_16BF && (c == CUDA_R_16BF || c == CUDA_R_32F);
  if (!computes || !(floats || halves)) {
    refuse("types " + std::to_string(a) + ", " + std::to_string(b) + ", " + std::to_string(c) +
               " with compute type " + std::to_string(compute) + " are not supported",
           CUBLAS_STATUS_NOT_SUPPORTED);
  }
}

/// The arguments of a product, except the addresses of a batch's matrices.
Product checked(const cublasContext& handle, cublasOperation_t transa, cublasOperation_t transb, int m, int n,
                int k, const void* alpha, cudaDataType a, int lda, cudaDataType b, int ldb, const void* beta,
                cudaDataType c, int ldc, cublasComputeType_t compute) {
  for (const cublasOperation_t operation : {transa, transb}) {
    require(operation >= CUBLAS_OP_N && operation <= CUBLAS_OP_C, "an operation", operation,
            "it must be CUBLAS_OP_N, _T or _C");
  }
  require(m >= 0, "m", m, "it must not be negative");
  require(n >= 0, "n", n, "it must not be negative");
  require(k >= 0, "k", k, "it must not be negative");
  const bool ta = transa != CUBLAS_OP_N;
  const bool tb = transb != CUBLAS_OP_N;
  const std::string at_least = "it must be at least ";
  require(lda >= std::max(1, ta ? k : m), "lda", lda, at_least + std::to_string(std::max(1, ta ? k : m)));
  require(ldb >= std::max(1, tb ? n : k), "ldb", ldb, at_least + std::to_string(std::max(1, tb ? n : k)));
  require(ldc >= std::max(1, m), "ldc", ldc, at_least + std::to_string(std::max(1, m)));
  if (alpha == nullptr || beta == nullptr) {
    refuse("alpha or beta is null");
  }
  require_types(a, b, c, compute);
  const int math = handle.math & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
  const bool tf32 = compute == CUBLAS_COMPUTE_32F_FAST_TF32 ||
                    (compute == CUBLAS_COMPUTE_32F && math == CUBLAS_TF32_TENSOR_OP_MATH);
  const bool pedantic = compute == CUBLAS_COMPUTE_32F_PEDANTIC || math == CUBLAS_PEDANTIC_MATH;
  const bool reduced = !pedantic && math == handle.math;
  return {m,
          n,
          k,
          ta,
          tb,
          {nullptr, a, ta ? k : m, ta ? m : k, lda},
          {nullptr, b, tb ? n : k, tb ? k : n, ldb},
          {nullptr, c, m, n, ldc},
          *static_cast<const float*>(alpha),
          *static_cast<const float*>(beta),
          tf32,
          reduced};
}

void require_on_device(const Device& d, const Matrix& matrix, const std::string& name,
                       const std::string& kind) {
  if (matrix.bytes() > 0) {
    d.require_device_range(matrix.data, static_cast<std::size_t>(matrix.bytes()), "cuBLAS: matrix " + name,
                           kind);
  }
}

void require_on_device(const Device& d, const Product& p, const std::string& kind = "") {
  if (p.alpha != 0 && p.c.bytes() > 0) {
    require_on_device(d, p.a, "A", kind);
    require_on_device(d, p.b, "B", kind);
  }
  require_on_device(d, p.c, "C", kind);
}

std::size_t bytes_of(const Matrix& matrix, std::int64_t elements) {
  return static_cast<std::size_t>(elements) * (matrix.type == CUDA_R_32F ? 4 : 2);
}

const void* shifted(const Matrix& matrix, std::int64_t elements) {
  return static_cast<const char*>(matrix.data) + elements * (matrix.type == CUDA_R_32F ? 4 : 2);
}

/// The elements of the matrix, column by column: the gaps between columns do not belong to it.
void require_written(const Matrix& matrix, const std::string& name) {
  for (std::int64_t j = 0; j < matrix.columns; ++j) {
    simt::observer->require_written(shifted(matrix, j * matrix.ld), bytes_of(matrix, matrix.rows),
                                    "a cuBLAS product (matrix " + name + ")");
  }
}

void run_on_device(const Device& d, const Product& p) {
  require_on_device(d, p, "out of bounds");
  if (simt::observer != nullptr && p.c.bytes() > 0) {
    if (p.alpha != 0) {
      require_written(p.a, "A");
      require_written(p.b, "B");
    }
    if (p.beta != 0) {
      require_written(p.c, "C");
    }
    for (std::int64_t j = 0; j < p.c.columns; ++j) {
      simt::observer->written(shifted(p.c, j * p.c.ld), bytes_of(p.c, p.c.rows));
    }
  }
  simt::run(p);
}

}  // namespace

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return handle == nullptr ? CUBLAS_STATUS_NOT_INITIALIZED : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasGetVersion(cublasHandle_t handle, int* version) {
  return call(handle, [&](Device&) { *version = 130000; });
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  return call(handle, [&](Device& d) {
    d.stream(stream, "cublasSetStream");
    handle->stream = stream;
  });
}

cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream) {
  return call(handle, [&](Device&) { *stream = handle->stream; });
}

cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t mode) {
  return call(handle, [&](Device&) {
    const int base = mode & ~CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION;
    require(base == CUBLAS_DEFAULT_MATH || base == CUBLAS_PEDANTIC_MATH || base == CUBLAS_TF32_TENSOR_OP_MATH,
            "the math mode", mode,
            "it must be CUBLAS_DEFAULT_MATH, _PEDANTIC_MATH or _TF32_TENSOR_OP_MATH, optionally with "
            "CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION");
    handle->math = mode;
  });
}

cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
  return call(handle, [&](Device&) {
    if (mode != CUBLAS_POINTER_MODE_HOST) {
      refuse("alpha and beta in device memory are not supported", CUBLAS_STATUS_NOT_SUPPORTED);
    }
  });
}

/// The workspace is checked, but not used.
cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  return call(handle, [&](Device& d) {
    if (bytes > 0) {
      d.require_device_range(workspace, bytes, "cublasSetWorkspace: the workspace");
    }
  });
}

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "CUBLAS_STATUS_UNKNOWN";
}

const char* cublasGetStatusString(cublasStatus_t status) {
  static thread_local std::string answer;
  answer = cublasGetStatusName(status);
  const std::lock_guard lock(simt::device().mutex);
  if (status == CUBLAS_STATUS_EXECUTION_FAILED && simt::device().sticky != cudaSuccess) {
    answer += ": " + simt::device().description;
  } else if (status != CUBLAS_STATUS_SUCCESS && status == last_status) {
    answer += ": " + last_refusal;
  }
  return answer.c_str();
}

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m,
                           int n, int k, const float* alpha, const float* A, int lda, const float* B, int ldb,
                           const float* beta, float* C, int ldc) {
  return cublasGemmEx(handle, transa, transb, m, n, k, alpha, A, CUDA_R_32F, lda, B, CUDA_R_32F, ldb, beta, C,
                      CUDA_R_32F, ldc, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb, int m,
                            int n, int k, const void* alpha, const void* A, cudaDataType Atype, int lda,
                            const void* B, cudaDataType Btype, int ldb, const void* beta, void* C,
                            cudaDataType Ctype, int ldc, cublasComputeType_t computeType,
                            cublasGemmAlgo_t algo) {
  return cublasGemmStridedBatchedEx(handle, transa, transb, m, n, k, alpha, A, Atype, lda, 0, B, Btype, ldb,
                                    0, beta, C, Ctype, ldc, 0, 1, computeType, algo);
}

cublasStatus_t cublasGemmStridedBatchedEx(cublasHandle_t handle, cublasOperation_t transa,
                                          cublasOperation_t transb, int m, int n, int k, const void* alpha,
                                          const void* A, cudaDataType Atype, int lda, long long strideA,
                                          const void* B, cudaDataType Btype, int ldb, long long strideB,
                                          const void* beta, void* C, cudaDataType Ctype, int ldc,
                                          long long strideC, int batchCount, cublasComputeType_t computeType,
                                          cublasGemmAlgo_t) {
  return call(handle, [&](Device& d) {
    Product first = checked(*handle, transa, transb, m, n, k, alpha, Atype, lda, Btype, ldb, beta, Ctype, ldc,
                            computeType);
    require(batchCount >= 0, "batchCount", batchCount, "it must not be negative");
    first.a.data = A;
    first.b.data = B;
    first.c.data = C;
    const std::int64_t width = m == 0 || n == 0 ? 0 : (n - 1) * static_cast<std::int64_t>(ldc) + m;
    require(batchCount <= 1 || strideC >= width, "strideC", strideC,
            "results would overlap below " + std::to_string(width));
    for (int i = 0; i < batchCount; ++i) {
      Product product = first;
      product.a.data = shifted(first.a, i * strideA);
      product.b.data = shifted(first.b, i * strideB);
      product.c.data = shifted(first.c, i * strideC);
      require_on_device(d, product);
      d.streams.enqueue(d.stream(handle->stream, "cuBLAS"), [&d, product] { run_on_device(d, product); });
    }
  });
}

cublasStatus_t cublasGemmBatchedEx(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                                   int m, int n, int k, const void* alpha, const void* const Aarray[],
                                   cudaDataType Atype, int lda, const void* const Barray[],
                                   cudaDataType Btype, int ldb, const void* beta, void* const Carray[],
                                   cudaDataType Ctype, int ldc, int batchCount,
                                   cublasComputeType_t computeType, cublasGemmAlgo_t) {
  return call(handle, [&](Device& d) {
    const Product shape = checked(*handle, transa, transb, m, n, k, alpha, Atype, lda, Btype, ldb, beta,
                                  Ctype, ldc, computeType);
    require(batchCount >= 0, "batchCount", batchCount, "it must not be negative");
    const std::size_t bytes = static_cast<std::size_t>(batchCount) * sizeof(void*);
    for (const void* pointers : {static_cast<const void*>(Aarray), static_cast<const void*>(Barray),
                                 static_cast<const void*>(Carray)}) {
      if (bytes > 0) {
        d.require_device_range(pointers, bytes, "cuBLAS: an array of pointers");
      }
    }
    d.streams.enqueue(d.stream(handle->stream, "cuBLAS"), [=, &d] {
      for (int i = 0; i < batchCount; ++i) {
        Product product = shape;
        product.a.data = Aarray[i];
        product.b.data = Barray[i];
        product.c.data = Carray[i];
        run_on_device(d, product);
      }
    });
  });
}
