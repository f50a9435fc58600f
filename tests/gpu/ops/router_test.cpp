// Scores, choices, weights and losses of the routers, against the reference.
#include "gpu/ops/router.h"

#include <numeric>

#include "reference/ops/router.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::gpu {
namespace {

constexpr double kFloatRounding = 0x1p-24;
constexpr std::int64_t kExperts[] = {1, 2, 3, 8, 16, 17, 31, 32, 33, 64, 65, 129, 257};
constexpr std::int64_t kTokens[] = {1, 2, 31, 33, 255, 256, 257, 600};

/// Scores of few different values, so that many are equal.
template <class T>
Tensor<host_t<T>> scores_with_ties(const Shape& shape, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  Tensor<host_t<T>> out(shape);
  for (auto& value : out.data) value = host_t<T>(static_cast<float>(engine() % 7) / 4.0F);
  return out;
}

/// Choices among the lower experts only: `choose` of `num_experts` are not empty.
Ids choices(const Shape& shape, std::int64_t choose, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  Ids out(shape);
  for (auto& value : out.data) {
    value = static_cast<std::int64_t>(engine() % static_cast<std::uint64_t>(choose));
  }
  return out;
}

template <class T>
class RouterTest : public GpuTest {
 protected:
  using H = host_t<T>;
  /// Half a unit in T's last place at 1.
  static constexpr double kHalfUnit = std::is_same_v<T, float> ? 0x1p-24 : 0x1p-8;

