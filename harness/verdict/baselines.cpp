#include "harness/verdict/baselines.h"

#include <algorithm>
#include <cmath>

#include "harness/verdict/tolerance.h"

namespace forgecheck {

namespace {

/// The wrong taps that another right implementation may excuse: wrong by a finite distance, or in a choice.
std::vector<const TapResult*> excusable(const Comparison& comparison, const Trace& candidate,
                                        const ReferenceRun& oracle) {
  std::vector<const TapResult*> result;
  for (const TapResult& tap : comparison.taps) {
    if (is_success(tap.verdict) || !std::isfinite(tap.error)) continue;
    const bool decided = oracle.decisions.contains(tap.name);
    if (decided || is_floating_point(candidate.at(tap.name).dtype())) result.push_back(&tap);
  }
  return result;
}

/// Orders of rounding that the baselines do not have, in bfloat16.
std::vector<Arithmetic> other_orders() {
  std::vector<Arithmetic> orders;
  for (const std::int64_t part : {8, 16, 32, 64, 128}) {
    Arithmetic arithmetic;
    arithmetic.split_k = part;
    arithmetic.round_before_gain = orders.empty();
    orders.push_back(arithmetic);
  }
  return orders;
}

/// Whether a wrong tap is off by far more than any element of it has shown.
bool is_hopeless(const TapResult& tap, const Spreads& spreads) {
  const auto found = spreads.find(tap.name);
  if (found == spreads.end()) return true;
  const double seen = std::ranges::max(found->second.reach.data);
  return tap.error > kHopeless * std::max(seen, found->second.whole);
}

}  // namespace

std::vector<Arithmetic> baselines_for(Dtype type, bool is_plain_reference) {
  if (is_plain_reference || type == Dtype::f64) return {kPermuted, kReversed};
  // In bfloat16 attention may take its probabilities rounded, which the plain reference does not.
  if (type == Dtype::bf16) return {kPermuted, Arithmetic(), kReversed};
  return {Arithmetic(), kPermuted, kReversed};
}

Comparison excuse(const Problem& problem, const Trace& candidate, Dtype type, Evidence& evidence,
                  Comparison comparison) {
  if (type == Dtype::f64) return comparison;
  if (type == Dtype::bf16) {
    for (const Arithmetic& arithmetic : other_orders()) {
      if (excusable(comparison, candidate, evidence.oracle).empty()) return comparison;
      evidence.other_rounding.push_back(run_along(problem, type, arithmetic, candidate, Forcing::everything));
      comparison = compare_trace(candidate, evidence, problem.definition.architecture, type);
    }
  }
  const std::vector<const TapResult*> failed = excusable(comparison, candidate, evidence.oracle);
  if (failed.empty()) return comparison;
  std::set<std::string> names;
  for (const TapResult* tap : failed) names.insert(tap->name);
  evidence.spreads = measure_spreads(problem, candidate, evidence.oracle, names, type,
                                     [&](const Spreads& some) { return is_hopeless(*failed.front(), some); });
  return compare_trace(candidate, evidence, problem.definition.architecture, type);
}

}  // namespace forgecheck
