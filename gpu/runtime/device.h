// A GPU as the backend uses it: one stream for arithmetic, one for copies to the host, a cuBLAS handle, and
// memory.
#pragma once

#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "gpu/runtime/device_tensor.h"
#include "reference/array.h"

namespace forgecheck::gpu {

/// What a device checks while it works. A build defines FORGECHECK_GPU_CHECKED to have guards by default; the
/// emulator checks its memory itself.
enum class Checks { nothing, guards };
#ifdef FORGECHECK_GPU_CHECKED
inline constexpr Checks kDefaultChecks = Checks::guards;
#else
inline constexpr Checks kDefaultChecks = Checks::nothing;
#endif

class KernelClock;

class Device {
 public:
  /// The current device of the process. Throws CudaError if there is none.
  explicit Device(Checks checks = kDefaultChecks);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Kernels, products and allocations run here, in order.
  cudaStream_t stream() const { return stream_; }
  /// Copies to the host run here, concurrently with the arithmetic.
  cudaStream_t copy_stream() const { return copy_stream_; }
  cublasHandle_t blas() const { return blas_; }
  /// Who times what is launched, or null: see kernel_clock.h.
  KernelClock* clock() const { return clock_; }
  void set_clock(KernelClock* clock) { clock_ = clock; }

  /// Memory for a tensor, freed in stream order with the last copy of the handle. With Checks::guards it lies
  /// between guard bands and starts as NaN. Throws CudaError with the name, shape and size if there is not
  /// enough.
  template <class T>
  DeviceTensor<T> make(Shape shape, const std::string& name) {
    const std::size_t bytes = static_cast<std::size_t>(element_count(shape)) * sizeof(T);
    const std::shared_ptr<void> memory = allocate(bytes, name + " (" + to_string(shape) + ")");
    return DeviceTensor<T>(std::move(shape), std::static_pointer_cast<T>(memory));
  }

  /// A copy of `array`, whose dtype must be that of T. Throws ShapeError if it is not.
  template <class T>
  DeviceTensor<T> upload(const Array& array, const std::string& name);

  /// The values of a tensor; waits for them.
  template <class T>
  Array download(const DeviceTensor<T>& tensor);

  /// Waits for all work. Throws CudaError with its first error and, with Checks::guards, naming the first
  /// tensor freed since the last call whose guard bands were changed.
  void synchronize();

 private:
  std::shared_ptr<void> allocate(std::size_t bytes, const std::string& label);
  void release(unsigned char* block, std::size_t bytes, std::uint64_t number) noexcept;

  Checks checks_;
  cudaStream_t stream_ = nullptr;
  cudaStream_t copy_stream_ = nullptr;
  cublasHandle_t blas_ = nullptr;
  KernelClock* clock_ = nullptr;
  std::map<std::uint64_t, std::string>
      labels_;  // with guards: names of the buffers that synchronize() may report
  std::uint64_t allocations_ = 0;
  unsigned long long* first_broken_ =
      nullptr;  // device memory: number of the first buffer with changed guards
};

}  // namespace forgecheck::gpu
