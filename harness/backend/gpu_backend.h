// The CUDA kernels as a backend: on a device, or on the emulator, as the build has them.
#pragma once

#include "harness/backend/backend.h"

namespace forgecheck {

/// Why this build or machine cannot run "gpu:cuda" or "gpu:simt"; empty where it can.
std::string cuda_unavailable();
std::string simt_unavailable();

/// The GPU backend of this build under that name. It runs each case `runs` times, on the emulator under as
/// many schedules (from the environment's on), and throws BackendError unless every bit of every tap agrees.
std::unique_ptr<Backend> make_gpu_backend(const std::string& name, std::int64_t runs = 1);

}  // namespace forgecheck
