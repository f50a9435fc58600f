#include "harness/verdict/judge.h"

#include <algorithm>
#include <cmath>

#include "harness/tap/outputs.h"
#include "harness/tap/tap_kind.h"
#include "harness/verdict/baselines.h"
#include "harness/verdict/notes.h"
#include "harness/verdict/tap_error.h"
#include "harness/verdict/vacuity.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

/// Fills `local` of each result: the candidate compared with the oracle forced to its trace.
void add_local_errors(std::vector<TapResult>& taps, const Trace& candidate, const ReferenceRun& oracle,
                      const Architecture& architecture) {
  for (TapResult& tap : taps) {
    const Array& value = candidate.at(tap.name);
    const Array& expected = oracle.trace.at(tap.name);
    // Choices have no order in their row.
    const bool choices = place_of(tap.name, architecture).kind == TapKind::indices &&
                         value.shape() == expected.shape() && !is_floating_point(value.dtype());
    tap.local =
        choices ? relative_error(sorted_rows(value), sorted_rows(expected)) : relative_error(value, expected);
  }
}

bool has_output(const Trace& candidate) {
  return std::ranges::any_of(kOutputs,
                             [&](std::string_view output) { return candidate.find(output) != nullptr; });
}

/// The first tap of the trace that the case does not have; empty if none.
std::string unknown_tap(const Trace& candidate, const ReferenceRun& oracle) {
  for (const auto& [name, value] : candidate.entries()) {
    if (oracle.trace.find(name) == nullptr) return name;
  }
  return "";
}

bool mostly_undecided(const Judgement& judgement, const ReferenceRun& oracle) {
  std::int64_t rows = 0;
  for (const auto& [name, decision] : oracle.decisions) rows += decision.chosen.rows();
  return 2 * std::ssize(judgement.undecided) > rows;
}

void set(Judgement& judgement, Verdict verdict, const std::string& message) {
  judgement.verdict = verdict;
  judgement.message = message;
}

}  // namespace

Judgement judge(const Problem& problem, const Trace& candidate, Dtype type, bool is_plain_reference,
                Detail detail) {
  Judgement judgement;
  if (!has_output(candidate)) {
    set(judgement, Verdict::untrusted, "the trace has no output (logits, tokens or loss.total)");
    judgement.used = kInfinity;
    return judgement;
  }

  // 1. every tap
  JudgedTrace judged = compare_with_oracle(problem, candidate, type, is_plain_reference);
  const ReferenceRun& oracle = judged.evidence.oracle;
  judgement.taps = std::move(judged.comparison.taps);
  judgement.undecided = std::move(judged.comparison.undecided);
  add_local_errors(judgement.taps, candidate, oracle, problem.definition.architecture);
  judgement.used = largest_share(judgement.taps);
  for (const TapResult& tap : judgement.taps) judgement.verdict = worse(judgement.verdict, tap.verdict);

  // 2. the first wrong tap
  const auto first =
      std::ranges::find_if(judgement.taps, [](const TapResult& tap) { return !is_success(tap.verdict); });
  if (first != judgement.taps.end()) {
    judgement.message = first->name + " " + first->message;
    const Failure failure{problem, candidate, type, judged.evidence};
    judgement.first_divergence = explain(failure, TapResult(*first), judgement.taps, detail);
  }

  // 3. what no single tap shows
  if (const std::string unknown = unknown_tap(candidate, oracle); !unknown.empty()) {
    set(judgement, Verdict::mismatch, unknown + " is not a tap of this case");
    judgement.used = kInfinity;
  }
  if (is_success(judgement.verdict) && mostly_undecided(judgement, oracle)) {
    set(judgement, Verdict::untrusted, kMostlyUndecided);
  }
  if (is_success(judgement.verdict)) {
    judgement.message = vacuity(oracle);
    if (!judgement.message.empty()) judgement.verdict = Verdict::untrusted;
  }
  if (is_success(judgement.verdict)) judgement.notes = notes_on(problem, candidate, oracle);
  return judgement;
}

}  // namespace forgecheck
