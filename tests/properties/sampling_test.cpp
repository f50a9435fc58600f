#include "reference/ops/sampling.h"

#include <algorithm>

#include "tests/properties/generators.h"

namespace forgecheck {
namespace {

/// Logits with many ties, and options within their ranges.
struct Case {
  std::vector<double> logits = *rc::gen::nonEmpty(rc::gen::container<std::vector<double>>(
      rc::gen::map(rc::gen::inRange(-8, 9), [](int i) { return i / 4.0; })));
  SamplingOptions options{*rc::gen::element(0.5, 1.0, 2.0), size_between(0, 6),
                          *rc::gen::element(0.1, 0.5, 0.9, 1.0)};

  std::vector<double> probabilities(const SamplingOptions& with) const {
    return sampling_probabilities(std::span<const double>(logits), with);
  }
};

RC_GTEST_PROP(SamplingProperties, ProbabilitiesSumToOne, ()) {
  const Case c;
  const auto p = c.probabilities(c.options);
  RC_ASSERT(p.size() == c.logits.size());
  RC_ASSERT(within(sum_of(p), 1, 1e-13));
  RC_ASSERT(*std::ranges::min_element(p) >= 0);
}

RC_GTEST_PROP(SamplingProperties, MoreProbableTokensStayAndKeepTheirRatio, ()) {
  const Case c;
  const auto p = c.probabilities(c.options);
  for (std::size_t i = 0; i < p.size(); ++i) {
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (c.logits[i] > c.logits[j] && p[j] > 0) RC_ASSERT(p[i] > p[j]);
      if (c.logits[i] == c.logits[j] && c.options.top_p == 1.0) RC_ASSERT(p[i] == p[j]);
      if (p[i] == 0 || p[j] == 0) continue;
      const double ratio = std::exp((c.logits[i] - c.logits[j]) / c.options.temperature);
      RC_ASSERT(within(p[i] / p[j], ratio, 1e-12 * ratio));
    }
  }
}

RC_GTEST_PROP(SamplingProperties, TopKLeavesAtLeastKAndOnlyTiesMore, ()) {
  const Case c;
  const std::int64_t k = size_between(1, 6);
  const auto p = c.probabilities({.temperature = c.options.temperature, .top_k = k});
  const std::int64_t kept = std::ranges::count_if(p, [](double probability) { return probability > 0; });
  RC_ASSERT(kept >= std::min<std::int64_t>(k, std::ssize(p)));
  std::vector<double> sorted = c.logits;
  std::ranges::sort(sorted, std::greater<>());
  if (k < std::ssize(p)) {
    const auto at_least = std::ranges::count_if(
        sorted, [&](double logit) { return logit >= sorted[static_cast<std::size_t>(k - 1)]; });
    RC_ASSERT(kept == at_least);
  }
}

// The kept tokens have at least the mass p, but not without the least probable of them.
RC_GTEST_PROP(SamplingProperties, TopPKeepsTheSmallestHeadWithTheMass, ()) {
  const Case c;
  const double top_p = *rc::gen::element(0.1, 0.3, 0.6, 0.85);
  const auto all = c.probabilities({.temperature = 1.0});
  const auto left = c.probabilities({.temperature = 1.0, .top_p = top_p});
  double mass = 0, least = 1;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (left[i] == 0) continue;
    mass += all[i];
    least = std::min(least, all[i]);
  }
  RC_ASSERT(mass >= top_p - 1e-12);
  RC_ASSERT(mass - least < top_p + 1e-12);
}

RC_GTEST_PROP(SamplingProperties, DrawTakesAPossibleTokenAndRisesWithTheNumber, ()) {
  const Case c;
  const auto p = c.probabilities(c.options);
  const double u = *rc::gen::inRange(0, 1000) / 1000.0, w = *rc::gen::inRange(0, 1000) / 1000.0;
  const std::int64_t low = draw(p, std::min(u, w)), high = draw(p, std::max(u, w));
  RC_ASSERT(low <= high);
  RC_ASSERT(p[static_cast<std::size_t>(low)] > 0);
  RC_ASSERT(p[static_cast<std::size_t>(high)] > 0);
}

RC_GTEST_PROP(SamplingProperties, TopKOneOfDistinctLogitsIsArgmax, ()) {
  const Case c;
  const std::int64_t best = argmax(std::span<const double>(c.logits));
  const auto p = c.probabilities({.temperature = 1.0, .top_k = 1});
  RC_ASSERT(p[static_cast<std::size_t>(best)] == *std::ranges::max_element(p));
  RC_ASSERT(std::ranges::find(p, *std::ranges::max_element(p)) - p.begin() == best);
}

}  // namespace
}  // namespace forgecheck
