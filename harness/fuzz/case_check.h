// What a campaign asks of a case: that a backend matches the oracle, that it agrees with itself, or that two backends agree.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "harness/backend/backend.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

struct CaseCheck {
  std::string name;  // the candidate in a report
  /// Never throws: what fails is a judgement too.
  std::function<Judgement(const Problem& problem)> judge;
};

/// The backend is judged by the oracle. A random case in which most choices tie is undecided, as that is no fault of the
/// backend: all its taps are right.
CaseCheck oracle_check(const std::shared_ptr<Backend>& backend);

/// Every relation that applies to the case holds (relations.h), but for rounding (own_noise.h). Needs no oracle. The first
/// relation that is broken is the judgement's hint.
CaseCheck relations_check(const std::shared_ptr<Backend>& backend);

/// Every tap that both traces have agrees, but for rounding as the first backend shows it (own_noise.h); in the order of the
/// first one's trace, each backend on its own values. The name is "A against B".
CaseCheck agreement_check(const std::shared_ptr<Backend>& first, const std::shared_ptr<Backend>& second);

}  // namespace forgecheck
