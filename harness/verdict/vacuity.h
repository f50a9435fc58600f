// Vacuous comparisons: whatever their outcome, they test nothing in an implementation. Their verdict is
// `untrusted`. What a right trace merely does not exercise is a note (notes.h).
#pragma once

#include <string>

#include "harness/verdict/run_forced.h"
#include "reference/array.h"

namespace forgecheck {

/// Why a trace that matches is vacuous, or "": its logits are the same number everywhere. `oracle`: forced to
/// the candidate's trace.
std::string vacuity(const ReferenceRun& oracle);

/// What a floating point tap that is wrong holds instead of results, or "": memory that nobody wrote to
/// (every bit set, as fresh device memory is), zeros, or one number everywhere, where `oracle` has other
/// values. The shapes are the same.
std::string emptiness(const Array& candidate, const Tensor<double>& oracle);

}  // namespace forgecheck
