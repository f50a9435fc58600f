// Properties of the steps of routing.
#include <algorithm>
#include <set>

#include "reference/ops/expert_choice.h"
#include "reference/ops/moe.h"
#include "reference/ops/router.h"
#include "tests/properties/generators.h"

namespace forgecheck {
namespace {

RC_GTEST_PROP(RoutingProperties, WeightsAreNotNegative, ()) {
  const std::int64_t tokens = size_between(1, 6), experts = size_between(1, 6), k = size_between(1, experts);
  const auto scores = softmax_scores(random_tensor({tokens, experts}));
  for (const double weight : routing_weights(scores, top_k(scores, k)).data) RC_ASSERT(weight >= 0);
}

RC_GTEST_PROP(RoutingProperties, PermutedExpertsAreChosenUnderTheirNewNames, ()) {
  const std::int64_t tokens = size_between(1, 6), experts = size_between(2, 6), k = size_between(1, experts);
  Tensor<double> scores({tokens, experts});
  for (std::int64_t i = 0; i < scores.size(); ++i)
    scores[i] = 1.0 + static_cast<double>(i * 7919 % 1009);  // distinct
  Tensor<double> rotated(scores.shape);
  for (std::int64_t n = 0; n < tokens; ++n) {
    for (std::int64_t e = 0; e < experts; ++e)
      rotated[n * experts + (e + 1) % experts] = scores[n * experts + e];
  }
  const Ids before = top_k(scores, k), after = top_k(rotated, k);
  for (std::int64_t i = 0; i < before.size(); ++i) RC_ASSERT(after[i] == (before[i] + 1) % experts);
}

RC_GTEST_PROP(RoutingProperties, ACapacityKeepsTheEarliest, ()) {
  const std::int64_t tokens = size_between(1, 8), experts = size_between(1, 4), k = size_between(1, experts);
  const auto scores = softmax_scores(random_tensor({tokens, experts}));
  const Ids indices = top_k(scores, k);
  auto weights = routing_weights(scores, indices);
  apply_capacity(weights, indices, experts, size_between(1, tokens));
  for (std::int64_t slot = 0; slot < k; ++slot) {
    std::vector<bool> full(static_cast<std::size_t>(experts), false);
    for (std::int64_t n = 0; n < tokens; ++n) {
      const auto e = static_cast<std::size_t>(indices[n * k + slot]);
      const bool dropped = weights[n * k + slot] == 0;
      RC_ASSERT(dropped || !full[e]);
      if (dropped) full[e] = true;
    }
  }
}

RC_GTEST_PROP(RoutingProperties, ACapacityForAllDropsNothing, ()) {
  const std::int64_t tokens = size_between(1, 8), experts = size_between(1, 4), k = size_between(1, experts);
  const auto scores = softmax_scores(random_tensor({tokens, experts}));
  const Ids indices = top_k(scores, k);
  const auto before = routing_weights(scores, indices);
  auto weights = before;
  apply_capacity(weights, indices, experts, tokens);
  RC_ASSERT(weights.data == before.data);
}

RC_GTEST_PROP(RoutingProperties, CapacityGrowsWithItsFactorAndIsAtLeastOne, ()) {
  const std::int64_t tokens = size_between(1, 50), experts = size_between(1, 8), k = size_between(1, experts);
  const double low = *rc::gen::map(rc::gen::inRange(0, 200), [](int i) { return i / 100.0; });
  RC_ASSERT(expert_capacity(tokens, k, experts, low) >= 1);
  RC_ASSERT(expert_capacity(tokens, k, experts, low) <= expert_capacity(tokens, k, experts, low + 0.5));
}

RC_GTEST_PROP(RoutingProperties, TheBiasMovesAgainstTheLoad, ()) {
  const std::int64_t experts = size_between(2, 6);
  std::vector<std::int64_t> counts = *rc::gen::container<std::vector<std::int64_t>>(
      static_cast<std::size_t>(experts), rc::gen::inRange<std::int64_t>(0, 20));
  counts[0] += 1;
  Tensor<double> average({experts}), bias({experts});
  std::ranges::fill(average.data, 1.0 / static_cast<double>(experts));
  update_router_state(average, bias, counts, 0.001);
  std::int64_t assignments = 0;
  for (const std::int64_t count : counts) assignments += count;
  for (std::int64_t e = 0; e < experts; ++e) {
    const double load = static_cast<double>(counts[static_cast<std::size_t>(e)] * experts);
    if (load > static_cast<double>(assignments)) RC_ASSERT(bias[e] < 0);
    if (load < static_cast<double>(assignments)) RC_ASSERT(bias[e] > 0);
  }
}

RC_GTEST_PROP(RoutingProperties, TheAverageOfTheLoadKeepsItsSum, ()) {
  const std::int64_t experts = size_between(1, 6);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(experts), 3);
  counts[0] = size_between(0, 40);
  Tensor<double> average({experts}), bias({experts});
  average[experts - 1] = 1.0;
  update_router_state(average, bias, counts, 0.001);
  RC_ASSERT(counts[0] + 3 * (experts - 1) == 0 || within(sum_of(numbers(average)), 1, 1e-7));
}

RC_GTEST_PROP(RoutingProperties, TheBalanceLossOfAUniformRouterIsItsMinimum, ()) {
  const std::int64_t tokens = size_between(1, 6), experts = size_between(1, 6);
  const auto scores = softmax_scores(random_tensor({tokens, experts}));
  // The load is as the scores are: the counts are the mean scores, in millionths.
  std::vector<std::int64_t> counts(static_cast<std::size_t>(experts));
  for (std::int64_t e = 0; e < experts; ++e) {
    double mean = 0;
    for (std::int64_t n = 0; n < tokens; ++n) mean += scores[n * experts + e] / static_cast<double>(tokens);
    counts[static_cast<std::size_t>(e)] = std::llround(mean * 1e6);
  }
  RC_ASSERT(balance_loss(scores, counts, 0.0) >= 1 - 1e-5);
  Tensor<double> uniform({tokens, experts});
  std::ranges::fill(uniform.data, 1.0 / static_cast<double>(experts));
  RC_ASSERT(within(balance_loss(uniform, counts, 0.0), 1, 1e-9));
}

RC_GTEST_PROP(RoutingProperties, TheZLossDoesNotSeeTheOrderOfTheExperts, ()) {
  auto logits = random_tensor({size_between(1, 4), 4});
  const double before = router_z_loss(logits);
  for (std::int64_t n = 0; n < logits.rows(); ++n) std::ranges::reverse(logits.row(n));
  RC_ASSERT(within(router_z_loss(logits), before, 1e-12 * (1 + before)));
  RC_ASSERT(before >= 0);
}

RC_GTEST_PROP(RoutingProperties, TheBiasRateStaysWithinItsSchedule, ()) {
  const MoeStep step{size_between(0, 100), 100};
  RC_ASSERT(effective_bias_rate(BiasSchedule::constant, step) == 0.001);
  for (const BiasSchedule schedule : {BiasSchedule::cosine_decay, BiasSchedule::linear_warmup}) {
    const double rate = effective_bias_rate(schedule, step);
    RC_ASSERT(rate >= 0 && rate <= 0.001);
  }
  RC_ASSERT(effective_bias_rate(BiasSchedule::cosine_decay, {0, 100}) == 0.001);
  RC_ASSERT(within(effective_bias_rate(BiasSchedule::cosine_decay, {100, 100}), 0, 1e-12));
  RC_ASSERT(effective_bias_rate(BiasSchedule::linear_warmup, {0, 100}) == 0);
}

RC_GTEST_PROP(RoutingProperties, ExpertChoiceFillsEachExpertWithDistinctTokens, ()) {
  const std::int64_t tokens = size_between(1, 8), experts = size_between(1, 4);
  const auto scores =
      expert_choice_scores(random_tensor({tokens, experts}), static_cast<const Tensor<double>*>(nullptr));
  const std::int64_t taken = tokens_per_expert(tokens, static_cast<double>(size_between(1, 100)) / 100.0);
  const Ids chosen = top_k(transpose(scores), taken);
  for (std::int64_t e = 0; e < experts; ++e) {
    const std::set<std::int64_t> distinct(chosen.row(e).begin(), chosen.row(e).end());
    RC_ASSERT(std::ssize(distinct) == taken);
    RC_ASSERT(*distinct.rbegin() < tokens);
  }
}

RC_GTEST_PROP(RoutingProperties, NoiseAsLargeAsTheLogitsTurnsThemRound, ()) {
  const std::int64_t tokens = size_between(1, 5), experts = size_between(1, 4);
  const auto logits = random_tensor({tokens, experts});
  auto noise = logits;
  for (double& x : noise.data) x *= -1;
  for (const double score : expert_choice_scores(logits, &noise).data) RC_ASSERT(score == 0.5);
}

RC_GTEST_PROP(RoutingProperties, CombiningAddsEachExpertTimesItsWeight, ()) {
  const std::int64_t tokens = size_between(1, 5), dim = size_between(1, 4);
  Tensor<double> out({tokens, dim});
  const Ids indices = random_ids({tokens, 2}, 0, 2);
  const auto weights = random_tensor({tokens, 2}, 1);
  const std::vector<Assignment> assignments = assignments_of(indices, 1);
  Tensor<double> ones({std::ssize(assignments), dim});
  std::ranges::fill(ones.data, 1.0);
  combine(out, ones, weights, assignments);
  for (std::int64_t n = 0; n < tokens; ++n) {
    double expected = 0;
    for (std::int64_t slot = 0; slot < 2; ++slot)
      expected += indices[n * 2 + slot] == 1 ? weights[n * 2 + slot] : 0;
    for (const double x : out.row(n)) RC_ASSERT(within(x, expected, 1e-12));
  }
}

}  // namespace
}  // namespace forgecheck
