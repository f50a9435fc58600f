#include "harness/fuzz/case_check.h"

#include <fmt/format.h>

#include <algorithm>

#include "harness/fuzz/own_noise.h"
#include "harness/fuzz/relations.h"
#include "harness/tap/tap_kind.h"
#include "harness/verdict/judge.h"
#include "harness/verdict/judge_backend.h"

namespace forgecheck {

namespace {

const std::string kLogits = "logits";

/// Takes one tap's result into the judgement; whether it is a mismatch, at which `hint` is found out.
bool add(Judgement& judgement, const TapResult& tap, const std::string& hint = "") {
  judgement.used = std::max(judgement.used, tap.used);
  judgement.verdict = worse(judgement.verdict, tap.verdict);
  if (tap.verdict == Verdict::match) return false;
  judgement.message = fmt::format("{}{}{} {}", hint, hint.empty() ? "" : ": ", tap.name, tap.message);
  if (tap.verdict != Verdict::mismatch) return false;
  FirstDivergence& first = judgement.first_divergence.emplace();
  first.tap = tap.name;
  first.hint = hint;
  first.local_error = tap.error;
  first.tolerance = tap.tolerance;
  return true;
}

OwnNoise expected_noise(const Related& related, const OwnNoise& plain) {
  OwnNoise noise;
  noise.plain.add(related.tap, expected_logits(related, plain.plain.at(kLogits)));
  for (const Trace& moved : plain.moved) {
    noise.moved.emplace_back().add(related.tap, expected_logits(related, moved.at(kLogits)));
  }
  return noise;
}

Judgement judge_relations(Backend& backend, const Problem& problem) {
  const Problem plain = plain_problem(problem);
  const TapFilter wants = [](std::string_view tap) { return tap == kLogits; };
  const OwnNoise noise = measure_own_noise(backend, plain, wants);
  Judgement judgement;
  for (const Relation& relation : relations()) {
    RandomDraws draws(relation.name, problem.definition.seed);
    const auto related = relation.make(plain, noise.plain.at(kLogits).shape(), draws);
    if (!related || !backend.refusal(related->problem.definition).empty()) continue;
    const Trace trace =
        backend.run(related->problem, [&](std::string_view tap) { return tap == related->tap; });
    const auto is_compared = [&](std::int64_t row) {
      return related->equals[static_cast<std::size_t>(row)] >= 0;
    };
    const TapResult result =
        compare_own(related->tap, trace.at(related->tap), expected_noise(*related, noise),
                    backend.precision(plain.definition), is_compared);
    if (add(judgement, result, relation.name)) break;
  }
  return judgement;
}

/// The tap of the scores that a tap of choices is made by: "...router.gate" of "...router.indices".
std::string scores_of(const std::string& choices) {
  return choices.substr(0, choices.rfind('.')) + ".gate";
}

Judgement judge_agreement(Backend& first, Backend& second, const Problem& problem) {
  const OwnNoise noise = measure_own_noise(first, problem, {});
  const Trace trace = second.run(problem, {});
  Judgement judgement;
  for (const auto& [name, expected] : noise.plain.entries()) {
    const Array* const value = trace.find(name);
    if (value == nullptr) continue;
    const bool is_choice = place_of(name, problem.definition.architecture).kind == TapKind::indices;
    const Dtype type = first.precision(problem.definition);
    TapResult result = compare_own(name, *value, noise, type, {}, !is_choice);
    const bool by_experts =
        problem.definition.architecture.is(VlmArch::moma) && problem.inputs.gumbel.empty();
    // Where the scores are known, a tie of some tokens excuses no choice of others.
    if (is_choice && by_experts && result.verdict != Verdict::match &&
        noise.plain.find(scores_of(name)) != nullptr) {
      const bool tie = tokens_tie(*value, expected, noise, scores_of(name), type);
      result.verdict = tie ? Verdict::undecided : Verdict::mismatch;
    }
    const bool parted = add(judgement, result);
    // What follows another choice differs for that reason.
    if (parted || result.verdict == Verdict::undecided) return judgement;
    judgement.taps.push_back(result);
  }
  if (judgement.taps.empty()) return failure(Verdict::untrusted, "the traces have no tap in common");
  return judgement;
}

/// A failed run is a judgement; so is a case that one of them refuses.
Judgement judged_unless_refused(const std::vector<Backend*>& backends, const Problem& problem,
                                const std::function<Judgement()>& judge) {
  for (Backend* const backend : backends) {
    const std::string refusal = backend->refusal(problem.definition);
    if (!refusal.empty()) return failure(Verdict::rejected, backend->name() + ": " + refusal);
  }
  return judged_or_failure(judge);
}

}  // namespace

CaseCheck oracle_check(const std::shared_ptr<Backend>& backend) {
  return {backend->name(), [backend](const Problem& problem) {
            Judgement judgement = judge_backend(*backend, problem);
            const bool all_tie =
                judgement.verdict == Verdict::untrusted && judgement.message == kMostlyUndecided;
            if (all_tie) judgement.verdict = Verdict::undecided;
            return judgement;
          }};
}

CaseCheck relations_check(const std::shared_ptr<Backend>& backend) {
  return {backend->name(), [backend](const Problem& problem) {
            return judged_unless_refused({backend.get()}, plain_problem(problem),
                                         [&] { return judge_relations(*backend, problem); });
          }};
}

CaseCheck agreement_check(const std::shared_ptr<Backend>& first, const std::shared_ptr<Backend>& second) {
  return {first->name() + " against " + second->name(), [first, second](const Problem& problem) {
            return judged_unless_refused({first.get(), second.get()}, problem,
                                         [&] { return judge_agreement(*first, *second, problem); });
          }};
}

}  // namespace forgecheck
