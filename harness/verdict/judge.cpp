#include "harness/verdict/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/verdict/baselines.h"
#include "harness/verdict/tolerance.h"
#include "harness/verdict/vacuity.h"

namespace forgecheck {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::string_view kOutputs[] = {"logits", "tokens", "loss.total"};

/// One verdict for all taps: the worst.
Verdict combined(const std::vector<TapResult>& taps) {
  Verdict verdict = Verdict::match;
  for (const TapResult& tap : taps) {
    if (tap.verdict == Verdict::mismatch) return Verdict::mismatch;
    if (tap.verdict == Verdict::untrusted) verdict = Verdict::untrusted;
    if (tap.verdict == Verdict::undecided && verdict == Verdict::match) verdict = Verdict::undecided;
  }
  return verdict;
}

double largest_share(const std::vector<TapResult>& taps) {
  double used = 0;
  for (const TapResult& tap : taps) used = std::max(used, tap.used);
  return used;
}

Judgement failed(Verdict verdict, const std::string& message) {
  Judgement judgement;
  judgement.verdict = verdict;
  judgement.used = kInfinity;
  judgement.message = message;
  return judgement;
}

}  // namespace

void Judge::explain(Judgement& judgement, const TapResult& first, const Trace& candidate,
                    const Evidence& evidence, Dtype type, Detail detail) const {
  Failure failure{problem_, candidate, type, evidence.oracle};
  std::optional<Tensor<double>> baseline;
  if (is_floating_point(evidence.oracle.trace.at(first.name).dtype())) {
    baseline = farthest_baseline(evidence, first.name);
  }
  const auto spread = evidence.spreads.find(first.name);
  if (spread != evidence.spreads.end()) failure.spread = &spread->second;
  std::optional<ReferenceRun> alone;
  if (detail == Detail::explanation) {
    alone = run_along(problem_, Dtype::f64, Arithmetic(), Trace(), Forcing::nothing);
    failure.alone = &*alone;
    add_inherited_errors(judgement.taps, evidence.oracle.trace, alone->trace);
  }
  Trace wrong;
  wrong.add(first.name, candidate.at(first.name));
  const Explains explains = [&](const Problem& changed, const Trace& forced) {
    Evidence other;
    other.oracle = run_along(changed, Dtype::f64, Arithmetic(), forced, Forcing::everything);
    for (const Arithmetic& arithmetic : baselines_for(type, false)) {
      other.baselines.push_back(run_along(changed, type, arithmetic, forced, Forcing::everything));
    }
    const std::vector<TapResult> taps =
        compare_trace(wrong, other, changed.definition.architecture, type).taps;
    return !taps.empty() && is_success(taps.front().verdict);
  };
  judgement.first_divergence = first_divergence(failure, first, baseline, explains, detail);
}

Judgement Judge::judge(const Trace& candidate, Dtype type, bool is_plain_reference, Detail detail) const {
  // 1. the oracle and one baseline along the candidate's trace; the others where it comes near to a bound
  const Architecture& architecture = problem_.definition.architecture;
  Evidence evidence;
  evidence.oracle = run_along(problem_, Dtype::f64, Arithmetic(), candidate, Forcing::everything);
  Comparison comparison;
  for (const Arithmetic& arithmetic : baselines_for(type, is_plain_reference)) {
    const std::size_t asked = evidence.baselines.size();
    if (asked == 1 && largest_share(comparison.taps) <= second_opinion(type)) break;
    evidence.baselines.push_back(run_along(problem_, type, arithmetic, candidate, Forcing::everything));
    if (asked == 0) comparison = compare_trace(candidate, evidence, architecture, type);
  }
  if (evidence.baselines.size() > 1) comparison = compare_trace(candidate, evidence, architecture, type);

  // 2. where it fails, what other right implementations may do
  comparison = excuse(problem_, candidate, type, evidence, std::move(comparison));
  Judgement judgement;
  judgement.taps = std::move(comparison.taps);
  judgement.undecided = std::move(comparison.undecided);

  add_local_errors(judgement.taps, candidate, evidence.oracle.trace, architecture);

  // 3. a verdict about nothing is none
  const bool has_output = std::ranges::any_of(
      kOutputs, [&](std::string_view output) { return candidate.find(output) != nullptr; });
  if (!has_output)
    return failed(Verdict::untrusted, "the trace has no output (logits, tokens or loss.total)");

  // 4. the worst of all taps, and the first that is wrong
  judgement.used = largest_share(judgement.taps);
  judgement.verdict = combined(judgement.taps);
  const auto first =
      std::ranges::find_if(judgement.taps, [](const TapResult& tap) { return !is_success(tap.verdict); });
  if (first != judgement.taps.end()) {
    judgement.message = first->name + " " + first->message;
    explain(judgement, TapResult(*first), candidate, evidence, type, detail);
  }
  const auto unknown = std::ranges::find_if(candidate.entries(), [&](const Trace::Entry& entry) {
    return evidence.oracle.trace.find(entry.first) == nullptr;
  });
  if (unknown != candidate.entries().end()) {
    judgement.verdict = Verdict::mismatch;
    judgement.used = kInfinity;
    judgement.message = unknown->first + " is not a tap of this case";
  }
  std::int64_t choice_rows = 0;
  for (const auto& [name, decision] : evidence.oracle.decisions) choice_rows += decision.chosen.rows();
  const bool mostly_undecided = 2 * std::ssize(judgement.undecided) > choice_rows;
  if (is_success(judgement.verdict) && mostly_undecided) {
    judgement.verdict = Verdict::untrusted;
    judgement.message = "most choices are undecided";
  }
  if (is_success(judgement.verdict)) {
    judgement.message = vacuity(problem_, evidence.oracle);
    if (!judgement.message.empty()) judgement.verdict = Verdict::untrusted;
  }
  return judgement;
}

}  // namespace forgecheck
