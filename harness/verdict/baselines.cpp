#include "harness/verdict/baselines.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <future>

#include "harness/tap/tap_kind.h"
#include "harness/verdict/flush_denormals.h"
#include "harness/verdict/tolerance.h"
#include "harness/verdict/worst_rows.h"

namespace forgecheck {

namespace {

/// The budget, in multiply-adds, for more than kDraws runs: about ten seconds of plain loops.
constexpr double kSpreadEffort = 1e9;

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

std::set<std::string> names_of(const std::vector<const TapResult*>& taps) {
  std::set<std::string> names;
  for (const TapResult* tap : taps) names.insert(tap->name);
  return names;
}

/// Orders of rounding in bfloat16 that no baseline uses.
/// Of a module that is seen they are tried one by one. What lies between the taps of a decode, or of a trace without attention's
/// context, was computed by several of them together.
std::vector<Arithmetic> other_orders(const Problem& problem, const Trace& candidate) {
  const Architecture& architecture = problem.definition.architecture;
  const bool has_biases = architecture.model.qkv_bias || architecture.adapter;
  const bool shows_attention = std::ranges::any_of(candidate.entries(), [&](const auto& tap) {
    return place_of(tap.first, architecture).kind == TapKind::context;
  });
  std::vector<Arithmetic> orders;
  for (const Named<Probabilities>& probabilities : kProbabilities) {
    if (shows_attention && probabilities.value != Probabilities::kept) continue;
    for (const bool before_bias : {false, true}) {
      if (before_bias && !has_biases) continue;
      orders.push_back({.probabilities = probabilities.value,
                        .round_before_gain = true,
                        .round_before_bias = before_bias});
    }
  }
  for (const std::int64_t part : {8, 16, 32, 64, 128}) orders.push_back({.split_k = part});
  return orders;
}

/// Whether a wrong tap is off by far more than any element of it has shown.
bool is_hopeless(const TapResult& tap, const Spreads& spreads) {
  const auto found = spreads.find(tap.name);
  if (found == spreads.end()) return true;
  const double seen = std::ranges::max(found->second.reach.data);
  return tap.error > kHopeless * std::max(seen, found->second.whole);
}

/// Whether experts are chosen before a tap, and the trace does not show which.
bool has_unseen_choices(const Problem& problem, const Trace& candidate, const ReferenceRun& oracle) {
  const Case& definition = problem.definition;
  const bool chooses =
      definition.architecture.model.num_experts > 0 || definition.architecture.is(VlmArch::moma);
  if (chooses && (definition.run == RunKind::decode || definition.run == RunKind::generate)) return true;
  return std::ranges::any_of(oracle.decisions,
                             [&](const auto& decision) { return candidate.find(decision.first) == nullptr; });
}

/// Whether a wrong tap is off by so little that denormals which became zero on the way may be the reason.
bool may_have_flushed(const std::vector<const TapResult*>& wrong) {
  return std::ranges::any_of(wrong, [](const TapResult* tap) { return tap->error <= kMostFlushed; });
}

ReferenceRun run_without_denormals(const Problem& problem, Dtype type, const Trace& candidate,
                                   const std::set<std::string>& names) {
  const FlushDenormals flush;
  return run_forced(problem, type, Arithmetic(), candidate, names);
}

/// Whether the taps of which only some `rows` were measured and that still fail do so in these rows: more rows would not
/// excuse them.
bool fail_in(const TapRows& rows, const std::vector<const TapResult*>& failed, const Trace& candidate,
             const Evidence& evidence, Dtype type) {
  return std::ranges::all_of(failed, [&](const TapResult* tap) {
    const auto some = rows.find(tap->name);
    return some == rows.end() || is_wrong_in(some->second, tap->name, candidate, evidence, type);
  });
}

/// Measures the spreads of the taps that fail into `evidence`, and returns the comparison with them.
Comparison compared_by_spreads(const Problem& problem, const Trace& candidate, Dtype type, Evidence& evidence,
                               const Comparison& before) {
  const std::vector<const TapResult*> failed = excusable(before, candidate, evidence.oracle);
  const TapResult& first = *failed.front();
  const std::set<std::string> names = names_of(failed);
  const bool unseen = has_unseen_choices(problem, candidate, evidence.oracle);
  const bool rare = unseen || std::ranges::any_of(names, [&](const std::string& name) {
                      return candidate.at(name).size() == 1;
                    });
  Comparison comparison = before;
  const auto measure = [&](const TapRows& rows) {
    // All of the taps keep their spreads: one that is excused after few runs stays so.
    measure_spreads(
        problem, candidate, evidence.oracle, names, rows, type, [&](const Spreads& spreads, int draws) {
          if (draws == kFirstDraws && (unseen || !is_hopeless(first, spreads))) return Draws::more;
          evidence.spreads = spreads;
          comparison =
              compared_again(before, names, candidate, evidence, problem.definition.architecture, type);
          const bool affordable = 4 * draws * run_cost(problem) <= kSpreadEffort;
          const bool more = rare && draws > kFirstDraws && affordable &&
                            !excusable(comparison, candidate, evidence.oracle).empty();
          return more ? Draws::more : Draws::enough;
        });
  };
  const TapRows worst = worst_rows(names, candidate, evidence, type);
  measure(worst);
  if (!fail_in(worst, excusable(comparison, candidate, evidence.oracle), candidate, evidence, type))
    measure({});
  return comparison;
}

/// Whether one of the taps in `rows` may be that of another order of rounding: it is in these rows.
bool may_be_rounded_so(const Problem& problem, const Trace& candidate, const Arithmetic& arithmetic,
                       const TapRows& rows) {
  std::set<std::string> names;
  for (const auto& [name, some] : rows) names.insert(name);
  const Trace other = run_forced(problem, Dtype::bf16, arithmetic, candidate, names, rows).trace;
  return std::ranges::any_of(rows, [&](const auto& tap) {
    const auto cut = [&](const Trace& trace) {
      return Array::from(only(tap.second, trace.at(tap.first).template to<double>())).cast(Dtype::bf16);
    };
    return compare_other_rounding(tap.first, cut(candidate), cut(other)).has_value();
  });
}

/// Adds to `evidence` what can excuse taps of `comparison` that fail by the baselines, and returns the
/// comparison with that.
Comparison excuse(const Problem& problem, const Trace& candidate, Dtype type, Evidence& evidence,
                  Comparison comparison) {
  if (type == Dtype::f64) return comparison;
  const std::set<std::string> wrong = names_of(excusable(comparison, candidate, evidence.oracle));
  const auto compare_wrong_taps = [&] {
    comparison =
        compared_again(comparison, wrong, candidate, evidence, problem.definition.architecture, type);
  };
  if (may_have_flushed(excusable(comparison, candidate, evidence.oracle))) {
    evidence.baselines.push_back(run_without_denormals(problem, type, candidate, wrong));
    compare_wrong_taps();
  }
  if (type == Dtype::bf16) {
    const TapRows worst = worst_rows(wrong, candidate, evidence, type);
    const bool all_large = worst.size() == wrong.size();
    for (const Arithmetic& arithmetic : other_orders(problem, candidate)) {
      if (excusable(comparison, candidate, evidence.oracle).empty()) return comparison;
      if (all_large && !may_be_rounded_so(problem, candidate, arithmetic, worst)) continue;
      evidence.other_rounding.push_back(run_forced(problem, type, arithmetic, candidate, wrong));
      compare_wrong_taps();
    }
  }
  if (excusable(comparison, candidate, evidence.oracle).empty()) return comparison;
  return compared_by_spreads(problem, candidate, type, evidence, comparison);
}

}  // namespace

std::vector<Arithmetic> baselines_for(Dtype type, bool is_plain_reference) {
  if (is_plain_reference || type == Dtype::f64) return {kPermuted, kReversed};
  // In bfloat16 attention may take its probabilities rounded, which the plain reference does not.
  if (type == Dtype::bf16) return {kPermuted, Arithmetic(), kReversed};
  return {Arithmetic(), kPermuted, kReversed};
}

double largest_share(const std::vector<TapResult>& taps) {
  double used = 0;
  for (const TapResult& tap : taps) used = std::max(used, tap.used);
  return used;
}

JudgedTrace compare_with_oracle(const Problem& problem, const Trace& candidate, Dtype type,
                                bool is_plain_reference) {
  JudgedTrace judged;
  auto& [evidence, comparison] = judged;
  const Architecture& architecture = problem.definition.architecture;
  const std::vector<Arithmetic> baselines = baselines_for(type, is_plain_reference);
  // 1. the oracle and the first baseline
  const auto run = [&](Dtype precision, const Arithmetic& arithmetic) {
    return run_forced(problem, precision, arithmetic, candidate, Forcing::everything);
  };
  std::future<ReferenceRun> baseline =
      std::async(launch_policy(problem), run, type, std::cref(baselines.front()));
  evidence.oracle = run(Dtype::f64, kPlain);
  evidence.baselines.push_back(baseline.get());
  comparison = compare_trace(candidate, evidence, architecture, type);
  // 2. the others, of the taps that come near to a bound
  std::set<std::string> near;
  for (const TapResult& tap : comparison.taps) {
    if (tap.used > second_opinion(type)) near.insert(tap.name);
  }
  if (!near.empty()) {
    for (std::size_t other = 1; other < baselines.size(); ++other) {
      evidence.baselines.push_back(run_forced(problem, type, baselines[other], candidate, near));
    }
    comparison = compared_again(comparison, near, candidate, evidence, architecture, type);
  }
  // 3. what can excuse those that fail
  comparison = excuse(problem, candidate, type, evidence, std::move(comparison));
  return judged;
}

}  // namespace forgecheck
