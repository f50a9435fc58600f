#include "harness/backend/repeated_runs.h"

#include <cuda_runtime.h>

#include <algorithm>

#include "reference/error.h"

namespace forgecheck {

namespace {

/// The emulator's schedules; a device has its own. The first is back at the end.
class Schedules {
 public:
#ifdef FORGECHECK_CUDA_BUILD
  void take(std::int64_t) const {}
#else
  ~Schedules() {
    simt::set_seed(first_);
  }
  Schedules() = default;
  Schedules(const Schedules&) = delete;
  Schedules& operator=(const Schedules&) = delete;
  void take(std::int64_t i) const {
    simt::set_seed(first_ + static_cast<std::uint64_t>(i));
  }

 private:
  std::uint64_t first_ = simt::seed();
#endif
};

bool same_bits(const Array& a, const Array& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::ranges::equal(a.bytes(), b.bytes());
}

[[noreturn]] void refuse(const std::string& tap, std::int64_t run) {
  throw BackendError(tap + " is not the same in run 0 and run " + std::to_string(run) +
                     ": it depends on the order in which threads happen to run");
}

void require_same_bits(const Trace& first, const Trace& again, std::int64_t run) {
  for (const auto& [name, value] : first.entries()) {
    const Array* other = again.find(name);
    if (other == nullptr || !same_bits(value, *other)) refuse(name, run);
  }
  for (const auto& [name, value] : again.entries()) {
    if (first.find(name) == nullptr) refuse(name, run);
  }
}

}  // namespace

Trace run_repeatedly(std::int64_t runs, const std::function<Trace()>& run) {
  const Schedules schedules;
  Trace first = run();
  for (std::int64_t i = 1; i < runs; ++i) {
    schedules.take(i);
    require_same_bits(first, run(), i);
  }
  return first;
}

}  // namespace forgecheck
