#include "gpu/runtime/check.h"

#include <string>

#include "reference/error.h"

namespace forgecheck::gpu {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // reported here, and not by the next launch again
  throw CudaError(std::string(call) + ": " + cudaGetErrorString(status));
}

void check(cublasStatus_t status, const char* call) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw CudaError(std::string(call) + ": " + cublasGetStatusString(status));
}

}  // namespace forgecheck::gpu
