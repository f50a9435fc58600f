#include "harness/verdict/decisions.h"

#include <algorithm>
#include <cmath>

#include "harness/verdict/tolerance.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

std::vector<std::int64_t> sorted_row(const Tensor<std::int64_t>& indices, std::int64_t r) {
  std::vector<std::int64_t> row(indices.row(r).begin(), indices.row(r).end());
  std::ranges::sort(row);
  return row;
}

std::vector<std::int64_t> only_in(const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
  std::vector<std::int64_t> result;
  std::ranges::set_difference(a, b, std::back_inserter(result));
  return result;
}

std::string list(const std::vector<std::int64_t>& values) {
  std::string text;
  for (const std::int64_t value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
  return "{" + text + "}";
}

/// By the oracle's scores of that row, the best of the oracle's choices that the candidate left out minus the
/// worst that it took instead: a right choice may exchange near equals only. NaN, which is within no bound,
/// if a score is NaN.
double margin_of(std::span<const double> scores, const std::vector<std::int64_t>& oracle_only,
                 const std::vector<std::int64_t>& candidate_only) {
  double margin = -kInfinity;
  for (const std::int64_t left : oracle_only) {
    for (const std::int64_t taken : candidate_only) {
      const double better = scores[static_cast<std::size_t>(left)] - scores[static_cast<std::size_t>(taken)];
      if (!(better <= margin)) margin = better;
      if (std::isnan(margin)) return margin;
    }
  }
  return margin;
}

}  // namespace

TapResult compare_choices(const std::string& name, const Array& indices, const Decision& oracle,
                          const Decision& baseline, Dtype type, std::vector<UndecidedChoice>& undecided,
                          const Spread* spread) {
  const std::string invalid = invalid_choice(indices, oracle.chosen.shape, oracle.scores.width());
  if (!invalid.empty()) return {name, Verdict::mismatch, kInfinity, 0.0, kInfinity, invalid};
  TapResult result{.name = name};
  const Tensor<double> tolerances = element_tolerances(oracle.scores, baseline.scores, type, spread);
  const Tensor<std::int64_t> values = indices.to_int64();
  for (std::int64_t r = 0; r < values.rows(); ++r) {
    const std::vector<std::int64_t> chosen = sorted_row(values, r), expected = sorted_row(oracle.chosen, r);
    if (chosen == expected) continue;
    // Both scores of a pair may be off by the bound.
    const double bound = 2.0 * std::ranges::max(tolerances.row(r));
    const double margin =
        margin_of(oracle.scores.row(r), only_in(expected, chosen), only_in(chosen, expected));
    if (margin <= bound) {
      undecided.push_back({name, r, chosen, expected, margin, bound});
      // Between equal scores every choice is right.
      if (margin != 0 && result.verdict == Verdict::match) result.verdict = Verdict::undecided;
    } else if (result.verdict != Verdict::mismatch) {
      result = {name,
                Verdict::mismatch,
                margin,
                bound,
                margin / bound,
                "chooses " + list(chosen) + " in row " + std::to_string(r) + ", the oracle " +
                    list(expected) + " by a clear margin"};
    }
  }
  return result;
}

}  // namespace forgecheck
