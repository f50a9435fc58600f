// Hints about a wrong tap: its values follow from the oracle's by a simple rule, or are those that a known
// mistake would give.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "harness/hint/mistake.h"

namespace forgecheck {

struct Hint {
  std::string text;       // empty where no pattern is known
  bool all_tried = true;  // false: there were more mistakes to try than `runs`
};

/// A hint is given only where it brings the tap within its tolerance. Of several mistakes that explain it,
/// the nearest and those that fit as well. At most `runs` runs of the oracle, not counting the comparison of
/// the few that are near. `modules`: the tap's own, and those before it in its block that the trace does not
/// show. `rows`: those by which mistakes are compared before the whole tap is; empty for all.
Hint find_hint(const WrongTap& wrong, const Modules& modules, std::int64_t runs,
               const std::vector<std::int64_t>& rows = {});

}  // namespace forgecheck
