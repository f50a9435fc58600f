// Hints from the wrong values only: they follow from the oracle's by one simple rule. Each returns the hint,
// or an empty text where the rule does not hold within the tolerance.
#pragma once

#include <string>

#include "harness/hint/wrong_tap.h"

namespace forgecheck {

/// Every value is the oracle's times one factor that has a name (-1, 2, sqrt(head_dim), num_experts, ...).
std::string known_factor_hint(const WrongTap& wrong);

/// Any factor; not for taps of a few numbers, where some factor always fits.
std::string any_factor_hint(const WrongTap& wrong);

/// A factor for each row: a normalisation left out, done twice or over another axis.
std::string row_factor_hint(const WrongTap& wrong);

/// The values have fewer bits than their type: float32 that is bfloat16 or float16 inside.
std::string precision_hint(const WrongTap& wrong);

/// The oracle's plus or minus another tap before it, or that tap itself: a term of a sum, or a step, that was
/// left out or done twice.
std::string other_tap_hint(const WrongTap& wrong);

/// The same numbers in another order: columns interleaved, heads exchanged or repeated, positions shifted,
/// axes exchanged, rows or columns in any other order.
std::string order_hint(const WrongTap& wrong);

}  // namespace forgecheck
