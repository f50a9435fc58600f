#include "reference/ops/router.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>
#include <type_traits>

#include "reference/error.h"
#include "reference/instantiate.h"

namespace forgecheck {

namespace {

/// Maximum of a row, and the sum of exp(x - maximum).
template <class T>
std::pair<compute_t<T>, compute_t<T>> max_and_exp_sum(std::span<const T> row) {
  using C = compute_t<T>;
  C maximum = widen(row[0]);
  for (const T& x : row) maximum = std::max(maximum, widen(x));
  C sum = 0;
  for (const T& x : row) sum += exp(widen(x) - maximum);
  return {maximum, sum};
}

/// Other implementations may order equal scores in any way.
template <class C>
void shuffle_ties(std::vector<std::int64_t>& order) {
  if constexpr (std::is_same_v<C, Sampled>) {
    for (std::size_t i = order.size(); i > 1; --i) {
      std::swap(order[i - 1], order[static_cast<std::size_t>(Sampling::uniform() * static_cast<double>(i))]);
    }
  }
}

std::int64_t total(const std::vector<std::int64_t>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

}  // namespace

template <class T>
Tensor<T> softmax_scores(const Tensor<T>& logits) {
  Tensor<T> scores(logits.shape);
  for (std::int64_t n = 0; n < logits.rows(); ++n) {
    const auto [maximum, sum] = max_and_exp_sum(logits.row(n));
    for (std::int64_t e = 0; e < logits.width(); ++e) {
      scores.row(n)[e] = T(exp(widen(logits.row(n)[e]) - maximum) / sum);
    }
  }
  return scores;
}

template <class T>
Tensor<T> sigmoid_scores(const Tensor<T>& logits, const Tensor<T>& expert_bias) {
  using C = compute_t<T>;
  require_shape("[router] expert_bias", expert_bias.shape, {logits.width()});
  Tensor<T> scores(logits.shape);
  for (std::int64_t n = 0; n < logits.rows(); ++n) {
    for (std::int64_t e = 0; e < logits.width(); ++e) {
      const C biased = round_to<T>(widen(logits.row(n)[e]) + widen(expert_bias[e]));
      scores.row(n)[e] = T(C(1) / (C(1) + exp(-biased)));
    }
  }
  return scores;
}

template <class T>
Tensor<std::int64_t> top_k(const Tensor<T>& scores, std::int64_t k) {
  using C = compute_t<T>;
  if (k > scores.width()) {
    throw ShapeError("[top_k] k = " + std::to_string(k) + " of " + std::to_string(scores.width()) +
                     " scores");
  }
  Tensor<std::int64_t> indices({scores.rows(), k});
  std::vector<std::int64_t> order(static_cast<std::size_t>(scores.width()));
  for (std::int64_t n = 0; n < scores.rows(); ++n) {
    const auto row = scores.row(n);
    std::iota(order.begin(), order.end(), 0);
    shuffle_ties<C>(order);
    std::ranges::stable_sort(order,
                             [&](std::int64_t a, std::int64_t b) { return widen(row[a]) > widen(row[b]); });
    std::copy_n(order.begin(), k, indices.row(n).begin());
  }
  return indices;
}

template <class T>
Tensor<T> routing_weights(const Tensor<T>& scores, const Tensor<std::int64_t>& indices) {
  using C = compute_t<T>;
  Tensor<T> weights(indices.shape);
  for (std::int64_t n = 0; n < indices.rows(); ++n) {
    C sum = 0;
    for (const std::int64_t e : indices.row(n)) sum += widen(scores.row(n)[e]);
    sum = round_to<T>(sum);
    for (std::int64_t slot = 0; slot < indices.width(); ++slot) {
      weights.row(n)[slot] = T(widen(scores.row(n)[indices.row(n)[slot]]) / sum);
    }
  }
  return weights;
}

std::vector<std::int64_t> assignments_per_expert(const Tensor<std::int64_t>& indices,
                                                 std::int64_t num_experts) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(num_experts));
  for (const std::int64_t e : indices.data) ++counts.at(static_cast<std::size_t>(e));
  return counts;
}

template <class T>
compute_t<T> balance_loss(const Tensor<T>& scores, const std::vector<std::int64_t>& counts, double epsilon) {
  using C = compute_t<T>;
  const C assignments = static_cast<C>(static_cast<double>(total(counts)) + epsilon);
  C sum = 0;
  for (std::int64_t e = 0; e < scores.width(); ++e) {
    C score_sum = 0;
    for (std::int64_t n = 0; n < scores.rows(); ++n) score_sum += widen(scores.row(n)[e]);
    const C mean_score = round_to<T>(score_sum / static_cast<C>(scores.rows()));
    const C fraction = static_cast<C>(counts[static_cast<std::size_t>(e)]) / assignments;
    sum += fraction * mean_score;
  }
  return static_cast<C>(scores.width()) * sum;
}

template <class T>
compute_t<T> router_z_loss(const Tensor<T>& logits) {
  using C = compute_t<T>;
  C sum = 0;
  for (std::int64_t n = 0; n < logits.rows(); ++n) {
    const C maximum = max_and_exp_sum(logits.row(n)).first;
    C exp_sum = 0;
    for (const T& x : logits.row(n)) exp_sum += round_to<T>(exp(round_to<T>(widen(x) - maximum)));
    const C log_sum_exp = round_to<T>(maximum + round_to<T>(log(round_to<T>(exp_sum))));
    sum += round_to<T>(log_sum_exp * log_sum_exp);
  }
  return round_to<T>(sum / static_cast<C>(logits.rows()));
}

double effective_bias_rate(BiasSchedule schedule, MoeStep step) {
  constexpr double kRate = 0.001;
  const double progress =
      static_cast<double>(step.step) / static_cast<double>(std::max<std::int64_t>(step.max_steps, 1));
  switch (schedule) {
    case BiasSchedule::constant:
      return kRate;
    case BiasSchedule::cosine_decay:
      return kRate * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
    case BiasSchedule::linear_warmup:
      return kRate * std::min(1.0, progress * 10.0);
  }
  throw_not_an_enumerator("moe_bias_schedule", schedule);
}

template <class T>
void update_router_state(Tensor<T>& expert_ema, Tensor<T>& expert_bias,
                         const std::vector<std::int64_t>& counts, double rate) {
  using C = compute_t<T>;
  constexpr double kEmaDecay = 0.99;
  const C assignments = static_cast<C>(static_cast<double>(total(counts)) + 1e-8);
  const C target = static_cast<C>(1.0 / static_cast<double>(counts.size()));
  for (std::int64_t e = 0; e < expert_ema.size(); ++e) {
    // 1. moving average of the share of assignments
    const C utilization = round_to<T>(static_cast<C>(counts[static_cast<std::size_t>(e)]) / assignments);
    const C ema = widen(expert_ema[e]);
    expert_ema[e] = T(ema + (utilization - ema) * static_cast<C>(1.0 - kEmaDecay));
    // 2. push the bias towards equal shares
    const C adjustment = static_cast<C>(rate) * (target - widen(expert_ema[e]));
    expert_bias[e] = T(widen(expert_bias[e]) + adjustment);
  }
}

FORGECHECK_INSTANTIATE(softmax_scores);
FORGECHECK_INSTANTIATE(sigmoid_scores);
FORGECHECK_INSTANTIATE(top_k);
FORGECHECK_INSTANTIATE(routing_weights);
FORGECHECK_INSTANTIATE(balance_loss);
FORGECHECK_INSTANTIATE(router_z_loss);
FORGECHECK_INSTANTIATE(update_router_state);

}  // namespace forgecheck
