// Without a device no test of the GPU backend can run: all are skipped, and say why. If
// FORGECHECK_REQUIRE_GPU is set to anything but 0, the program fails instead.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

namespace {

class DeviceEnvironment : public testing::Environment {
 public:
  void SetUp() override {
    int devices = 0;
    const cudaError_t error = cudaGetDeviceCount(&devices);
    if (error == cudaSuccess && devices > 0) return;
    const std::string reason = std::string("no CUDA device: ") +
                               (error == cudaSuccess ? "none is there" : cudaGetErrorString(error));
    const char* const required = std::getenv("FORGECHECK_REQUIRE_GPU");
    if (required != nullptr && std::string(required) == "1") {
      std::cerr << reason << ", and FORGECHECK_REQUIRE_GPU is 1\n";
      std::exit(1);  // GoogleTest would call the tests skipped
    }
    // Worded like a skipped test, so that ctest recognises it.
    GTEST_SKIP() << "[  SKIPPED ] " << reason;
  }
};

// GoogleTest takes ownership.
[[maybe_unused]] const testing::Environment* const environment =
    testing::AddGlobalTestEnvironment(new DeviceEnvironment);

}  // namespace
