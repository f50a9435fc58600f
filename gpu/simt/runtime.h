// The device: everything that the interface functions share.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "gpu/simt/arena.h"
#include "gpu/simt/failure.h"
#include "gpu/simt/random.h"
#include "gpu/simt/stream.h"
#include "simt/control.h"
#include "simt/launch.h"

namespace simt {

struct Device {
  Device();

  std::recursive_mutex mutex;
  std::uint64_t seed;
  Random random;
  Arena arena;
  Streams streams;
  std::set<Event*> events;
  std::map<const unsigned char*, Allocation> pinned;  // host memory that the device may copy from late
  std::uint64_t pinned_count = 0;
  std::map<const void*, std::size_t> shared_limits;  // by kernel, from cudaFuncSetAttribute
  std::vector<Finding> findings;

  cudaError_t sticky = cudaSuccess;  // after a finding
  cudaError_t last = cudaSuccess;
  cudaError_t described = cudaSuccess;  // the error that `description` belongs to
  std::string description;

  /// Remembers the error, and stops the device for a finding.
  cudaError_t record(const Failure& failure);

  /// Runs work, chosen by the seed, until `done`, but not more than `most` pieces of it. Throws Failure.
  void run_until(const std::function<bool()>& done, std::uint64_t most = ~std::uint64_t{0});
  void synchronize() {
    run_until([this] { return streams.idle(); });
  }
  void synchronize(const Stream* stream) {
    run_until([stream] { return stream->queue.empty(); });
  }

  /// The stream of a handle. Throws Failure if there is none.
  Stream* stream(cudaStream_t handle, const char* function);

  const Allocation* find_pinned(const void* address) const;

  /// Throws Failure unless one allocation holds all `bytes` from `pointer` on; `what` is the argument's name.
  void require_device_range(const void* pointer, std::size_t bytes, const std::string& what,
                            const std::string& kind = "") const;
};

Device& device();

/// Describes an address: which memory and which allocation it is in.
std::string describe_address(const void* address);

/// The body of an interface function: one caller at a time; no Failure escapes; after a finding it only
/// returns the error.
template <class Function>
cudaError_t call(Function function) {
  Device& d = device();
  const std::lock_guard lock(d.mutex);
  if (d.sticky != cudaSuccess) {
    return d.sticky;
  }
  try {
    function(d);
    return cudaSuccess;
  } catch (const Failure& failure) {
    return d.record(failure);
  }
}

/// Turns an access to closed memory into a report (fault.cpp). Called once.
void install_fault_handler();

}  // namespace simt
