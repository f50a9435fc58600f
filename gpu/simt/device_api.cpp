// The interface: the device's properties, its limits, and launches.
#include <cstring>
#include <utility>

#include "gpu/simt/block.h"
#include "gpu/simt/runtime.h"
#include "gpu/simt/shared_memory.h"
#include "gpu/simt/source_line.h"

using simt::call;
using simt::Device;
using simt::Failure;

namespace {

constexpr unsigned most_threads = 1024;
constexpr dim3 most_block{1024, 1024, 64};
constexpr dim3 most_grid{2147483647, 65535, 65535};

std::string text(dim3 extent) {
  return "(" + std::to_string(extent.x) + ", " + std::to_string(extent.y) + ", " + std::to_string(extent.z) +
         ")";
}

bool within(dim3 extent, dim3 most) {
  return extent.x >= 1 && extent.y >= 1 && extent.z >= 1 && extent.x <= most.x && extent.y <= most.y &&
         extent.z <= most.z;
}

void require_limits(const Device& d, const simt::detail::Launch& launch) {
  const auto refuse = [&launch](cudaError_t code, const std::string& what) {
    throw Failure{code, "", "launch of " + simt::source_line(launch.kernel).function + ": " + what};
  };
  if (!within(launch.block, most_block) ||
      std::uint64_t{launch.block.x} * launch.block.y * launch.block.z > most_threads) {
    refuse(
        cudaErrorInvalidConfiguration,
        "a block of " + text(launch.block) + " threads; at most 1024 in all, and 64 in z, and none may be 0");
  }
  if (!within(launch.grid, most_grid)) {
    refuse(cudaErrorInvalidConfiguration,
           "a grid of " + text(launch.grid) + " blocks; at most " + text(most_grid) + ", and none may be 0");
  }
  const auto raised = d.shared_limits.find(launch.kernel);
  const std::size_t limit = raised == d.shared_limits.end() ? simt::shared_bytes_default : raised->second;
  if (launch.shared_bytes > limit) {
    refuse(cudaErrorInvalidValue, std::to_string(launch.shared_bytes) +
                                      " bytes of shared memory; the limit is " + std::to_string(limit) +
                                      " (cudaFuncSetAttribute raises it up to " +
                                      std::to_string(simt::shared_bytes_most) + ")");
  }
}

void require_device(int device) {
  if (device != 0) {
    throw Failure{cudaErrorInvalidDevice, "",
                  "device " + std::to_string(device) + ": there is only device 0"};
  }
}

void run(Device& d, const simt::detail::Launch& launch) {
  simt::run_grid(launch, d.random);
  if (const auto allocation = d.arena.overwritten()) {
    throw Failure{cudaErrorIllegalAddress, "out of bounds",
                  "out of bounds: kernel " + simt::source_line(launch.kernel).function +
                      " wrote right before or after " + *allocation};
  }
}

}  // namespace

cudaError_t simt::detail::enqueue(Launch launch, cudaStream_t stream) {
  return call([&](Device& d) {
    Stream* target = d.stream(stream, "launch");
    require_limits(d, launch);
    d.streams.enqueue(target, [&d, work = std::move(launch)] { run(d, work); });
  });
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return call([&](Device& d) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) {
      return;  // a hint
    }
    if (value < 0 || static_cast<std::size_t>(value) > simt::shared_bytes_most) {
      throw Failure{cudaErrorInvalidValue, "",
                    "cudaFuncSetAttribute: " + std::to_string(value) +
                        " bytes of shared memory; a block has at most " +
                        std::to_string(simt::shared_bytes_most)};
    }
    d.shared_limits[kernel] = static_cast<std::size_t>(value);
  });
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return call([&](Device&) { require_device(device); });
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return call([&](Device& d) {
    require_device(device);
    *properties = {};
    std::strcpy(properties->name, "forgecheck SIMT emulator");
    properties->totalGlobalMem = d.arena.limit();
    properties->sharedMemPerBlock = simt::shared_bytes_default;
    properties->sharedMemPerBlockOptin = simt::shared_bytes_most;
    properties->sharedMemPerMultiprocessor = std::size_t{228} << 10;
    properties->regsPerBlock = 65536;
    properties->warpSize = warpSize;
    properties->maxThreadsPerBlock = most_threads;
    const auto set = [](int(&extent)[3], dim3 most) {
      extent[0] = static_cast<int>(most.x);
      extent[1] = static_cast<int>(most.y);
      extent[2] = static_cast<int>(most.z);
    };
    set(properties->maxThreadsDim, most_block);
    set(properties->maxGridSize, most_grid);
    properties->maxThreadsPerMultiProcessor = 2048;
    properties->major = 9;
    properties->minor = 0;
    properties->multiProcessorCount = 4;  // few, so that a grid made to fill the device stays small
    properties->l2CacheSize = 50 << 20;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device); error != cudaSuccess) {
    return error;
  }
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = properties.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(properties.sharedMemPerBlock);
      break;
    case cudaDevAttrWarpSize:
      *value = properties.warpSize;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = properties.multiProcessorCount;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = properties.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = properties.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(properties.sharedMemPerBlockOptin);
      break;
  }
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  return cudaRuntimeGetVersion(version);
}