  DeviceTensor<T> on_device(const Tensor<H>& x) { return this->template put<T>(x); }
  DeviceTensor<std::int64_t> ids(const Ids& x) { return this->template put<std::int64_t>(x); }
  DeviceTensor<std::int64_t> ids(const std::vector<std::int64_t>& x) { return ids(Ids({std::ssize(x)}, x)); }
};
TYPED_TEST_SUITE(RouterTest, ElementTypes);

TYPED_TEST(RouterTest, SoftmaxScoresMatchTheReference) {
  using T = TypeParam;
  for (const std::int64_t tokens : {1, 5, 33}) {
    for (const std::int64_t experts : kExperts) {
      const auto logits = random_tensor<T>({tokens, experts}, 1, 2.0);
      const auto scores = this->get(softmax_scores(this->device, this->on_device(logits)));
      // exp's own, those of its argument (below 20), the sum's and the quotient's
      expect_close<T>(scores, forgecheck::softmax_scores(exact(logits)), 48);
    }
  }
}

TYPED_TEST(RouterTest, SoftmaxScoresOfLargeLogitsStayFinite) {
  const auto logits = tensor<host_t<TypeParam>>({2, 3}, {1000, 1000, -1000, -1000, -1000, -1e30});
  const auto scores = this->get(softmax_scores(this->device, this->on_device(logits)));
  EXPECT_EQ(scores.data, (std::vector<double>{0.5, 0.5, 0, 0.5, 0.5, 0}));
}

TYPED_TEST(RouterTest, ARowOfScoresDoesNotDependOnItsBatch) {
  using T = TypeParam;
  for (const std::int64_t experts : {3, 20, 300, 1100}) {
    const auto logits = random_tensor<T>({7, experts}, 2);
    const auto batch = this->get(softmax_scores(this->device, this->on_device(logits)));
    for (std::int64_t n = 0; n < 7; ++n) {
      Tensor<host_t<T>> one({1, experts});
      std::ranges::copy(logits.row(n), one.data.begin());
      const auto alone = this->get(softmax_scores(this->device, this->on_device(one)));
      EXPECT_TRUE(std::ranges::equal(alone.row(0), batch.row(n))) << "token " << n;
    }
  }
}

TYPED_TEST(RouterTest, SigmoidScoresMatchTheReference) {
  using T = TypeParam;
  for (const std::int64_t experts : kExperts) {
    const auto logits = random_tensor<T>({9, experts}, 3);
    auto bias = random_tensor<T>({experts}, 4);
    // In bfloat16 the sum rounds; at 0 it has nothing to round.
    if (std::is_same_v<T, bf16>) bias.data.assign(bias.data.size(), host_t<T>(0.0F));
    const auto scores =
        this->get(sigmoid_scores(this->device, this->on_device(logits), this->on_device(bias)));
    expect_close<T>(scores, forgecheck::sigmoid_scores(exact(logits), exact(bias)), 16);
  }
}

// (T)(logit + bias), then the sigmoid: in bfloat16 every bit is the reference's.
TEST_F(GpuTest, SigmoidScoresInBfloat16RoundTheBiasedLogit) {
  const auto logits = random_tensor<bf16>({40, 3}, 5, 2.0), bias = random_tensor<bf16>({3}, 6);
  const auto scores = get(sigmoid_scores(device, put<bf16>(logits), put<bf16>(bias)));
  EXPECT_EQ(scores.data, numbers(forgecheck::sigmoid_scores(logits, bias)));
  const auto once = forgecheck::sigmoid_scores(exact(logits), exact(bias));
  int rounded_differently = 0;
  for (std::int64_t i = 0; i < once.size(); ++i) {
    if (numbers(tensor<Bfloat16>({1}, {once[i]}))[0] != scores[i]) ++rounded_differently;
  }
  EXPECT_GT(rounded_differently, 5);
}

TYPED_TEST(RouterTest, TopKOfEqualScoresTakesTheLowerIndexFirst) {
  using T = TypeParam;
  for (const std::int64_t experts : kExperts) {
    const auto scores = scores_with_ties<T>({9, experts}, 7);
    for (const std::int64_t k : {std::int64_t{1}, (experts + 1) / 2, experts}) {
      const auto indices = this->device.download(top_k(this->device, this->on_device(scores), k)).to_int64();
      EXPECT_EQ(indices.shape, (Shape{9, k}));
      EXPECT_EQ(indices.data, forgecheck::top_k(scores, k).data) << experts << " experts, k = " << k;
    }
  }
}

// As experts choose them: few long rows.
TYPED_TEST(RouterTest, TopKOfLongRowsMatchesTheReference) {
  const auto scores = random_tensor<TypeParam>({3, 777}, 8);
  const auto indices = this->device.download(top_k(this->device, this->on_device(scores), 300)).to_int64();
  EXPECT_EQ(indices.data, forgecheck::top_k(scores, 300).data);
}

TYPED_TEST(RouterTest, TopKOrdersInfinitiesAndZeros) {
  const auto scores =
      tensor<host_t<TypeParam>>({2, 5}, {-0.0, 0.0, INFINITY, -INFINITY, -1, 0.0, -0.0, -1, 2, -0.0});
  const auto indices = this->device.download(top_k(this->device, this->on_device(scores), 5)).to_int64();
  EXPECT_EQ(indices.data, (std::vector<std::int64_t>{2, 0, 1, 4, 3, 3, 0, 1, 4, 2}));
}

TYPED_TEST(RouterTest, TopKPutsNanBehindEveryNumberAndRepeatsNoIndex) {
  const auto scores =
      tensor<host_t<TypeParam>>({3, 4}, {NAN, 1, NAN, -INFINITY, NAN, NAN, NAN, NAN, 3, NAN, 5, 4});
  const auto indices = this->device.download(top_k(this->device, this->on_device(scores), 4)).to_int64();
  EXPECT_EQ(indices.data, (std::vector<std::int64_t>{1, 3, 0, 2, 0, 1, 2, 3, 2, 3, 0, 1}));
}

TEST_F(GpuTest, TopKOfMoreThanThereAreIsAnError) {
  const auto scores = put<float>(Tensor<float>({1, 2}));
  EXPECT_EQ(message_of([&] { top_k(device, scores, 3); }), "[top_k] k = 3 of 2 scores");
}

TYPED_TEST(RouterTest, RoutingWeightsAreTheReferencesToTheBit) {
  using T = TypeParam;
  for (const std::int64_t tokens : kTokens) {
    for (const std::int64_t k : {1, 2, 5}) {
      const auto scores = forgecheck::softmax_scores(random_tensor<T>({tokens, 7}, 9, 2.0));
      const auto indices = forgecheck::top_k(scores, k);
      const auto weights =
          this->get(routing_weights(this->device, this->on_device(scores), this->ids(indices)));
      EXPECT_EQ(weights.shape, indices.shape);
      EXPECT_EQ(weights.data, numbers(forgecheck::routing_weights(scores, indices)));
    }
  }
}

TEST_F(GpuTest, AssignmentsPerExpertCountEverySlot) {
  for (const std::int64_t tokens : kTokens) {
    for (const std::int64_t experts : {1, 4, 33, 300}) {
      const Ids indices = choices({tokens, 3}, std::min<std::int64_t>(experts, 35), 10);
      const auto counts = assignments_per_expert(device, put<std::int64_t>(indices), experts);
      EXPECT_EQ(counts.shape, (Shape{experts}));
      EXPECT_EQ(device.download(counts).to_int64().data,
                forgecheck::assignments_per_expert(indices, experts));
    }
  }
}

TYPED_TEST(RouterTest, BalanceLossMatchesTheReference) {
  using T = TypeParam;
  for (const std::int64_t tokens : kTokens) {
    for (const std::int64_t experts : {1, 7, 33, 260}) {
      const auto scores = forgecheck::softmax_scores(random_tensor<T>({tokens, experts}, 11, 2.0));
      const auto counts = forgecheck::assignments_per_expert(
          choices({tokens, 2}, std::min<std::int64_t>(experts, 9), 12), experts);
      for (const double epsilon : {0.0, 0.5}) {
        const auto loss =
            this->get(balance_loss(this->device, this->on_device(scores), this->ids(counts), epsilon));
        EXPECT_EQ(loss.shape, Shape{});
        // Every term is positive: the mean's rounding, and those of two sums in trees.
        const double oracle = forgecheck::balance_loss(exact(scores), counts, epsilon);
        EXPECT_NEAR(loss[0], oracle, oracle * (this->kHalfUnit + 32 * kFloatRounding))
            << tokens << " tokens, " << experts << " experts";
      }
    }
  }
}

// The mean of 192/256 and 193/256 lies between two numbers of bfloat16: to even.
TEST_F(GpuTest, BalanceLossInBfloat16RoundsTheMeanScore) {
  const auto scores = tensor<Bfloat16>({2, 2}, {0.75, 0.25, 0.75390625, 0.24609375});
  const auto counts = put<std::int64_t>(Ids({2}, {4, 0}));
  EXPECT_EQ(get(balance_loss(device, put<bf16>(scores), counts, 0.0))[0], 1.5);
}

TYPED_TEST(RouterTest, ZLossMatchesTheReference) {
  using T = TypeParam;
  for (const std::int64_t tokens : kTokens) {
    for (const std::int64_t experts : {1, 7, 33, 260}) {
      const auto logits = random_tensor<T>({tokens, experts}, 13, 2.0);
      const auto loss = this->get(router_z_loss(this->device, this->on_device(logits)));
      EXPECT_EQ(loss.shape, Shape{});
      // logsumexp's rounding counts twice in the square, which rounds, as the mean does. The terms of a
      // logsumexp below 1 may be up to 8 times as large as it.
      const double oracle = forgecheck::router_z_loss(exact(logits));
      EXPECT_NEAR(loss[0], oracle, oracle * (4.1 * this->kHalfUnit + 64 * kFloatRounding))
          << tokens << " tokens, " << experts << " experts";
    }
  }
}

// Fewer roundings than PyTorch's, which the reference follows: one kernel keeps the steps of logsumexp in
// float32.
TEST_F(GpuTest, ZLossInBfloat16RoundsLogSumExpSquareAndMean) {
  const auto nearest = [](float x) { return static_cast<float>(forgecheck::Bfloat16(x)); };
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    const auto logits = random_tensor<bf16>({2, 2}, seed, 2.0);
    float sum = 0;
    for (const std::int64_t row : {0, 1}) {
      const float x = logits.row(row)[0], y = logits.row(row)[1], most = std::max(x, y);
      const float value = nearest(most + std::log(std::exp(x - most) + std::exp(y - most)));
      sum += nearest(value * value);
    }
    EXPECT_EQ(get(router_z_loss(device, put<bf16>(logits)))[0], nearest(sum / 2));
  }
}

