// Norms, activations, products, losses, pooling and the 16-bit formats.
#include <algorithm>

#include "reference/ops/activation.h"
#include "reference/ops/linear.h"
#include "reference/ops/loss.h"
#include "reference/ops/norm.h"
#include "reference/ops/pooling.h"
#include "tests/properties/generators.h"

namespace forgecheck {
namespace {

Tensor<double> constant(std::int64_t n, double value) {
  return doubles({n}, std::vector<double>(static_cast<std::size_t>(n), value));
}

/// At least one element is not 0, so that the row has a direction.
Tensor<double> random_row(std::int64_t n) {
  Tensor<double> x = random_tensor({n});
  x[0] += x[0] < 0 ? -1 : 1;
  return x;
}

RC_GTEST_PROP(NormProperties, RmsNormHasMeanSquareOneAndNoScale, ()) {
  const std::int64_t n = size_between(1, 8);
  const auto x = random_row(n);
  const auto out = numbers(rms_norm(x, constant(n, 1), 0.0));
  double squares = 0;
  for (const double value : out) squares += value * value;
  RC_ASSERT(within(squares / static_cast<double>(n), 1, 1e-13));
  auto scaled = x;
  for (double& value : scaled.data) value *= 32;
  RC_ASSERT(all_within(numbers(rms_norm(scaled, constant(n, 1), 0.0)), out, 1e-13));
}

RC_GTEST_PROP(NormProperties, EpsShrinksEveryElement, ()) {
  const std::int64_t n = size_between(1, 8);
  const auto x = random_row(n);
  const auto small = rms_norm(x, constant(n, 1), 1e-3), large = rms_norm(x, constant(n, 1), 1.0);
  for (std::int64_t i = 0; i < n; ++i) RC_ASSERT(std::fabs(large[i]) <= std::fabs(small[i]));
}

RC_GTEST_PROP(NormProperties, LayerNormHasMeanZeroAndDoesNotSeeAShift, ()) {
  const std::int64_t n = size_between(2, 8);
  const auto x = random_row(n);
  const auto out = numbers(layer_norm(x, constant(n, 1), constant(n, 0), 1e-5));
  RC_ASSERT(within(sum_of(out), 0, 1e-11));
  auto shifted = x;
  for (double& value : shifted.data) value += 10;
  RC_ASSERT(all_within(numbers(layer_norm(shifted, constant(n, 1), constant(n, 0), 1e-5)), out, 1e-9));
}

// x phi(x) + x phi(-x) = x for each phi with phi(x) + phi(-x) = 1.
RC_GTEST_PROP(ActivationProperties, DifferenceOfBothSignsIsX, ()) {
  const double x = *value_within(20);
  for (const Activation activation : {Activation::silu, Activation::gelu, Activation::relu}) {
    const auto out = activate(doubles({2}, {x, -x}), activation, kPlain);
    RC_ASSERT(within(out[0] - out[1], x, 1e-13));
  }
}

// With small integers every library and every order of the sum is exact.
RC_GTEST_PROP(LinearProperties, EveryArithmeticIsExactOnIntegers, ()) {
  const std::int64_t rows = size_between(1, 4), in = size_between(1, 9), out = size_between(1, 4);
  Tensor<float> x({rows, in}), weight({out, in});
  for (float& value : x.data) value = static_cast<float>(*rc::gen::inRange(-9, 10));
  for (float& value : weight.data) value = static_cast<float>(*rc::gen::inRange(-9, 10));
  const auto plain = linear(x, weight, kPlain);
  for (const Arithmetic& other : {kPermuted, kReversed, Arithmetic{.library = linalg::Library::openblas},
                                  Arithmetic{.library = linalg::Library::onednn}}) {
    RC_ASSERT(numbers(linear(x, weight, other)) == numbers(plain));
  }
  for (std::int64_t i = 0; i < rows * out; ++i) {
    float sum = 0;
    for (std::int64_t p = 0; p < in; ++p) sum += x[i / out * in + p] * weight[i % out * in + p];
    RC_ASSERT(plain[i] == sum);
  }
}

RC_GTEST_PROP(LossProperties, CrossEntropyIsPositiveAndChunksDoNotMatter, ()) {
  const std::int64_t rows = size_between(1, 6), vocab = size_between(1, 5);
  const auto logits = random_tensor({rows, vocab});
  Ids labels = random_ids({rows}, 0, vocab - 1);
  for (std::int64_t& label : labels.data) {
    if (*rc::gen::inRange(0, 3) == 0) label = kIgnoreIndex;
  }
  const double loss = cross_entropy(logits, labels);
  RC_ASSERT(loss >= 0);
  RC_ASSERT(within(chunked_cross_entropy(logits, labels, size_between(1, 8)), loss, 1e-13));
}

RC_GTEST_PROP(PoolingProperties, AveragePoolIsTheMeanOfTheWindows, ()) {
  const std::int64_t window = size_between(1, 3), grid = window * size_between(1, 2);
  const auto x = random_tensor({2, grid * grid, 2});
  const auto means = window_mean(pool_windows(x, window));
  RC_ASSERT(all_within(numbers(average_pool(x, window)), numbers(means), 1e-13));
}

RC_GTEST_PROP(PoolingProperties, RaggedPoolStaysBetweenTheExtremes, ()) {
  const std::int64_t grid = size_between(1, 5), window = size_between(1, 6);
  const auto x = random_tensor({1, grid * grid, 1});
  const auto [low, high] = std::ranges::minmax(x.data);
  for (const double value : average_pool(x, window).data) {
    RC_ASSERT(value >= low - 1e-12);
    RC_ASSERT(value <= high + 1e-12);
  }
}

RC_GTEST_PROP(Bfloat16Properties, RoundingIsMonotoneAndWithinHalfAStep, ()) {
  const auto a = static_cast<float>(*value_within(1000)) * 1.0009765625F;
  const auto b = static_cast<float>(*value_within(1000)) * 1.0009765625F;
  const float rounded_a = Bfloat16(a), rounded_b = Bfloat16(b);
  RC_ASSERT((a <= b ? rounded_a <= rounded_b : rounded_a >= rounded_b));
  RC_ASSERT(std::fabs(rounded_a - a) <= std::fabs(a) * 0x1p-8F);
  RC_ASSERT(static_cast<float>(Bfloat16(rounded_a)) == rounded_a);
}

RC_GTEST_PROP(HalfProperties, RoundingIsMonotoneAndWithinHalfAStep, ()) {
  const float scale = *rc::gen::element(1.0F, 0x1p-20F);  // normal and subnormal halves
  const auto a = static_cast<float>(*value_within(100)) * 1.0009765625F * scale;
  const auto b = static_cast<float>(*value_within(100)) * 1.0009765625F * scale;
  const float rounded_a = half_to_float(float_to_half(a)), rounded_b = half_to_float(float_to_half(b));
  RC_ASSERT((a <= b ? rounded_a <= rounded_b : rounded_a >= rounded_b));
  RC_ASSERT(std::fabs(rounded_a - a) <= std::max(std::fabs(a) * 0x1p-11F, 0x1p-25F));
}

}  // namespace
}  // namespace forgecheck
