#include "reference/ops/router.h"

#include <algorithm>
#include <set>

#include "reference/ops/expert_choice.h"
#include "reference/ops/moe.h"
#include "tests/properties/generators.h"

namespace forgecheck {
namespace {

/// Router logits (N, E) and a number of choices.
struct Case {
  std::int64_t tokens = size_between(1, 6);
  std::int64_t experts = size_between(1, 6);
  std::int64_t k = size_between(1, experts);
  Tensor<double> logits = random_tensor({tokens, experts});
};

/// Softmax scores, or sigmoid scores with a random bias.
Tensor<double> random_scores(const Case& c) {
  return *rc::gen::arbitrary<bool>() ? softmax_scores(c.logits)
                                     : sigmoid_scores(c.logits, random_tensor({c.experts}, 1));
}

RC_GTEST_PROP(RouterProperties, SoftmaxScoresSumToOne, ()) {
  const Case c;
  const auto scores = softmax_scores(c.logits);
  for (std::int64_t n = 0; n < c.tokens; ++n) {
    RC_ASSERT(within(sum_of(numbers_of_row(scores, n)), 1, 1e-14));
    for (const double score : scores.row(n)) RC_ASSERT(score > 0 && score <= 1);
  }
}

RC_GTEST_PROP(RouterProperties, SoftmaxDoesNotSeeAShift, ()) {
  const Case c;
  const double shift = *value_within(100);
  auto shifted = c.logits;
  for (double& logit : shifted.data) logit += shift;
  RC_ASSERT(all_within(numbers(softmax_scores(shifted)), numbers(softmax_scores(c.logits)), 1e-14));
}

RC_GTEST_PROP(RouterProperties, WeightsSumToOneAndFall, ()) {
  const Case c;
  const auto scores = random_scores(c);
  const auto weights = routing_weights(scores, top_k(scores, c.k));
  for (std::int64_t n = 0; n < c.tokens; ++n) {
    const auto row = numbers_of_row(weights, n);
    RC_ASSERT(within(sum_of(row), 1, 1e-14));
    RC_ASSERT(std::is_sorted(row.rbegin(), row.rend()));
    RC_ASSERT(row.back() > 0);
  }
}

RC_GTEST_PROP(RouterProperties, ChosenScoresAreDistinctAndTheLargest, ()) {
  const Case c;
  const auto scores = random_scores(c);
  const Ids indices = top_k(scores, c.k);
  for (std::int64_t n = 0; n < c.tokens; ++n) {
    const std::set<std::int64_t> chosen(indices.row(n).begin(), indices.row(n).end());
    RC_ASSERT(std::ssize(chosen) == c.k);
    const auto row = scores.row(n);
    for (std::int64_t e = 0; e < c.experts; ++e) {
      if (chosen.contains(e)) continue;
      for (const std::int64_t better : chosen) {
        const double a = row[static_cast<std::size_t>(better)], b = row[static_cast<std::size_t>(e)];
        RC_ASSERT(a > b || (a == b && better < e));
      }
    }
  }
}

RC_GTEST_PROP(RouterProperties, EveryAssignmentIsCountedOnce, ()) {
  const Case c;
  const Ids indices = top_k(c.logits, c.k);
  const auto counts = assignments_per_expert(indices, c.experts);
  std::int64_t total = 0;
  for (std::int64_t e = 0; e < c.experts; ++e) {
    RC_ASSERT(counts[static_cast<std::size_t>(e)] == std::ssize(assignments_of(indices, e)));
    total += counts[static_cast<std::size_t>(e)];
  }
  RC_ASSERT(total == c.tokens * c.k);
}

RC_GTEST_PROP(RouterProperties, CapacityBoundsEverySlotOfEveryExpert, ()) {
  const Case c;
  const Ids indices = top_k(c.logits, c.k);
  const auto before = routing_weights(softmax_scores(c.logits), indices);
  auto weights = before;
  const std::int64_t capacity = size_between(1, c.tokens);
  apply_capacity(weights, indices, c.experts, capacity);
  std::int64_t kept = 0, expected = 0;
  for (std::int64_t slot = 0; slot < c.k; ++slot) {
    std::vector<std::int64_t> load(static_cast<std::size_t>(c.experts)), wanted = load;
    for (std::int64_t n = 0; n < c.tokens; ++n) {
      const auto e = static_cast<std::size_t>(indices[n * c.k + slot]);
      ++wanted[e];
      RC_ASSERT(weights[n * c.k + slot] == 0 || weights[n * c.k + slot] == before[n * c.k + slot]);
      if (weights[n * c.k + slot] != 0) ++load[e];
    }
    for (std::size_t e = 0; e < load.size(); ++e) {
      kept += load[e];
      expected += std::min(wanted[e], capacity);
    }
  }
  RC_ASSERT(kept == expected);
}

// The scale of every expert that has tokens brings its load to the average.
RC_GTEST_PROP(RouterProperties, GradientScaleTimesLoadIsTheAverage, ()) {
  const std::int64_t assignments = size_between(1, 1000), experts = size_between(1, 64);
  const std::int64_t count = size_between(1, assignments);
  const double average = static_cast<double>(assignments) / static_cast<double>(experts);
  RC_ASSERT(within(gradient_scale(assignments, experts, count) * static_cast<double>(count), average,
                   1e-12 * average));
}

RC_GTEST_PROP(RouterProperties, ExpertChoiceTakesBetweenOneAndAllAndMoreForMore, ()) {
  const std::int64_t tokens = size_between(1, 200);
  const double low = *rc::gen::map(rc::gen::inRange(0, 1000), [](int i) { return i / 900.0; });
  const double high = low + *rc::gen::map(rc::gen::inRange(0, 1000), [](int i) { return i / 900.0; });
  const std::int64_t few = tokens_per_expert(tokens, low), many = tokens_per_expert(tokens, high);
  RC_ASSERT(few >= 1);
  RC_ASSERT(few <= many);
  RC_ASSERT(many <= tokens);
  RC_ASSERT(static_cast<double>(few) >= std::min(low, 1.0) * static_cast<double>(tokens) - 1e-9);
}

}  // namespace
}  // namespace forgecheck
