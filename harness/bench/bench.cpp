#include "harness/bench/bench.h"

#include <algorithm>
#include <cmath>

#include "harness/backend/reference_run.h"
#include "harness/backend/timed.h"
#include "harness/bench/peak_memory.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {

Quartiles quartiles_of(std::vector<double> seconds) {
  std::ranges::sort(seconds);
  const auto at = [&](double share) {
    const double place = share * static_cast<double>(seconds.size() - 1);
    const auto below = static_cast<std::size_t>(std::floor(place));
    const std::size_t above = std::min(below + 1, seconds.size() - 1);
    return seconds[below] + (place - std::floor(place)) * (seconds[above] - seconds[below]);
  };
  return {at(0.25), at(0.5), at(0.75)};
}

std::int64_t tokens_of(const Problem& problem) {
  const Inputs& inputs = problem.inputs;
  const std::optional<Array>& sequences = inputs.tokens ? inputs.tokens : inputs.inputs_embeds;
  if (!sequences) return 0;
  const std::int64_t batch = sequences->shape()[0];
  const bool generates = problem.definition.run == RunKind::generate;
  return batch * (generates ? problem.definition.generate.max_new_tokens : sequences->shape()[1]);
}

namespace {

void measure_once(const Problem& problem, Backend& backend, int runs, Measurement& measurement) {
  if (!measurement.refusal.empty()) return;
  try {
    const PeakMemory peak;
    const RunTimes times = backend.time(problem, runs);
    const bool is_here = !backend.name().starts_with("exec:") && !backend.name().starts_with("plugin:");
    if (is_here) measurement.peak_bytes = std::max(measurement.peak_bytes, peak.bytes());
    measurement.times.with_loading = times.with_loading;
    std::ranges::copy(times.seconds, std::back_inserter(measurement.times.seconds));
    measurement.times.kernels = times.kernels;
  } catch (const Error& error) {
    measurement.times = {};
    measurement.refusal = error.what();
  }
}

}  // namespace

std::vector<Measurement> measure(const Problem& problem,
                                 const std::vector<std::unique_ptr<Backend>>& backends, int rounds,
                                 int runs) {
  std::vector<Measurement> measurements;
  for (const auto& backend : backends) {
    measurements.push_back({backend->name(), {}, -1, backend->refusal(problem.definition)});
  }
  const std::size_t count = backends.size();
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t turn = round % 2 == 0 ? i : count - 1 - i;
      measure_once(problem, *backends[turn], runs, measurements[turn]);
    }
  }
  return measurements;
}

Trace right_trace(const Problem& problem) {
  Tracer tracer;
  run_reference(problem, problem.definition.dtype, kPermuted, tracer);
  return tracer.take();
}

std::vector<double> time_judging(const Problem& problem, const Trace& trace, int runs) {
  return timed(runs, [&] { judge(problem, trace, problem.definition.dtype, false); });
}

}  // namespace forgecheck
