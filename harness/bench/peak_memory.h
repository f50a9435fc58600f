// The most memory that this process has had since some moment.
#pragma once

#include <cstdint>

namespace forgecheck {

class PeakMemory {
 public:
  /// Starts from now: resets the mark that Linux keeps (proc(5), /proc/self/clear_refs).
  PeakMemory();
  /// Resident bytes at the highest mark since then (VmHWM); -1 where the system does not tell.
  std::int64_t bytes() const;

 private:
  bool was_reset_ = false;
};

}  // namespace forgecheck
