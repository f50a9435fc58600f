#include "harness/verdict/compare_trace.h"

#include <algorithm>
#include <iterator>
#include <map>

#include "harness/tap/tap_kind.h"
#include "harness/verdict/decisions.h"
#include "harness/verdict/tap_error.h"
#include "harness/verdict/tolerance.h"
#include "harness/verdict/vacuity.h"
#include "reference/linalg/parallel.h"

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
  for (const ReferenceRun& run : evidence.baselines) {
    if (const auto own = run.decisions.find(name); own != run.decisions.end())
      scores.push_back(own->second.scores);
  }
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
    const Array* own = run.trace.find(name);
    return own != nullptr && std::ranges::equal(own->bytes(), other.bytes());
  });
}

TapResult compare_numbers(const std::string& name, const Array& value, const Evidence& evidence, Dtype type,
                          const Spread* spread) {
  const Tensor<double> oracle = evidence.oracle.trace.at(name).to<double>();
  TapResult result = compare_floating(name, value, oracle, farthest_baseline(evidence, name), type, spread);
  if (result.verdict != Verdict::mismatch || value.shape() != oracle.shape) return result;
  for (const ReferenceRun& run : evidence.other_rounding) {
    const Array* other = run.trace.find(name);
    if (other == nullptr || is_a_baseline(evidence, name, *other)) continue;
    if (const std::optional<TapResult> excused = compare_other_rounding(name, value, *other)) return *excused;
  }
  if (std::string empty = emptiness(value, oracle); !empty.empty()) {
    result.verdict = Verdict::untrusted;
    result.message = std::move(empty);
  }
  return result;
}

/// The result of one tap, and the choices in it that are undecided.
struct ComparedTap {
  TapResult result;
  std::vector<UndecidedChoice> undecided;
};

ComparedTap compare_tap(const std::string& name, const Array& value, const Evidence& evidence,
                        const Architecture& architecture, Dtype type) {
  const Spread* spread = spread_of(evidence, name);
  const TapKind kind = place_of(name, architecture).kind;
  ComparedTap compared;
  if (evidence.oracle.decisions.contains(name)) {
    compared.result = compare_decision(name, kind, value, evidence, type, spread, compared.undecided);
  } else if (is_counted(kind)) {
    compared.result = compare_integers(name, value, evidence.oracle.trace.at(name));
  } else {
    compared.result = compare_numbers(name, value, evidence, type, spread);
  }
  return compared;
}

/// Traces of so many elements are compared on several threads.
constexpr std::int64_t kManyNumbers = std::int64_t{1} << 20;

std::vector<ComparedTap> compare_taps(const std::vector<std::string>& names, const Trace& candidate,
                                      const Evidence& evidence, const Architecture& architecture,
                                      Dtype type) {
  std::int64_t elements = 0;
  for (const std::string& name : names) elements += candidate.at(name).size();
  std::vector<ComparedTap> compared(names.size());
  const std::int64_t threads = elements >= kManyNumbers ? linalg::thread_count() : 1;
  linalg::parallel_for(threads, std::ssize(names), [&](std::int64_t i) {
    const std::string& name = names[static_cast<std::size_t>(i)];
    compared[static_cast<std::size_t>(i)] =
        compare_tap(name, candidate.at(name), evidence, architecture, type);
  });
  return compared;
}

}  // namespace

const Spread* spread_of(const Evidence& evidence, const std::string& tap) {
  const auto measured = evidence.spreads.find(tap);
  return measured == evidence.spreads.end() ? nullptr : &measured->second;
}

Tensor<double> farthest_baseline(const Evidence& evidence, const std::string& tap) {
  std::vector<Tensor<double>> values;
  for (const ReferenceRun& run : evidence.baselines) {
    if (const Array* own = run.trace.find(tap)) values.push_back(own->to<double>());
  }
  return farthest(values, evidence.oracle.trace.at(tap).to<double>());
}

Comparison compare_trace(const Trace& candidate, const Evidence& evidence, const Architecture& architecture,
                         Dtype type) {
  std::vector<std::string> names;
  for (const auto& [name, expected] : evidence.oracle.trace.entries()) {
    if (candidate.find(name) != nullptr) names.push_back(name);
  }
  Comparison comparison;
  for (ComparedTap& tap : compare_taps(names, candidate, evidence, architecture, type)) {
    comparison.taps.push_back(std::move(tap.result));
    std::ranges::move(tap.undecided, std::back_inserter(comparison.undecided));
  }
  return comparison;
}

Comparison compared_again(const Comparison& comparison, const std::set<std::string>& names,
                          const Trace& candidate, const Evidence& evidence, const Architecture& architecture,
                          Dtype type) {
  std::map<std::string, ComparedTap> again;
  for (ComparedTap& tap :
       compare_taps({names.begin(), names.end()}, candidate, evidence, architecture, type)) {
    const std::string name = tap.result.name;
    again.emplace(name, std::move(tap));
  }
  Comparison result;
  for (const TapResult& tap : comparison.taps) {
    const auto found = again.find(tap.name);
    result.taps.push_back(found == again.end() ? tap : found->second.result);
    const std::vector<UndecidedChoice>& choices =
        found == again.end() ? comparison.undecided : found->second.undecided;
    std::ranges::copy_if(choices, std::back_inserter(result.undecided),
                         [&](const UndecidedChoice& choice) { return choice.tap == tap.name; });
  }
  return result;
}

}  // namespace forgecheck
