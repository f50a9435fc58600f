#include "harness/bench/peak_memory.h"

#include <fstream>
#include <string>

namespace forgecheck {

PeakMemory::PeakMemory() {
  std::ofstream mark("/proc/self/clear_refs");
  mark << "5" << std::flush;
  was_reset_ = mark.good();
}

std::int64_t PeakMemory::bytes() const {
  constexpr std::int64_t kKibibyte = 1024;
  std::ifstream status("/proc/self/status");
  std::string field;
  while (was_reset_ && status >> field) {
    std::int64_t kibibytes = 0;
    if (field == "VmHWM:" && status >> kibibytes) return kibibytes * kKibibyte;
  }
  return -1;
}

}  // namespace forgecheck
