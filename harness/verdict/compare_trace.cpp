#include "harness/verdict/compare_trace.h"

#include <algorithm>

#include "harness/tap/tap_kind.h"
#include "harness/verdict/decisions.h"
#include "harness/verdict/tap_error.h"
#include "harness/verdict/tolerance.h"
#include "harness/verdict/vacuity.h"

namespace forgecheck {

namespace {

/// For each element, the one of `values` that is farthest from the oracle's: one that is no number where the oracle's
/// is one, if there is any.
Tensor<double> farthest(const std::vector<Tensor<double>>& values, const Tensor<double>& oracle) {
  Tensor<double> result = values.front();
  for (const Tensor<double>& other : values) {
    for (std::int64_t i = 0; i < result.size(); ++i) {
      if (distance(other[i], oracle[i]) > distance(result[i], oracle[i])) result[i] = other[i];
    }
  }
  return result;
}

/// Generated tokens (B, prompt + new) as choices (steps * B, 1), step by step; none where the prompt, the
/// length or the type is another than the oracle's.
std::optional<Array> generated_tokens(const Array& candidate, const Array& oracle, std::int64_t choices) {
  if (is_floating_point(candidate.dtype()) || candidate.shape() != oracle.shape()) return std::nullopt;
  const std::int64_t batch = oracle.shape()[0], length = oracle.shape()[1];
  const std::int64_t prompt = length - choices / batch;
  Tensor<std::int64_t> rows({choices, 1});
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t position = 0; position < length; ++position) {
      const std::int64_t token = candidate.int_at(b * length + position);
      if (position >= prompt) {
        rows[(position - prompt) * batch + b] = token;
      } else if (token != oracle.int_at(b * length + position)) {
        return std::nullopt;
      }
    }
  }
  return Array::from(rows);
}

TapResult compare_decision(const std::string& name, TapKind kind, const Array& value,
                           const Evidence& evidence, Dtype type, const Spread* spread,
                           std::vector<UndecidedChoice>& undecided) {
  const Decision& oracle = evidence.oracle.decisions.at(name);
  Decision baseline = evidence.baselines.front().decisions.at(name);
  std::vector<Tensor<double>> scores;
  for (const ReferenceRun& run : evidence.baselines) scores.push_back(run.decisions.at(name).scores);
  baseline.scores = farthest(scores, oracle.scores);
  if (kind != TapKind::tokens) {
    return compare_choices(name, value, oracle, baseline, type, undecided, spread);
  }

  const Array& expected = evidence.oracle.trace.at(name);
  const std::optional<Array> choices = generated_tokens(value, expected, oracle.chosen.rows());
  return choices ? compare_choices(name, *choices, oracle, baseline, type, undecided, spread)
                 : compare_integers(name, value, expected);
}

/// Whether another order of rounding changes nothing at this tap.
bool is_a_baseline(const Evidence& evidence, const std::string& name, const Array& other) {
  return std::ranges::any_of(evidence.baselines, [&](const ReferenceRun& run) {
    return std::ranges::equal(run.trace.at(name).bytes(), other.bytes());
  });
}

TapResult compare_numbers(const std::string& name, const Array& value, const Evidence& evidence, Dtype type,
                          const Spread* spread) {
  const Tensor<double> oracle = evidence.oracle.trace.at(name).to<double>();
  TapResult result = compare_floating(name, value, oracle, farthest_baseline(evidence, name), type, spread);
  if (result.verdict != Verdict::mismatch || value.shape() != oracle.shape) return result;
  for (const ReferenceRun& run : evidence.other_rounding) {
    const Array& other = run.trace.at(name);
    if (is_a_baseline(evidence, name, other)) continue;
    if (const std::optional<TapResult> excused = compare_other_rounding(name, value, other)) return *excused;
  }
  if (std::string empty = emptiness(value, oracle); !empty.empty()) {
    result.verdict = Verdict::untrusted;
    result.message = std::move(empty);
  }
  return result;
}

}  // namespace

Tensor<double> farthest_baseline(const Evidence& evidence, const std::string& tap) {
  std::vector<Tensor<double>> values;
  for (const ReferenceRun& run : evidence.baselines) values.push_back(run.trace.at(tap).to<double>());
  return farthest(values, evidence.oracle.trace.at(tap).to<double>());
}

Comparison compare_trace(const Trace& candidate, const Evidence& evidence, const Architecture& architecture,
                         Dtype type) {
  Comparison comparison;
  for (const auto& [name, expected] : evidence.oracle.trace.entries()) {
    const Array* value = candidate.find(name);
    if (value == nullptr) continue;
    const auto measured = evidence.spreads.find(name);
    const Spread* spread = measured == evidence.spreads.end() ? nullptr : &measured->second;
    const TapKind kind = place_of(name, architecture).kind;
    if (evidence.oracle.decisions.contains(name)) {
      comparison.taps.push_back(
          compare_decision(name, kind, *value, evidence, type, spread, comparison.undecided));
    } else if (is_counted(kind)) {
      comparison.taps.push_back(compare_integers(name, *value, expected));
    } else {
      comparison.taps.push_back(compare_numbers(name, *value, evidence, type, spread));
    }
  }
  return comparison;
}

}  // namespace forgecheck
