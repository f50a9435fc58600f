// Properties of single operations, after the formulas of their headers.
#include <cmath>

#include "reference/ops/activation.h"
#include "reference/ops/attention.h"
#include "reference/ops/embedding.h"
#include "reference/ops/linear.h"
#include "reference/ops/loss.h"
#include "reference/ops/mask.h"
#include "reference/ops/norm.h"
#include "reference/ops/rope.h"
#include "tests/properties/generators.h"

namespace forgecheck {
namespace {

RC_GTEST_PROP(FormulaProperties, PositionZeroIsNotRotated, ()) {
  const std::int64_t half = size_between(1, 4);
  const auto x = random_tensor({1, 1, 2, 2 * half});
  RopeOptions options;
  options.theta = 10000.0;
  RC_ASSERT(apply_rope(x, rope_table<double>(2 * half, 4, options), 0).data == x.data);
}

RC_GTEST_PROP(FormulaProperties, LinearScalingStretchesThePositions, ()) {
  const std::int64_t half = size_between(1, 4), position = size_between(1, 7);
  RopeOptions plain, stretched;
  plain.theta = stretched.theta = 10000.0;
  stretched.scaling = RopeScaling::linear;
  stretched.factor = 2.0;
  const auto table = rope_table<double>(2 * half, 16, plain),
             slow = rope_table<double>(2 * half, 16, stretched);
  for (std::int64_t j = 0; j < half; ++j) {
    RC_ASSERT(within(slow.cos[2 * position * half + j], table.cos[position * half + j], 1e-12));
    RC_ASSERT(within(slow.sin[2 * position * half + j], table.sin[position * half + j], 1e-12));
  }
}

RC_GTEST_PROP(FormulaProperties, ALargerThetaTurnsNoPairFaster, ()) {
  const std::int64_t half = size_between(2, 6);
  RopeOptions small, large;
  small.theta = 100.0;
  large.theta = 10000.0;
  const auto fast = rope_table<double>(2 * half, 2, small), slow = rope_table<double>(2 * half, 2, large);
  for (std::int64_t j = 0; j < half; ++j) RC_ASSERT(slow.cos[half + j] >= fast.cos[half + j] - 1e-12);
}

RC_GTEST_PROP(FormulaProperties, RotationTurnsBackwardsToo, ()) {
  // A rotation by p and one by q differ by that of q - p: the scalar product of the two does not change with both.
  const std::int64_t half = size_between(1, 3), shift = size_between(0, 5);
  RopeOptions options;
  options.theta = 50.0;
  const auto table = rope_table<double>(2 * half, 16, options);
  const auto x = random_tensor({1, 1, 1, 2 * half}), y = random_tensor({1, 1, 1, 2 * half});
  const auto product = [&](std::int64_t p, std::int64_t q) {
    const auto a = apply_rope(x, table, p), b = apply_rope(y, table, q);
    double sum = 0;
    for (std::int64_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
    return sum;
  };
  RC_ASSERT(within(product(2, 6), product(2 + shift, 6 + shift), 1e-9));
}

RC_GTEST_PROP(FormulaProperties, EqualKeysGiveTheMeanOfTheValues, ()) {
  const std::int64_t keys = size_between(1, 6), dim = size_between(1, 4);
  Tensor<double> k({1, keys, 1, dim});
  std::ranges::fill(k.data, 0.5);
  const auto q = random_tensor({1, keys, 1, dim}), v = random_tensor({1, keys, 1, dim});
  const auto out = attention(q, k, v, causal_mask(1, keys, keys, 0, nullptr, nullptr));
  for (std::int64_t e = 0; e < dim; ++e) {
    double sum = 0;
    for (std::int64_t s = 0; s < keys; ++s) {
      sum += v[s * dim + e];
      RC_ASSERT(within(out[s * dim + e], sum / static_cast<double>(s + 1), 1e-10));
    }
  }
}

RC_GTEST_PROP(FormulaProperties, AConstantOnAllScoresChangesNothing, ()) {
  // Keys that all have the same extra component.
  const std::int64_t length = size_between(1, 5);
  auto q = random_tensor({1, length, 1, 4}), k = random_tensor({1, length, 1, 4});
  const auto v = random_tensor({1, length, 1, 4});
  for (std::int64_t s = 0; s < length; ++s) q[s * 4 + 3] = 1;
  auto moved = k;
  for (std::int64_t s = 0; s < length; ++s) {
    k[s * 4 + 3] = 0;
    moved[s * 4 + 3] = 3;
  }
  const auto mask = causal_mask(1, length, length, 0, nullptr, nullptr);
  RC_ASSERT(all_within(numbers(attention(q, k, v, mask)), numbers(attention(q, moved, v, mask)), 1e-10));
}

RC_GTEST_PROP(FormulaProperties, AFactorOfTheValuesIsOneOfTheResult, ()) {
  const std::int64_t length = size_between(1, 5);
  const auto q = random_tensor({1, length, 2, 4}), k = random_tensor({1, length, 1, 4});
  auto v = random_tensor({1, length, 1, 4});
  const auto mask = causal_mask(1, length, length, 0, nullptr, nullptr);
  auto expected = attention(q, k, v, mask);
  for (double& x : v.data) x *= 2;
  for (double& x : expected.data) x *= 2;
  RC_ASSERT(attention(q, k, v, mask).data == expected.data);
}

RC_GTEST_PROP(FormulaProperties, AConstantOnTheLogitsLeavesTheLoss, ()) {
  const std::int64_t rows = size_between(1, 5), vocabulary = size_between(2, 6);
  const auto logits = random_tensor({1, rows, vocabulary});
  const Ids labels = random_ids({1, rows}, 0, vocabulary - 1);
  auto moved = logits;
  for (double& x : moved.data) x += 3;
  RC_ASSERT(within(cross_entropy(moved, labels), cross_entropy(logits, labels), 1e-12));
}

RC_GTEST_PROP(FormulaProperties, AnIgnoredLabelDoesNotMatter, ()) {
  const std::int64_t rows = size_between(2, 5), vocabulary = size_between(2, 6);
  auto logits = random_tensor({1, rows, vocabulary});
  Ids labels = random_ids({1, rows}, 0, vocabulary - 1);
  labels[0] = kIgnoreIndex;
  const double before = cross_entropy(logits, labels);
  for (double& x : logits.row(0)) x = 100 - x;
  RC_ASSERT(cross_entropy(logits, labels) == before);
}

RC_GTEST_PROP(FormulaProperties, ALossWithoutLabelsIsZero, ()) {
  const std::int64_t rows = size_between(1, 5);
  const auto logits = random_tensor({1, rows, 3});
  Ids labels({1, rows});
  std::ranges::fill(labels.data, kIgnoreIndex);
  RC_ASSERT(cross_entropy(logits, labels) == 0);
  RC_ASSERT(chunked_cross_entropy(logits, labels, size_between(1, 4)) == 0);
}

RC_GTEST_PROP(FormulaProperties, ALargerLogitOfTheLabelIsASmallerLoss, ()) {
  const std::int64_t vocabulary = size_between(2, 6);
  auto logits = random_tensor({1, 1, vocabulary});
  const Ids labels = random_ids({1, 1}, 0, vocabulary - 1);
  const double before = cross_entropy(logits, labels);
  logits[labels[0]] += 1;
  RC_ASSERT(cross_entropy(logits, labels) < before);
}

RC_GTEST_PROP(FormulaProperties, TheLogitZLossIsItsWeightTimesASquare, ()) {
  const auto logits = random_tensor({1, size_between(1, 4), size_between(1, 5)});
  RC_ASSERT(logit_z_loss(logits, 0.0) == 0);
  RC_ASSERT(logit_z_loss(logits, 1.0) >= 0);
  RC_ASSERT(within(logit_z_loss(logits, 3.0), 3 * logit_z_loss(logits, 1.0), 1e-10));
}

RC_GTEST_PROP(FormulaProperties, AnEmbeddingIsItsRow, ()) {
  const std::int64_t vocabulary = size_between(1, 6), dim = size_between(1, 4);
  const auto table = random_tensor({vocabulary, dim});
  const Ids tokens = random_ids({2, 3}, 0, vocabulary - 1);
  const auto out = embedding<double>(tokens, table);
  for (std::int64_t i = 0; i < tokens.size(); ++i) {
    RC_ASSERT(std::ranges::equal(out.row(i), table.row(tokens[i])));
  }
}

RC_GTEST_PROP(FormulaProperties, ALinearMapAddsUp, ()) {
  const std::int64_t in = size_between(1, 5), out = size_between(1, 5);
  const auto w = random_tensor({out, in}), x = random_tensor({2, in}), y = random_tensor({2, in});
  auto sum = x;
  for (std::int64_t i = 0; i < sum.size(); ++i) sum[i] += y[i];
  const auto a = linear(x, w, kPlain), b = linear(y, w, kPlain), both = linear(sum, w, kPlain);
  for (std::int64_t i = 0; i < both.size(); ++i) RC_ASSERT(within(both[i], a[i] + b[i], 1e-10));
}

RC_GTEST_PROP(FormulaProperties, ReluKeepsWhatIsPositive, ()) {
  const auto x = random_tensor({1, 8});
  const auto out = activate(x, Activation::relu, kPlain);
  for (std::int64_t i = 0; i < x.size(); ++i) RC_ASSERT(out[i] == (x[i] > 0 ? x[i] : 0));
}

RC_GTEST_PROP(FormulaProperties, ActivationsOfLargeNumbersAreTheNumbersOrNothing, ()) {
  const double size = 60.0 + static_cast<double>(size_between(0, 100));
  const Tensor<double> x({1, 2}, {size, -size});
  for (const Activation activation : {Activation::silu, Activation::gelu, Activation::relu}) {
    const auto out = activate(x, activation, kPlain);
    RC_ASSERT(within(out[0], size, 1e-12 * size));
    RC_ASSERT(within(out[1], 0, 1e-12));
  }
}

RC_GTEST_PROP(FormulaProperties, AGainIsAFactorOfEachColumn, ()) {
  const std::int64_t n = size_between(1, 6);
  const auto x = random_tensor({2, n});
  auto gain = random_tensor({n});
  const auto before = rms_norm(x, gain, 1e-5);
  for (double& g : gain.data) g *= 2;
  const auto after = rms_norm(x, gain, 1e-5);
  for (std::int64_t i = 0; i < after.size(); ++i) RC_ASSERT(after[i] == 2 * before[i]);
}

RC_GTEST_PROP(FormulaProperties, ABiasIsAddedToEachColumn, ()) {
  const std::int64_t n = size_between(1, 6);
  const auto x = random_tensor({2, n}), gain = random_tensor({n}), bias = random_tensor({n});
  const auto without = layer_norm(x, gain, Tensor<double>({n}), 1e-5), with = layer_norm(x, gain, bias, 1e-5);
  for (std::int64_t i = 0; i < with.size(); ++i) RC_ASSERT(within(with[i], without[i] + bias[i % n], 1e-12));
}

RC_GTEST_PROP(FormulaProperties, ANormHidesTheSignOfNothing, ()) {
  const std::int64_t n = size_between(1, 6);
  const auto x = random_tensor({1, n});
  Tensor<double> ones({n});
  std::ranges::fill(ones.data, 1.0);
  auto turned = x;
  for (double& v : turned.data) v = -v;
  const auto a = rms_norm(x, ones, 1e-5), b = rms_norm(turned, ones, 1e-5);
  for (std::int64_t i = 0; i < n; ++i) RC_ASSERT(a[i] == -b[i]);
}

}  // namespace
}  // namespace forgecheck
