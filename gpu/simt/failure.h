// How the emulator reports that something is wrong.
#pragma once

#include <string>

#include "simt/host.h"

namespace simt {

/// Thrown on the host's side, and turned into an error code at the interface. With a kind it is a finding: a
/// mistake in a kernel or between kernels, after which the device only returns its error.
struct Failure {
  cudaError_t code;
  std::string kind;
  std::string message;
};

/// Stops the kernel, and adds to the message where the thread is; to be called on a kernel's thread. The
/// thread's stack is dropped without running destructors: the caller moves the message here, and owns nothing
/// else.
[[noreturn]] void fail(cudaError_t code, const char* kind, std::string message);

}  // namespace simt