TEST_F(GpuTest, LossesOfARouterWithoutTokensAreNan) {
  const auto none = put<float>(Tensor<float>({0, 3}));
  EXPECT_TRUE(std::isnan(get(router_z_loss(device, none))[0]));
  EXPECT_TRUE(std::isnan(get(balance_loss(device, none, put<std::int64_t>(Ids({3})), 0.0))[0]));
  EXPECT_EQ(top_k(device, none, 2).shape, (Shape{0, 2}));
  const auto no_choices = put<std::int64_t>(Ids({0, 2}));
  EXPECT_EQ(device.download(assignments_per_expert(device, no_choices, 3)).to_int64().data,
            (std::vector<std::int64_t>{0, 0, 0}));
  EXPECT_EQ(softmax_scores(device, none).shape, none.shape);
  EXPECT_EQ(routing_weights(device, none, no_choices).shape, no_choices.shape);
  device.synchronize();
}

TEST_F(GpuTest, BiasRateIsTheReferences) {
  for (const auto schedule :
       {BiasSchedule::constant, BiasSchedule::cosine_decay, BiasSchedule::linear_warmup}) {
    for (const std::int64_t step : {0, 1, 5, 10, 25, 50, 99, 100}) {
      for (const std::int64_t max_steps : {-3, 0, 1, 100}) {
        EXPECT_EQ(gpu::effective_bias_rate(schedule, {step, max_steps}),
                  forgecheck::effective_bias_rate(schedule, {step, max_steps}));
      }
    }
  }
}

