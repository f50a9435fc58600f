// Runs of one case that must agree to the bit, on the emulator each under another order of threads.
#pragma once

#include <cstdint>
#include <functional>

#include "reference/trace.h"

namespace forgecheck {

/// The first of `runs` calls of `run`, at least one. On the emulator each call has a schedule of its own, by
/// the seeds from the present one on, which is back at the end; a device has its own. Throws BackendError
/// that names the tap unless every later call gives the same taps with the same bits.
Trace run_repeatedly(std::int64_t runs, const std::function<Trace()>& run);

}  // namespace forgecheck
