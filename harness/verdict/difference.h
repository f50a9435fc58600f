// Compares two traces without an oracle: what differs, and by how much. No tolerance can be derived without
// the case, so only equal values are equal.
#pragma once

#include "harness/verdict/verdict.h"
#include "reference/trace.h"

namespace forgecheck {

/// One result for each tap of either trace, in the order of `a`, then what only `b` has. A tap matches iff
/// both have it with the same shape and the same values (NaN equals NaN, 0 equals -0; the types may differ).
/// `error` is the largest difference, the message says where it is and how many elements differ.
Judgement difference(const Trace& a, const Trace& b);

}  // namespace forgecheck
