// What the emulator tells the checking mode about its own work. The plain mode has no observer.
#pragma once

#include <cstddef>
#include <string>

namespace simt {

class Observer {
 public:
  virtual ~Observer() = default;

  virtual void launch_begins() = 0;
  virtual void block_begins() = 0;
  virtual void block_barrier() = 0;
  /// __syncwarp of these lanes of a warp.
  virtual void warp_barrier(unsigned warp, unsigned lanes) = 0;

  virtual void allocated(const void* pointer, std::size_t bytes) = 0;
  /// Some allocation is no more: nothing that points to one may be kept.
  virtual void freed() = 0;
  virtual void written(const void* pointer, std::size_t bytes) = 0;
  /// A copy inside the device: bytes that were never written stay so.
  virtual void copied(const void* to, const void* from, std::size_t bytes) = 0;
  /// Throws Failure when a byte was never written; `reader` names what reads.
  virtual void require_written(const void* pointer, std::size_t bytes, const std::string& reader) = 0;
};

extern Observer* observer;  // or null

}  // namespace simt
