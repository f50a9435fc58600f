// What one kernel, or one function of a library, took on a device.
#pragma once

#include <cstdint>
#include <string>

namespace forgecheck::gpu {

struct KernelTime {
  std::string name;  // as it is launched: "attention", "cublasGemmEx"
  std::int64_t launches = 0;
  double milliseconds = 0.0;  // all launches together
};

}  // namespace forgecheck::gpu
