// Times kernels by their names, with two events of the stream around every launch.
#pragma once

#include <vector>

#include "gpu/runtime/device.h"
#include "gpu/runtime/kernel_time.h"

namespace forgecheck::gpu {

/// Times what its device launches while it lives. Where the device waits for the host, a time holds the launch too.
class KernelClock {
 public:
  /// Throws CudaError where the device is timed already.
  explicit KernelClock(Device& device);
  ~KernelClock();
  KernelClock(const KernelClock&) = delete;
  KernelClock& operator=(const KernelClock&) = delete;

  /// Every kernel launched so far, the longest first; waits for the device. Throws CudaError where a launch failed.
  std::vector<KernelTime> times();

 private:
  friend class KernelSpan;
  struct Launch {
    const char* name;
    cudaEvent_t begin = nullptr, end = nullptr;
  };

  Device& device_;
  std::vector<Launch> launches_;
};

/// Stands around one launch: a kernel, or a call that launches some. Does nothing where nobody times the device.
class KernelSpan {
 public:
  /// `name` is kept as a pointer. Throws CudaError where an event cannot be recorded.
  KernelSpan(Device& device, const char* name);
  ~KernelSpan();
  KernelSpan(const KernelSpan&) = delete;
  KernelSpan& operator=(const KernelSpan&) = delete;

 private:
  Device& device_;
  cudaEvent_t end_ = nullptr;  // of the clock
};

}  // namespace forgecheck::gpu
