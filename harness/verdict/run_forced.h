// Reference runs teacher-forced to a trace: wherever the trace has a tap, its value replaces the computed
// one.
#pragma once

#include <future>
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

/// The reference in `precision`, forced to `forced`. Throws as run_reference().
ReferenceRun run_forced(const Problem& problem, Dtype precision, const Arithmetic& arithmetic,
                        const Trace& forced, Forcing forcing);

/// The same, forced to every tap of `forced`. Keeps only the taps `names`, and ends after the last of them. In `rows` are
/// taps of which only some rows are needed: the others may be zero.
ReferenceRun run_forced(const Problem& problem, Dtype precision, const Arithmetic& arithmetic,
                        const Trace& forced, const std::set<std::string>& names, const TapRows& rows = {});

/// The same in a sampled run (reference/sampled.h).
ReferenceRun sampled_forced(const Problem& problem, Dtype precision, std::uint64_t seed, const Trace& forced,
                            const std::set<std::string>& names, const TapRows& rows = {});

/// One tap of the float64 oracle forced to `forced`; the run ends there. None where the case has no such tap.
/// `rows` as for run_forced().
std::optional<Array> oracle_value(const Problem& problem, const Trace& forced, const std::string& tap,
                                  const TapRows& rows = {});

/// About how many multiply-adds one run takes: its linear modules, and its attention. For deciding how often
/// a case is run again.
double run_cost(const Problem& problem);

/// How many runs of the problem are made at the same time: one where they are short.
std::int64_t runs_at_once(const Problem& problem);

/// Of a run that is made beside another one.
std::launch launch_policy(const Problem& problem);

/// The trace with one tap set, in its old place if it was there.
Trace with_value(const Trace& trace, const std::string& name, const Array& value);

/// The trace without one tap.
Trace without(const Trace& trace, const std::string& name);

}  // namespace forgecheck
