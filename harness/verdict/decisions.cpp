#include "harness/verdict/decisions.h"

#include <algorithm>
#include <limits>

#include "harness/verdict/tolerance.h"

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

/// How much the worst of the oracle's own choices is better than the best of those the candidate put in its
/// place, by the oracle's scores of that row.
double margin_of(std::span<const double> scores, const std::vector<std::int64_t>& oracle_only,
                 const std::vector<std::int64_t>& candidate_only) {
  double worst_kept = std::numeric_limits<double>::infinity(), best_taken = -worst_kept;
  for (const std::int64_t i : oracle_only)
    worst_kept = std::min(worst_kept, scores[static_cast<std::size_t>(i)]);
  for (const std::int64_t i : candidate_only)
    best_taken = std::max(best_taken, scores[static_cast<std::size_t>(i)]);
  return worst_kept - best_taken;
}

}  // namespace

TapResult compare_choices(const std::string& name, const Array& indices, const Decision& oracle,
                          const Decision& baseline, Dtype type, std::vector<UndecidedChoice>& undecided) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const std::string invalid = invalid_choice(indices, oracle.chosen.shape, oracle.scores.width());
  if (!invalid.empty()) return {name, Verdict::mismatch, kInfinity, 0.0, kInfinity, invalid};
  TapResult result{name, Verdict::match, 0.0, 0.0, 0.0, ""};
  const std::vector<double> bounds = score_bounds(oracle.scores, baseline.scores, type);
  const Tensor<std::int64_t> values = indices.to_int64();
  for (std::int64_t r = 0; r < values.rows(); ++r) {
    const std::vector<std::int64_t> chosen = sorted_row(values, r), expected = sorted_row(oracle.chosen, r);
    if (chosen == expected) continue;
    // Both scores of a pair may be off by the bound.
    const double bound = 2.0 * bounds[static_cast<std::size_t>(r)];
    const double margin =
        margin_of(oracle.scores.row(r), only_in(expected, chosen), only_in(chosen, expected));
    if (margin <= bound) {
      undecided.push_back({name, r, chosen, expected, margin, bound});
      if (result.verdict == Verdict::match) result.verdict = Verdict::undecided;
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
