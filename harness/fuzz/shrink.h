// Making a failing case small.
#pragma once

#include <functional>
#include <vector>

#include "harness/case/case.h"

namespace forgecheck {

/// One way to make a case simpler: its alternatives, the simplest first. An alternative may break a rule; then it is not a
/// case at all.
using Simplification = std::function<std::vector<Case>(const Case&)>;

/// In order: another architecture, a plainer run, every option at its default, fewer layers, heads and experts, smaller
/// sizes, then the type and the seed.
const std::vector<Simplification>& simplifications();

struct Shrunk {
  Case smallest;
  std::int64_t tried = 0;
  bool complete = true;  // no simplification is left; else the limit was reached
};

/// Takes every simplification after which the case `fails` still, until none is left. `fails` is called for valid cases
/// only, at most `limit` times.
Shrunk shrink(const Case& failing, const std::function<bool(const Case&)>& fails, std::int64_t limit);

}  // namespace forgecheck
