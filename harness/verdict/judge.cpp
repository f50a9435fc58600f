#include "harness/verdict/judge.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "harness/verdict/decisions.h"
#include "harness/verdict/tolerance.h"
#include "harness/verdict/vacuity.h"

namespace forgecheck {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::string_view kOutputs[] = {"logits", "tokens", "loss.total"};

/// The share of a tolerance from which a second and third baseline are asked, as one may be exact by luck:
/// more than a candidate with just the baseline's error uses.
double second_opinion(Dtype type) {
  return std::max(0.45, 1.1 / kappa(type));
}

/// For each element, the baseline's value that is farthest from the oracle's.
Tensor<double> farthest(const std::vector<Tensor<double>>& baselines, const Tensor<double>& oracle) {
  Tensor<double> result = baselines.front();
  for (const Tensor<double>& other : baselines) {
    for (std::int64_t i = 0; i < result.size(); ++i) {
      if (!(std::abs(other[i] - oracle[i]) <= std::abs(result[i] - oracle[i]))) result[i] = other[i];
    }
  }
  return result;
}

bool is_tokens(std::string_view name) {
  return name == "tokens" || name.starts_with("greedy_from_");
}

/// Generated tokens (B, prompt + new): another prompt or length is a mismatch, the new tokens are choices.
TapResult compare_tokens(const std::string& name, const Array& candidate, const Array& oracle,
                         const Decision& decision, const Decision& baseline, Dtype type,
                         std::vector<UndecidedChoice>& undecided) {
  if (is_floating_point(candidate.dtype()) || candidate.shape() != oracle.shape()) {
    return compare_integers(name, candidate, oracle);
  }
  const std::int64_t batch = oracle.shape()[0], length = oracle.shape()[1];
  const std::int64_t steps = decision.chosen.rows() / batch, prompt = length - steps;
  Tensor<std::int64_t> rows({batch * steps, 1});
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t position = 0; position < length; ++position) {
      const std::int64_t token = candidate.int_at(b * length + position);
      if (position >= prompt) {
        rows[(position - prompt) * batch + b] = token;
      } else if (token != oracle.int_at(b * length + position)) {
        return compare_integers(name, candidate, oracle);
      }
    }
  }
  return compare_choices(name, Array::from(rows), decision, baseline, type, undecided);
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

Judge::Run Judge::run(Dtype precision, linalg::Kind kind, const Trace& forced, Forcing forcing) const {
  return run_along(problem_, precision, kind, forced, forcing);
}

std::vector<TapResult> Judge::compare(const Trace& candidate, const Run& oracle,
                                      const std::vector<Run>& baselines, Dtype type,
                                      std::vector<UndecidedChoice>& undecided) const {
  std::vector<TapResult> results;
  for (const auto& [name, expected] : oracle.trace.entries()) {
    const Array* value = candidate.find(name);
    if (value == nullptr) continue;
    const auto decision = oracle.decisions.find(name);
    if (decision != oracle.decisions.end()) {
      Decision baseline = baselines.front().decisions.at(name);
      std::vector<Tensor<double>> scores;
      for (const Run& run : baselines) scores.push_back(run.decisions.at(name).scores);
      baseline.scores = farthest(scores, decision->second.scores);
      results.push_back(
          is_tokens(name)
              ? compare_tokens(name, *value, expected, decision->second, baseline, type, undecided)
              : compare_choices(name, *value, decision->second, baseline, type, undecided));
    } else if (is_counted(name, expected.dtype())) {
      results.push_back(compare_integers(name, *value, expected));
    } else {
      const Tensor<double> exact = expected.to<double>();
      std::vector<Tensor<double>> values;
      for (const Run& run : baselines) values.push_back(run.trace.at(name).to<double>());
      TapResult result = compare_floating(name, *value, exact, farthest(values, exact), type);
      if (result.verdict == Verdict::mismatch && value->shape() == expected.shape()) {
        if (std::string empty = emptiness(*value, exact); !empty.empty()) {
          result.verdict = Verdict::untrusted;
          result.message = std::move(empty);
        }
      }
      results.push_back(std::move(result));
    }
  }
  return results;
}

