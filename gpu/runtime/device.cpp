#include "gpu/runtime/device.h"

#include <algorithm>
#include <limits>

#include "gpu/runtime/blas.h"
#include "gpu/runtime/check.h"
#include "gpu/runtime/guards.h"
#include "reference/error.h"

namespace forgecheck::gpu {

namespace {

/// Keeps freed memory for later allocations; otherwise the driver takes it back at every synchronisation.
void keep_freed_memory() {
  int device = 0;
  FORGECHECK_CUDA(cudaGetDevice(&device));
  cudaMemPool_t pool = nullptr;
  FORGECHECK_CUDA(cudaDeviceGetDefaultMemPool(&pool, device));
  std::uint64_t threshold = std::numeric_limits<std::uint64_t>::max();
  FORGECHECK_CUDA(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold));
}

constexpr unsigned long long kNone = std::numeric_limits<unsigned long long>::max();

}  // namespace

Device::Device(Checks checks) : checks_(checks) {
  int devices = 0;
  FORGECHECK_CUDA(cudaGetDeviceCount(&devices));
  keep_freed_memory();
  FORGECHECK_CUDA(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
  FORGECHECK_CUDA(cudaStreamCreateWithFlags(&copy_stream_, cudaStreamNonBlocking));
  FORGECHECK_CUDA(cublasCreate(&blas_));
  FORGECHECK_CUDA(cublasSetStream(blas_, stream_));
  FORGECHECK_CUDA(cublasSetMathMode(blas_, kBlasMath));
  if (checks_ == Checks::guards) {
    FORGECHECK_CUDA(cudaMalloc(&first_broken_, sizeof *first_broken_));
    FORGECHECK_CUDA(cudaMemsetAsync(first_broken_, 0xFF, sizeof *first_broken_, stream_));
  }
}

Device::~Device() {
  // Nothing can be done about an error here, and synchronize() has reported those that matter.
  cudaStreamSynchronize(copy_stream_);
  cudaStreamSynchronize(stream_);
  cudaFree(first_broken_);
  cublasDestroy(blas_);
  cudaStreamDestroy(copy_stream_);
  cudaStreamDestroy(stream_);
}

std::shared_ptr<void> Device::allocate(std::size_t bytes, const std::string& label) {
  bytes = std::max<std::size_t>(bytes, 1);
  const bool guarded = checks_ == Checks::guards;
  void* block = nullptr;
  const cudaError_t status = cudaMallocAsync(&block, guarded ? guarded_size(bytes) : bytes, stream_);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // clears the error: the device is still usable
    throw CudaError("out of device memory: " + label + " needs " + std::to_string(bytes) + " bytes");
  }
  check(status, "cudaMallocAsync");
  const std::uint64_t number = ++allocations_;
  auto* const first = static_cast<unsigned char*>(block);
  if (guarded) {
    lay_guards(first, bytes, stream_);
    labels_.emplace(number, label);
  }
  return {guarded ? first + kGuardBytes : first,
          [this, first, bytes, number](void*) { release(first, bytes, number); }};
}

void Device::release(unsigned char* block, std::size_t bytes, std::uint64_t number) noexcept {
  try {
    if (checks_ == Checks::guards) check_guards(*this, block, bytes, number, first_broken_);
  } catch (const CudaError&) {
    // A launch fails only after another error, which synchronize() reports.
  }
  cudaFreeAsync(block, stream_);
}

void Device::synchronize() {
  FORGECHECK_CUDA(cudaStreamSynchronize(copy_stream_));
  FORGECHECK_CUDA(cudaStreamSynchronize(stream_));
  if (checks_ != Checks::guards) return;
  unsigned long long broken = kNone;
  FORGECHECK_CUDA(cudaMemcpyAsync(&broken, first_broken_, sizeof broken, cudaMemcpyDeviceToHost, stream_));
  FORGECHECK_CUDA(cudaMemsetAsync(first_broken_, 0xFF, sizeof broken, stream_));
  FORGECHECK_CUDA(cudaStreamSynchronize(stream_));
  if (broken != kNone) throw CudaError("a kernel wrote outside " + labels_.at(broken));
}

template <class T>
DeviceTensor<T> Device::upload(const Array& array, const std::string& name) {
  if (array.dtype() != device_dtype<T>()) {
    throw ShapeError("[upload] " + name + " is " + std::string(torch_name(array.dtype())) + ", expected " +
                     std::string(torch_name(device_dtype<T>())));
  }
  DeviceTensor<T> tensor = make<T>(array.shape(), name);
  // From pageable memory: the call returns when the bytes have been read.
  FORGECHECK_CUDA(cudaMemcpyAsync(tensor.get(), array.bytes().data(), array.bytes().size(),
                                  cudaMemcpyHostToDevice, stream_));
  return tensor;
}

template <class T>
Array Device::download(const DeviceTensor<T>& tensor) {
  const std::size_t bytes = static_cast<std::size_t>(tensor.size()) * sizeof(T);
  const std::shared_ptr<std::byte> copy(new std::byte[std::max<std::size_t>(bytes, 1)],
                                        std::default_delete<std::byte[]>());
  FORGECHECK_CUDA(cudaMemcpyAsync(copy.get(), tensor.get(), bytes, cudaMemcpyDeviceToHost, stream_));
  FORGECHECK_CUDA(cudaStreamSynchronize(stream_));
  return Array(device_dtype<T>(), tensor.shape, copy);
}

#define INSTANTIATE(T)                                                       \
  template DeviceTensor<T> Device::upload(const Array&, const std::string&); \
  template Array Device::download(const DeviceTensor<T>&);
INSTANTIATE(float)
INSTANTIATE(bf16)
INSTANTIATE(std::int64_t)
INSTANTIATE(std::uint8_t)
#undef INSTANTIATE

}  // namespace forgecheck::gpu
