#include "gpu/runtime/kernel_clock.h"

#include <algorithm>
#include <map>

#include "gpu/runtime/check.h"
#include "reference/error.h"

namespace forgecheck::gpu {

KernelClock::KernelClock(Device& device) : device_(device) {
  if (device_.clock() != nullptr) throw CudaError("a device has one clock at a time");
  device_.set_clock(this);
}

KernelClock::~KernelClock() {
  device_.set_clock(nullptr);
  for (const Launch& launch : launches_) {
    cudaEventDestroy(launch.begin);
    cudaEventDestroy(launch.end);
  }
}

std::vector<KernelTime> KernelClock::times() {
  device_.synchronize();
  std::map<std::string, KernelTime> by_name;
  for (const Launch& launch : launches_) {
    float milliseconds = 0.0F;
    FORGECHECK_CUDA(cudaEventElapsedTime(&milliseconds, launch.begin, launch.end));
    KernelTime& time = by_name[launch.name];
    time.name = launch.name;
    ++time.launches;
    time.milliseconds += milliseconds;
  }
  std::vector<KernelTime> times;
  for (auto& [name, time] : by_name) times.push_back(std::move(time));
  std::ranges::stable_sort(times, std::ranges::greater(), &KernelTime::milliseconds);
  return times;
}

KernelSpan::KernelSpan(Device& device, const char* name) : device_(device) {
  KernelClock* const clock = device_.clock();
  if (clock == nullptr) return;
  KernelClock::Launch& launch = clock->launches_.emplace_back(KernelClock::Launch{name});
  FORGECHECK_CUDA(cudaEventCreate(&launch.begin));
  FORGECHECK_CUDA(cudaEventCreate(&launch.end));
  FORGECHECK_CUDA(cudaEventRecord(launch.begin, device_.stream()));
  end_ = launch.end;
}

KernelSpan::~KernelSpan() {
  // Without its end the launch has no time, and times() says so.
  if (end_ != nullptr) cudaEventRecord(end_, device_.stream());
}

}  // namespace forgecheck::gpu
