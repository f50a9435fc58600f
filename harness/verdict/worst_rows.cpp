#include "harness/verdict/worst_rows.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "harness/verdict/tap_error.h"
#include "harness/verdict/tolerance.h"

namespace forgecheck {

namespace {

/// The largest share of its tolerance that an element of each row uses.
std::vector<double> shares_of_rows(const std::string& name, const Trace& candidate, const Evidence& evidence,
                                   Dtype type) {
  const Tensor<double> oracle = evidence.oracle.trace.at(name).to<double>();
  const Tensor<double> stored = half_units(oracle, type);
  const Tensor<double> used = shares(
      candidate.at(name).to<double>(), oracle, stored,
      tolerances_beyond(oracle, farthest_baseline(evidence, name), stored, type, spread_of(evidence, name)));
  std::vector<double> largest;
  for (std::int64_t r = 0; r < used.rows(); ++r) largest.push_back(std::ranges::max(used.row(r)));
  return largest;
}

bool is_large(const std::string& name, const Trace& candidate, const Evidence& evidence) {
  const Array &value = candidate.at(name), &oracle = evidence.oracle.trace.at(name);
  return !evidence.oracle.decisions.contains(name) && is_floating_point(value.dtype()) &&
         value.size() >= kLargeTap && value.shape() == oracle.shape();
}

}  // namespace

TapRows worst_rows(const std::set<std::string>& names, const Trace& candidate, const Evidence& evidence,
                   Dtype type) {
  TapRows result;
  for (const std::string& name : names) {
    if (!is_large(name, candidate, evidence)) continue;
    std::vector<std::pair<double, std::int64_t>> wrong;
    for (const double share : shares_of_rows(name, candidate, evidence, type)) {
      wrong.emplace_back(share, std::ssize(wrong));
    }
    std::erase_if(wrong, [](const auto& row) { return row.first <= 1; });
    if (wrong.empty()) continue;
    std::ranges::stable_sort(wrong, std::greater(), [](const auto& row) { return row.first; });
    wrong.resize(std::min(wrong.size(), kWorstRows));
    std::vector<std::int64_t>& rows = result[name];
    for (const auto& [share, row] : wrong) rows.push_back(row);
    std::ranges::sort(rows);
  }
  return result;
}

bool is_wrong_in(const std::vector<std::int64_t>& rows, const std::string& name, const Trace& candidate,
                 const Evidence& evidence, Dtype type) {
  const std::vector<double> used = shares_of_rows(name, candidate, evidence, type);
  return std::ranges::any_of(rows, [&](std::int64_t row) { return used[static_cast<std::size_t>(row)] > 1; });
}

Tensor<double> only(const std::vector<std::int64_t>& rows, const Tensor<double>& values) {
  Tensor<double> result(values.shape);
  for (const std::int64_t row : rows) std::ranges::copy(values.row(row), result.row(row).begin());
  return result;
}

}  // namespace forgecheck