void Judge::explain(Judgement& judgement, const TapResult& first, const Trace& candidate, const Run& oracle,
                    const std::vector<Run>& baselines, Dtype type, Detail detail) const {
  Failure failure{problem_, candidate, type, oracle};
  std::optional<Tensor<double>> baseline;
  if (const Array& value = oracle.trace.at(first.name); is_floating_point(value.dtype())) {
    std::vector<Tensor<double>> values;
    for (const Run& run : baselines) values.push_back(run.trace.at(first.name).to<double>());
    baseline = farthest(values, value.to<double>());
  }
  std::optional<Run> alone;
  if (detail == Detail::explanation) {
    alone = run(Dtype::f64, linalg::Kind::plain, Trace(), Forcing::nothing);
    failure.alone = &*alone;
    add_inherited_errors(judgement.taps, oracle.trace, alone->trace);
  }
  Trace wrong;
  wrong.add(first.name, candidate.at(first.name));
  const Explains explains = [&](const Problem& changed, const Trace& forced) {
    const Judge judge(changed);
    std::vector<Run> others;
    for (const linalg::Kind kind : {linalg::Kind::plain, linalg::Kind::permuted, linalg::Kind::reversed}) {
      others.push_back(judge.run(type, kind, forced, Forcing::everything));
    }
    std::vector<UndecidedChoice> undecided;
    const Run along = judge.run(Dtype::f64, linalg::Kind::plain, forced, Forcing::everything);
    const std::vector<TapResult> results = judge.compare(wrong, along, others, type, undecided);
    return !results.empty() && is_success(results.front().verdict);
  };
  judgement.first_divergence = first_divergence(failure, first, baseline, explains, detail);
}

Judgement Judge::judge(const Trace& candidate, Dtype type, bool is_plain_reference, Detail detail) const {
  // 1. the oracle and one baseline along the candidate's trace. In float64 the plain reference is the oracle.
  const bool plain_is_free = !is_plain_reference && type != Dtype::f64;
  const Run oracle = run(Dtype::f64, linalg::Kind::plain, candidate, Forcing::everything);
  std::vector<Run> baselines;
  const auto ask = [&](linalg::Kind kind) {
    baselines.push_back(run(type, kind, candidate, Forcing::everything));
  };
  // In bfloat16 attention may take its probabilities rounded, which the plain reference does not.
  const bool plain_first = plain_is_free && type != Dtype::bf16;
  ask(plain_first ? linalg::Kind::plain : linalg::Kind::permuted);

  // 2. compare; where it is close, or fails, by what all baselines say
  Judgement judgement;
  judgement.taps = compare(candidate, oracle, baselines, type, judgement.undecided);
  if (largest_share(judgement.taps) > second_opinion(type)) {
    if (plain_is_free) ask(plain_first ? linalg::Kind::permuted : linalg::Kind::plain);
    ask(linalg::Kind::reversed);
    judgement.undecided.clear();
    judgement.taps = compare(candidate, oracle, baselines, type, judgement.undecided);
  }

  add_local_errors(judgement.taps, candidate, oracle.trace);

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
    explain(judgement, TapResult(*first), candidate, oracle, baselines, type, detail);
  }
  const auto unknown = std::ranges::find_if(candidate.entries(), [&](const Trace::Entry& entry) {
    return oracle.trace.find(entry.first) == nullptr;
  });
  if (unknown != candidate.entries().end()) {
    judgement.verdict = Verdict::mismatch;
    judgement.used = kInfinity;
    judgement.message = unknown->first + " is not a tap of this case";
  }
  std::int64_t choice_rows = 0;
  for (const auto& [name, decision] : oracle.decisions) choice_rows += decision.chosen.rows();
  const bool mostly_undecided = 2 * std::ssize(judgement.undecided) > choice_rows;
  if (judgement.verdict == Verdict::undecided && mostly_undecided) {
    judgement.verdict = Verdict::untrusted;
    judgement.message = "most choices are undecided";
  }
  if (is_success(judgement.verdict)) {
    judgement.message = vacuity(problem_, oracle);
    if (!judgement.message.empty()) judgement.verdict = Verdict::untrusted;
  }
  return judgement;
}

}  // namespace forgecheck