TYPED_TEST(RouterTest, StateMovesAsTheReferences) {
  using T = TypeParam;
  for (const std::int64_t experts : {1, 4, 33, 600}) {
    auto ema = random_tensor<T>({experts}, 14), bias = random_tensor<T>({experts}, 15, 0.001);
    const auto counts =
        forgecheck::assignments_per_expert(choices({50, 2}, std::min(experts, experts / 2 + 1), 16), experts);
    const auto device_ema = this->on_device(ema), device_bias = this->on_device(bias);
    update_router_state(this->device, device_ema, device_bias, this->ids(counts), 0.25);
    forgecheck::update_router_state(ema, bias, counts, 0.25);
    expect_close<float>(this->get(device_ema), exact(ema), 4);
    expect_close<float>(this->get(device_bias), exact(bias), 4);
  }
}

// Averages that begin at 0 become a hundredth of the shares: small enough to show how those were rounded.
TEST_F(GpuTest, RouterStateInBfloat16RoundsTheShares) {
  Tensor<Bfloat16> ema({40}), bias({40});
  std::vector<std::int64_t> counts(40);
  std::iota(counts.begin(), counts.end(), 1);
  const auto device_ema = put<bf16>(ema), device_bias = put<bf16>(bias);
  update_router_state(device, device_ema, device_bias, put<std::int64_t>(Ids({40}, counts)), 0.25);
  forgecheck::update_router_state(ema, bias, counts, 0.25);
  EXPECT_EQ(get(device_ema).data, numbers(ema));
  int rounded_differently = 0;
  for (std::int64_t e = 0; e < 40; ++e) {
    const float share = static_cast<float>(e + 1) / 820.0F;  // 1 + .. + 40
    if (numbers(tensor<Bfloat16>({1}, {share * 0.01F}))[0] != numbers(ema)[static_cast<std::size_t>(e)]) {
      ++rounded_differently;
    }
  }
  EXPECT_GT(rounded_differently, 0);
}

// 0 / 1e-8: without it 0 / 0.
TYPED_TEST(RouterTest, StateWithoutAssignmentsStaysFinite) {
  using T = TypeParam;
  const auto ema = this->on_device(tensor<host_t<T>>({2}, {0.5, 0.5}));
  const auto bias = this->on_device(tensor<host_t<T>>({2}, {0, 0}));
  update_router_state(this->device, ema, bias, this->ids(Ids({2})), 1.0);
  const auto expected = tensor<host_t<T>>({2}, {0.495, 0.495});
  expect_close<float>(this->get(ema), exact(expected), 2);
}

TYPED_TEST(RouterTest, EveryRunHasTheSameBits) {
  using T = TypeParam;
  const auto logits = this->on_device(random_tensor<T>({300, 33}, 17, 2.0));
  const auto bias = this->on_device(random_tensor<T>({33}, 18));
  expect_repeatable([&] { return this->bytes(softmax_scores(this->device, logits)); });
  expect_repeatable([&] { return this->bytes(sigmoid_scores(this->device, logits, bias)); });
  const auto scores = softmax_scores(this->device, logits);
  expect_repeatable([&] { return this->bytes(top_k(this->device, scores, 4)); });
  const auto indices = top_k(this->device, scores, 4);
  expect_repeatable([&] { return this->bytes(routing_weights(this->device, scores, indices)); });
  expect_repeatable([&] { return this->bytes(assignments_per_expert(this->device, indices, 33)); });
  const auto counts = assignments_per_expert(this->device, indices, 33);
  expect_repeatable([&] { return this->bytes(balance_loss(this->device, scores, counts, 0.0)); });
  expect_repeatable([&] { return this->bytes(router_z_loss(this->device, logits)); });
  expect_repeatable([&] {
    const auto ema = this->on_device(random_tensor<T>({33}, 19)),
               moved = this->on_device(random_tensor<T>({33}, 18));
    update_router_state(this->device, ema, moved, counts, 0.001);
    auto both = this->bytes(ema);
    const auto second = this->bytes(moved);
    both.insert(both.end(), second.begin(), second.end());
    return both;
  });
}

}  // namespace
}  // namespace forgecheck::gpu
