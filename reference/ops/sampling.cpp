#include "reference/ops/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "reference/instantiate.h"
#include "reference/numbers.h"

namespace forgecheck {

namespace {

constexpr double kExcluded = -kInfinity;

void softmax(std::vector<double>& values) {
  const double maximum = *std::ranges::max_element(values);
  double sum = 0;
  for (double& value : values) sum += value = std::exp(value - maximum);
  for (double& value : values) value /= sum;
}

void keep_top_k(std::vector<double>& logits, std::int64_t top_k) {
  const auto k = static_cast<std::size_t>(std::min<std::int64_t>(top_k, std::ssize(logits)));
  std::vector<double> sorted = logits;
  std::ranges::sort(sorted, std::greater<>());
  for (double& logit : logits) {
    if (logit < sorted[k - 1]) logit = kExcluded;
  }
}

void keep_top_p(std::vector<double>& logits, double top_p) {
  std::vector<double> probabilities = logits;
  softmax(probabilities);
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) { return logits[a] > logits[b]; });
  double mass_before = 0;
  for (const std::size_t token : order) {
    if (mass_before >= top_p) logits[token] = kExcluded;
    mass_before += probabilities[token];
  }
}

}  // namespace

template <class T>
std::int64_t argmax(std::span<const T> logits) {
  std::int64_t best = 0;
  for (std::int64_t i = 1; i < std::ssize(logits); ++i) {
    const auto value = widen(logits[static_cast<std::size_t>(i)]);
    if (value > widen(logits[static_cast<std::size_t>(best)])) best = i;
  }
  return best;
}

template <class T>
std::vector<double> sampling_probabilities(std::span<const T> logits, const SamplingOptions& options) {
  std::vector<double> values;
  values.reserve(logits.size());
  for (const T& logit : logits) {
    values.push_back(static_cast<double>(widen(logit)) / options.temperature);
  }
  if (options.top_k > 0) keep_top_k(values, options.top_k);
  if (options.top_p < 1.0) keep_top_p(values, options.top_p);
  softmax(values);
  return values;
}

std::int64_t draw(const std::vector<double>& probabilities, double uniform) {
  double mass = 0;
  std::int64_t last_possible = 0;
  for (std::int64_t i = 0; i < std::ssize(probabilities); ++i) {
    const double probability = probabilities[static_cast<std::size_t>(i)];
    if (probability <= 0) continue;
    mass += probability;
    last_possible = i;
    if (mass > uniform) return i;
  }
  return last_possible;
}

std::vector<double> draw_scores(const std::vector<double>& probabilities, double uniform) {
  std::vector<double> scores;
  double mass = 0;
  for (const double probability : probabilities) {
    const double begin = mass;
    mass += probability;
    scores.push_back(-std::max({begin - uniform, uniform - mass, 0.0}));
  }
  return scores;
}

FORGECHECK_INSTANTIATE(argmax);
FORGECHECK_INSTANTIATE(sampling_probabilities);

}  // namespace forgecheck
