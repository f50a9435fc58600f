#include "harness/verdict/spread.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "harness/backend/reference_run.h"
#include "harness/verdict/tolerance.h"
#include "reference/linalg/parallel.h"

namespace forgecheck {

namespace {

/// The oracle's values of a tap, or the scores of a choice.
Tensor<double> values_of(const ReferenceRun& run, const std::string& name) {
  const auto decision = run.decisions.find(name);
  return decision == run.decisions.end() ? run.trace.at(name).to<double>() : decision->second.scores;
}

/// Puts the oracle's values where a run has none: in the rows of a tap that are not needed.
Tensor<double> completed(Tensor<double> run, const Tensor<double>& oracle, const std::string& name,
                         const TapRows& rows) {
  const auto needed = rows.find(name);
  if (needed == rows.end()) return run;
  Tensor<double> values = oracle;
  for (const std::int64_t row : needed->second) std::ranges::copy(run.row(row), values.row(row).begin());
  return values;
}

/// The sums that a spread is made of.
struct Sums {
  Tensor<double> oracle;
  std::vector<Tensor<double>> squares;  // for each order of rounding, sum over its runs of (run - oracle)^2
  std::vector<int> runs;                // of each order
  Tensor<double> farthest;              // the largest |run - oracle|
  Tensor<double> distances;             // sum over all runs of |run - oracle|
  double whole = 0.0;                   // the largest mean over the elements of (run - oracle)^2
  bool finite = true;

  Sums(const Tensor<double>& exact, std::size_t orders)
      : oracle(exact),
        squares(orders, Tensor<double>(exact.shape)),
        runs(orders),
        farthest(exact.shape),
        distances(exact.shape) {}

  void add(const Tensor<double>& run, std::size_t order) {
    ++runs[order];
    double sum = 0;
    for (std::int64_t i = 0; i < oracle.size(); ++i) {
      if (!std::isfinite(oracle[i])) continue;
      const double error = run[i] - oracle[i];
      if (!std::isfinite(error)) finite = false;
      squares[order][i] += error * error;
      farthest[i] = std::max(farthest[i], std::abs(error));
      distances[i] += std::abs(error);
      sum += error * error;
    }
    whole = std::max(whole, sum / static_cast<double>(std::max<std::int64_t>(1, oracle.size())));
  }
};

Spreads spreads_of(const std::map<std::string, Sums>& sums, Dtype type) {
  Spreads spreads;
  for (const auto& [name, sum] : sums) {
    if (!sum.finite) continue;
    Spread spread{Tensor<double>(sum.oracle.shape), 0.0};
    for (std::size_t order = 0; order < sum.runs.size(); ++order) {
      if (sum.runs[order] == 0) continue;
      for (std::int64_t i = 0; i < sum.oracle.size(); ++i) {
        const double rms = std::sqrt(sum.squares[order][i] / sum.runs[order]);
        spread.reach[i] = std::max(spread.reach[i], kSpread * rms);
      }
    }
    const double runs = std::accumulate(sum.runs.begin(), sum.runs.end(), 0.0);
    for (std::int64_t i = 0; i < sum.oracle.size(); ++i) {
      if (sum.farthest[i] > spread.reach[i]) {
        spread.reach[i] = sum.farthest[i] + kSpread * sum.distances[i] / runs;
      }
    }
    const double stored = root_mean_square(half_units(sum.oracle, type).data);
    spread.whole = std::sqrt(sum.whole + stored * stored / 3.0);
    spreads.emplace(name, std::move(spread));
  }
  return spreads;
}

}  // namespace

void measure_spreads(const Problem& problem, const Trace& candidate, const ReferenceRun& oracle,
                     const std::set<std::string>& names, const TapRows& rows, Dtype type,
                     const std::function<Draws(const Spreads& spreads, int draws)>& take) {
  // Float32 rounds nothing between operations, so it has only one order of rounding.
  const std::size_t orders = type == Dtype::bf16 ? kSampledOrders : 1;
  std::map<std::string, Sums> sums;
  for (const std::string& name : names) sums.emplace(name, Sums(values_of(oracle, name), orders));
  const auto at_once = static_cast<int>(runs_at_once(problem));
  int taken_at = kFirstDraws;
  for (int draws = 0; draws < kMostDraws;) {
    std::vector<ReferenceRun> runs(static_cast<std::size_t>(std::min(at_once, taken_at - draws)));
    linalg::parallel_for(at_once, std::ssize(runs), [&](std::int64_t i) {
      const auto seed = static_cast<std::uint64_t>(draws + i);
      runs[static_cast<std::size_t>(i)] = sampled_forced(problem, type, seed, candidate, names, rows);
    });
    for (const ReferenceRun& run : runs) {
      const std::size_t order = sampled_order(static_cast<std::uint64_t>(draws++)) % orders;
      for (auto& [name, sum] : sums) sum.add(completed(values_of(run, name), sum.oracle, name, rows), order);
    }
    if (draws != taken_at) continue;
    if (take(spreads_of(sums, type), draws) == Draws::enough) return;
    taken_at = draws == kFirstDraws ? kDraws : 4 * draws;
  }
}

}  // namespace forgecheck
