// How fast backends run a case, and how fast its trace is judged.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "harness/backend/backend.h"

namespace forgecheck {

/// The middle of some times, and the quarter of them that lies on either side: in seconds.
struct Quartiles {
  double lower = 0.0, median = 0.0, upper = 0.0;
};

/// By linear interpolation between the sorted times, of which there is at least one.
Quartiles quartiles_of(std::vector<double> seconds);

/// The tokens that a run computes: those that it makes where it generates, else all of its sequences, images left out.
std::int64_t tokens_of(const Problem& problem);

/// What one backend took for one case.
struct Measurement {
  std::string backend;
  RunTimes times;                // of all rounds together; by kernel, of the last
  std::int64_t peak_bytes = -1;  // resident in this process while it ran; -1: in another one, or unknown
  std::string refusal;           // why there are no times; else empty
};

/// Runs the case on every backend, `rounds` times in turn and `runs` times each, in the opposite order in every second
/// round: a machine that grows slower on the way does so for all. A backend that refuses the case or fails is measured
/// without times.
std::vector<Measurement> measure(const Problem& problem,
                                 const std::vector<std::unique_ptr<Backend>>& backends, int rounds, int runs);

/// A right trace of the case, in its type, which is not the plain reference's.
Trace right_trace(const Problem& problem);

/// How long it takes to judge a trace of the case, once a run has shown the way.
std::vector<double> time_judging(const Problem& problem, const Trace& trace, int runs);

}  // namespace forgecheck
