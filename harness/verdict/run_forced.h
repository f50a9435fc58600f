// Teacher-forced runs of the reference: wherever a trace has a tap, its value takes the place of the computed one.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "harness/backend/problem.h"
#include "reference/arithmetic.h"
#include "reference/trace.h"

namespace forgecheck {

/// The taps of a run as it computed them, and its own choices.
struct ReferenceRun {
  Trace trace;
  std::map<std::string, Decision, std::less<>> decisions;
};

/// The reference in `precision`, forced to the trace `forced`. Throws as run_reference().
ReferenceRun run_forced(const Problem& problem, Dtype precision, const Arithmetic& arithmetic,
                        const Trace& forced, Forcing forcing);

/// A sampled run in `precision` (reference/sampled.h), forced to the trace `forced`. Only the taps `names` are
/// kept; it ends after the last of them.
ReferenceRun sampled_forced(const Problem& problem, Dtype precision, std::uint64_t seed, const Trace& forced,
                            const std::set<std::string>& names);

/// The float64 oracle's value of one tap, forced to the trace `forced`; the run ends there. None where the case has no such
/// tap.
std::optional<Array> oracle_value(const Problem& problem, const Trace& forced, const std::string& tap);

/// About how many multiply-adds one run takes: its linear modules, and its attention. For deciding how often
/// a case is run again.
double run_cost(const Problem& problem);

/// The trace with one tap set, at its old place where it was there.
Trace with_value(const Trace& trace, const std::string& name, const Array& value);

/// The trace without one tap.
Trace without(const Trace& trace, const std::string& name);

}  // namespace forgecheck
