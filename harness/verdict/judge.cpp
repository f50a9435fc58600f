#include "harness/verdict/judge.h"

#include <algorithm>
#include <limits>

#include "harness/backend/reference_run.h"
#include "harness/verdict/decisions.h"
#include "harness/verdict/tolerance.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::string_view kDecisionSuffix = ".router.indices";
constexpr std::string_view kOutputs[] = {"logits", "tokens", "loss.total"};

bool all_zero(const Array& array) {
  for (std::int64_t i = 0; i < array.size(); ++i) {
    if (array.at(i) != 0) return false;
  }
  return true;
}

/// The candidate's choices, all of them.
Trace choices_of(const Trace& candidate) {
  Trace choices;
  for (const auto& [name, value] : candidate.entries()) {
    if (name.ends_with(kDecisionSuffix)) choices.add(name, value);
  }
  return choices;
}

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

/// "tap: what is wrong" for the first tap, in execution order, that is not right.
std::string first_message(const std::vector<TapResult>& taps, Verdict verdict) {
  const auto found = std::ranges::find(taps, verdict, &TapResult::verdict);
  return found == taps.end() ? "" : found->name + " " + found->message;
}

Judgement failed(Verdict verdict, const std::string& message) {
  Judgement judgement;
  judgement.verdict = verdict;
  judgement.used = std::numeric_limits<double>::infinity();
  judgement.message = message;
  return judgement;
}

}  // namespace

const Judge::Run& Judge::run(Dtype precision, linalg::Kind kind, const Trace& forced) {
  std::string key = std::string(torch_name(precision)) + " " + std::string(linalg::name(kind));
  for (const auto& [name, value] : forced.entries()) {
    key += "|" + name + "=";
    for (std::int64_t i = 0; i < value.size(); ++i) key += std::to_string(value.int_at(i)) + ",";
  }
  const auto found = runs_.find(key);
  if (found != runs_.end()) return found->second;
  Tracer tracer;
  tracer.force(forced, Forcing::decisions);
  run_reference(problem_, precision, kind, tracer);
  auto decisions = tracer.decisions();
  return runs_.emplace(key, Run{tracer.take(), std::move(decisions)}).first->second;
}

Judge::Standard Judge::standard(const Trace& forced, Dtype type, bool permuted) {
  // In float64 the plain reference is the oracle itself.
  const bool other_order = permuted || type == Dtype::f64;
  return {run(Dtype::f64, linalg::Kind::plain, forced),
          run(type, other_order ? linalg::Kind::permuted : linalg::Kind::plain, forced)};
}

Judgement Judge::judge(const Trace& candidate, Dtype type, bool is_plain_reference) {
  // 1. choices that are none cannot be followed
  const Trace choices = choices_of(candidate);
  if (!choices.empty()) {
    const Run& unforced = run(Dtype::f64, linalg::Kind::plain, Trace());
    for (const auto& [name, indices] : choices.entries()) {
      const auto decision = unforced.decisions.find(name);
      if (decision == unforced.decisions.end()) {
        return failed(Verdict::mismatch, name + " is not a tap of this case");
      }
      const std::string invalid =
          invalid_choice(indices, decision->second.chosen.shape, decision->second.scores.width());
      if (!invalid.empty()) return failed(Verdict::mismatch, name + " " + invalid);
    }
  }

  // 2. compare in the order of execution
  const Standard judged_by = standard(choices, type, is_plain_reference);
  Judgement judgement;
  std::int64_t choice_rows = 0;
  bool has_output = false;
  for (const auto& [name, oracle] : judged_by.oracle.trace.entries()) {
    const Array* value = candidate.find(name);
    if (value == nullptr) continue;
    has_output = has_output || std::ranges::find(kOutputs, name) != std::end(kOutputs);
    TapResult result;
    if (const auto decision = judged_by.oracle.decisions.find(name);
        decision != judged_by.oracle.decisions.end()) {
      choice_rows += decision->second.chosen.rows();
      result = compare_choices(name, *value, decision->second, judged_by.baseline.decisions.at(name), type,
                               judgement.undecided);
    } else if (!is_floating_point(oracle.dtype()) || name.ends_with("expert_counts")) {
      result = compare_integers(name, *value, oracle);
    } else {
      result = compare_floating(name, *value, oracle.to<double>(),
                                judged_by.baseline.trace.at(name).to<double>(), type);
      if (result.verdict == Verdict::mismatch && all_zero(*value) && !all_zero(oracle)) {
        result.verdict = Verdict::untrusted;
        result.message = "is all zero";
      }
    }
    judgement.used = std::max(judgement.used, result.used);
    judgement.taps.push_back(std::move(result));
  }

  // 3. what the oracle does not know, and what says nothing
  for (const auto& [name, value] : candidate.entries()) {
    if (judged_by.oracle.trace.find(name) == nullptr) {
      return failed(Verdict::mismatch, name + " is not a tap of this case");
    }
  }
  if (!has_output)
    return failed(Verdict::untrusted, "the trace has no output (logits, tokens or loss.total)");
  judgement.verdict = combined(judgement.taps);
  judgement.message = first_message(judgement.taps, judgement.verdict);
  if (judgement.verdict == Verdict::undecided && 2 * std::ssize(judgement.undecided) > choice_rows) {
    judgement.verdict = Verdict::untrusted;
    judgement.message = "most choices are undecided";
  }
  return judgement;
}

}  // namespace forgecheck
