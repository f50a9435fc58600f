// The interface: errors and their texts.
#include <utility>

#include "gpu/simt/runtime.h"

namespace {

struct ErrorText {
  const char* name;
  const char* text;
};

ErrorText text_of(cudaError_t error) {
  switch (error) {
    case cudaSuccess:
      return {"cudaSuccess", "no error"};
    case cudaErrorInvalidValue:
      return {"cudaErrorInvalidValue", "invalid argument"};
    case cudaErrorMemoryAllocation:
      return {"cudaErrorMemoryAllocation", "out of memory"};
    case cudaErrorInvalidConfiguration:
      return {"cudaErrorInvalidConfiguration", "invalid configuration argument"};
    case cudaErrorInvalidMemcpyDirection:
      return {"cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"};
    case cudaErrorInvalidDeviceFunction:
      return {"cudaErrorInvalidDeviceFunction", "invalid device function"};
    case cudaErrorInvalidDevice:
      return {"cudaErrorInvalidDevice", "invalid device ordinal"};
    case cudaErrorInvalidResourceHandle:
      return {"cudaErrorInvalidResourceHandle", "invalid resource handle"};
    case cudaErrorNotReady:
      return {"cudaErrorNotReady", "device not ready"};
    case cudaErrorIllegalAddress:
      return {"cudaErrorIllegalAddress", "an illegal memory access was encountered"};
    case cudaErrorMisalignedAddress:
      return {"cudaErrorMisalignedAddress", "misaligned address"};
    case cudaErrorLaunchFailure:
      return {"cudaErrorLaunchFailure", "unspecified launch failure"};
  }
  return {"cudaErrorUnknown", "unknown error"};
}

}  // namespace

cudaError_t cudaGetLastError() {
  simt::Device& d = simt::device();
  const std::lock_guard lock(d.mutex);
  return d.sticky != cudaSuccess ? d.sticky : std::exchange(d.last, cudaSuccess);
}

cudaError_t cudaPeekAtLastError() {
  simt::Device& d = simt::device();
  const std::lock_guard lock(d.mutex);
  return d.sticky != cudaSuccess ? d.sticky : d.last;
}

const char* cudaGetErrorName(cudaError_t error) {
  return text_of(error).name;
}

/// The text of the latest error of this code, with all that is known of it; valid until the thread asks
/// again.
const char* cudaGetErrorString(cudaError_t error) {
  static thread_local std::string answer;
  simt::Device& d = simt::device();
  const std::lock_guard lock(d.mutex);
  answer = text_of(error).text;
  if (error != cudaSuccess && error == d.described) {
    answer += ": " + d.description;
  }
  return answer.c_str();
}
