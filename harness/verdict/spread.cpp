#include "harness/verdict/spread.h"

#include <algorithm>
#include <cmath>

#include "harness/verdict/tolerance.h"

namespace forgecheck {

namespace {

/// The oracle's values of a tap, or the scores of a choice.
Tensor<double> values_of(const ReferenceRun& run, const std::string& name) {
  const auto decision = run.decisions.find(name);
  return decision == run.decisions.end() ? run.trace.at(name).to<double>() : decision->second.scores;
}

/// The sums that a spread is made of.
struct Sums {
  Tensor<double> oracle;
  Tensor<double> squares;   // sum over the runs of (run - oracle)^2
  Tensor<double> farthest;  // the largest |run - oracle|
  double whole = 0.0;       // the largest mean over the elements of (run - oracle)^2
  bool finite = true;

  void add(const Tensor<double>& run) {
    double sum = 0;
    for (std::int64_t i = 0; i < oracle.size(); ++i) {
      if (!std::isfinite(oracle[i])) continue;
      const double error = run[i] - oracle[i];
      if (!std::isfinite(error)) finite = false;
      squares[i] += error * error;
      farthest[i] = std::max(farthest[i], std::abs(error));
      sum += error * error;
    }
    whole = std::max(whole, sum / static_cast<double>(std::max<std::int64_t>(1, oracle.size())));
  }
};

Spreads spreads_of(const std::map<std::string, Sums>& sums, int runs, Dtype type) {
  Spreads spreads;
  for (const auto& [name, sum] : sums) {
    if (!sum.finite) continue;
    Spread spread{sum.farthest, 0.0};
    for (std::int64_t i = 0; i < sum.oracle.size(); ++i) {
      spread.reach[i] = std::max(spread.reach[i], kSpread * std::sqrt(sum.squares[i] / runs));
    }
    const double stored = root_mean_square(half_units(sum.oracle, type).data);
    spread.whole = std::sqrt(sum.whole + stored * stored / 3.0);
    spreads.emplace(name, std::move(spread));
  }
  return spreads;
}

}  // namespace

Spreads measure_spreads(const Problem& problem, const Trace& candidate, const ReferenceRun& oracle,
                        const std::set<std::string>& names, Dtype type,
                        const std::function<bool(const Spreads&)>& enough) {
  std::map<std::string, Sums> sums;
  for (const std::string& name : names) {
    const Tensor<double> exact = values_of(oracle, name);
    sums.emplace(name, Sums{exact, Tensor<double>(exact.shape), Tensor<double>(exact.shape)});
  }
  for (int draw = 0; draw < kDraws; ++draw) {
    if (draw == kFirstDraws) {
      const Spreads some = spreads_of(sums, draw, type);
      if (enough(some)) return some;
    }
    const ReferenceRun run = sampled_along(problem, type, static_cast<std::uint64_t>(draw), candidate, names);
    for (auto& [name, sum] : sums) sum.add(values_of(run, name));
  }
  return spreads_of(sums, kDraws, type);
}

}  // namespace forgecheck
