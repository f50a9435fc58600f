#include "harness/verdict/explain.h"

#include <algorithm>
#include <cmath>
#include <future>

#include "harness/hint/hints.h"
#include "harness/verdict/operations.h"
#include "harness/verdict/suspects.h"
#include "harness/verdict/tap_error.h"
#include "harness/verdict/tolerance.h"
#include "harness/verdict/worst_rows.h"

namespace forgecheck {

namespace {

/// Multiply-adds that may be spent on the search for unseen modules, and as many on hints: some ten seconds
/// of plain loops.
constexpr double kEffort = 1e10;
/// More runs than any case has modules and mistakes: the number must fit an integer where a run costs
/// nothing.
constexpr double kMostRuns = 10000;

double rms_distance(const Array& a, const Array& b) {
  if (!is_floating_point(a.dtype()) || a.shape() != b.shape()) return 0;
  double squares = 0;
  const std::int64_t count = a.size();
  for (std::int64_t i = 0; i < count; ++i) squares += std::pow(a.at(i) - b.at(i), 2);
  return std::sqrt(squares / static_cast<double>(std::max<std::int64_t>(1, count)));
}

/// The candidate's numbers and the oracle's; none for integers, or where the shapes differ.
std::optional<TapNumbers> numbers_of(const Failure& failure, const std::string& tap) {
  const Array& value = failure.candidate.at(tap);
  const Array& oracle = failure.evidence.oracle.trace.at(tap);
  const bool numbers = is_floating_point(value.dtype()) && is_floating_point(oracle.dtype());
  if (!numbers || value.shape() != oracle.shape()) return std::nullopt;
  return TapNumbers{value.to<double>(), oracle.to<double>(), farthest_baseline(failure.evidence, tap)};
}

/// The last tap before `tap` that the trace has.
std::string last_before(const Failure& failure, const std::string& tap) {
  std::string last;
  for (const auto& [name, value] : failure.evidence.oracle.trace.entries()) {
    if (name == tap) break;
    if (failure.candidate.find(name) != nullptr) last = name;
  }
  return last;
}

bool all_finite(const TapNumbers& numbers) {
  const auto finite = [](double x) { return std::isfinite(x); };
  return std::ranges::all_of(numbers.values.data, finite) && std::ranges::all_of(numbers.oracle.data, finite);
}

/// About the share of a run that is computed for `tap`: it ends there, and what the trace shows is not computed.
double share_of_a_run(const Failure& failure, const std::string& tap) {
  const RunKind run = failure.problem.definition.run;
  if (run == RunKind::decode || run == RunKind::generate) return 1.0;
  const auto& entries = failure.evidence.oracle.trace.entries();
  std::int64_t computed = 1;
  for (const auto& [name, value] : entries) {
    if (name == tap) break;
    if (failure.candidate.find(name) == nullptr) ++computed;
  }
  return static_cast<double>(computed) / static_cast<double>(entries.size());
}

/// How often `share` of a run may be computed.
std::int64_t affordable_runs(const Failure& failure, double share) {
  return static_cast<std::int64_t>(std::min(kMostRuns, kEffort / (share * run_cost(failure.problem))));
}

/// The wrong tap's own module, and those of its block among the suspects.
Modules modules_of(const WrongTap& wrong, const std::vector<std::string>& suspects) {
  Modules modules = {wrong.name};
  const TapName& own = wrong.place.name;
  for (const std::string& tap : suspects) {
    const TapName name = place_of(tap, wrong.problem.definition.architecture).name;
    const bool same_block =
        name.block == own.block && (own.block == BlockKind::none || name.index == own.index);
    if (same_block) modules.push_back(tap);
  }
  return modules;
}

/// How the error of the wrong tap is spread over its elements.
void describe(FirstDivergence& result, const TapNumbers& numbers, const Failure& failure) {
  const Tensor<double> stored = half_units(numbers.oracle, failure.type);
  const Tensor<double> used = shares(numbers.values, numbers.oracle, stored,
                                     tolerances_beyond(numbers.oracle, numbers.baseline, stored, failure.type,
                                                       spread_of(failure.evidence, result.tap)));
  result.worst = worst_element(numbers.values, numbers.oracle, used);
  result.histogram = share_histogram(used);
  result.map = error_map(used);
}

void add_note(FirstDivergence& result, const std::string& text) {
  result.note += (result.note.empty() ? "a run of this case takes long: " : "; ") + text;
}

/// What the wrong tap looks like; a run for it computes `share` of a whole one.
void add_hint(FirstDivergence& result, const Failure& failure, const WrongTap& wrong, const Modules& modules,
              double share) {
  const TapRows worst = worst_rows({wrong.name}, failure.candidate, failure.evidence, failure.type);
  const std::vector<std::int64_t> rows = worst.empty() ? std::vector<std::int64_t>() : worst.begin()->second;
  if (!rows.empty()) {
    share *= static_cast<double>(rows.size()) / static_cast<double>(wrong.numbers->oracle.rows());
  }
  const Hint hint = find_hint(wrong, modules, affordable_runs(failure, share), rows);
  result.hint = hint.text;
  if (!hint.all_tried) add_note(result, "not every known mistake was tried");
}

/// The inherited errors: the oracle forced to the candidate's trace compared with the unforced oracle.
void add_inherited_errors(std::vector<TapResult>& taps, const Trace& forced, const Trace& unforced) {
  for (TapResult& tap : taps) {
    tap.inherited = relative_error(forced.at(tap.name), unforced.at(tap.name));
  }
}

}  // namespace

FirstDivergence explain(const Failure& failure, const TapResult& first, std::vector<TapResult>& taps,
                        Detail detail) {
  const Case& definition = failure.problem.definition;
  const ReferenceRun& oracle = failure.evidence.oracle;
  FirstDivergence result;
  result.tap = first.name;
  result.after = last_before(failure, first.name);
  result.local_error = first.error;
  result.tolerance = first.tolerance;
  result.operation = operation_of(first.name, definition);

  // 1. how the error is spread
  const std::optional<TapNumbers> numbers = numbers_of(failure, first.name);
  if (numbers) describe(result, *numbers, failure);
  if (detail == Detail::verdicts) return result;

  // 2. which unseen modules may be to blame
  const double share = share_of_a_run(failure, first.name);
  const Suspects suspects = suspects_before(failure.problem, failure.candidate, oracle, first.name,
                                            affordable_runs(failure, share));
  result.between = suspects.taps;
  if (!suspects.exact) add_note(result, "not every unseen module was tried on its own");
  if (detail == Detail::location) return result;

  // 3. the inherited error, and beside it what the error looks like
  std::future<ReferenceRun> unforced = std::async(launch_policy(failure.problem), [&] {
    return run_forced(failure.problem, Dtype::f64, Arithmetic(), Trace(), Forcing::nothing);
  });
  if (!numbers || all_finite(*numbers)) {
    const WrongTap wrong{failure.problem, failure.candidate, oracle,
                         failure.type,    first.name,        place_of(first.name, definition.architecture),
                         numbers};
    add_hint(result, failure, wrong, modules_of(wrong, suspects.taps), share);
  }
  const Trace right = unforced.get().trace;
  add_inherited_errors(taps, oracle.trace, right);
  result.inherited_error = rms_distance(oracle.trace.at(first.name), right.at(first.name));
  return result;
}

}  // namespace forgecheck
