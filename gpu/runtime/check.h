// Every call of CUDA and cuBLAS is checked: a failure throws CudaError with the call's text and CUDA's own.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

namespace forgecheck::gpu {

/// Throws CudaError "<call>: <CUDA's text>" unless the status is success.
void check(cudaError_t status, const char* call);
void check(cublasStatus_t status, const char* call);

}  // namespace forgecheck::gpu

// A macro, because it quotes its argument.
#define FORGECHECK_CUDA(call) ::forgecheck::gpu::check((call), #call)
