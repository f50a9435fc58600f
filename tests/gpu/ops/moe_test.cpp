// What happens to tokens between the router and the experts: every assignment in its place, every bit of the
// sums.
#include "gpu/ops/moe.h"

#include <numeric>

#include "reference/ops/linear.h"
#include "reference/ops/moe.h"
#include "reference/ops/router.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::gpu {
namespace {

/// Choices as top_k makes them, so no expert twice for one token; experts from `used` on are empty.
Ids choices(std::int64_t tokens, std::int64_t k, std::int64_t used, std::uint64_t seed) {
  return forgecheck::top_k(random_tensor<float>({tokens, used}, seed), k);
}

struct Sizes {
  std::int64_t tokens, k, experts, used;
};
// One expert for all; empty experts; sizes around a tile; more tiles than a warp has lanes; more experts than
// a block has threads.
constexpr Sizes kSizes[] = {{1, 1, 1, 1},     {2, 2, 3, 2},   {31, 2, 8, 5},  {32, 3, 8, 8},
                            {33, 1, 33, 1},   {64, 4, 65, 9}, {127, 2, 4, 4}, {128, 2, 4, 3},
                            {129, 2, 4, 4},   {255, 1, 2, 2}, {256, 1, 5, 3}, {257, 1, 300, 7},
                            {300, 3, 31, 31}, {8300, 1, 3, 2}};

std::vector<std::int64_t> sorted_order(const Ids& indices) {
  std::vector<std::int64_t> order(indices.data.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) { return indices[a] < indices[b]; });
  return order;
}

template <class T>
class MoeTest : public GpuTest {
 protected:
  using H = host_t<T>;
  DeviceTensor<T> on_device(const Tensor<H>& x) { return this->template put<T>(x); }
  DeviceTensor<std::int64_t> ids(const Ids& x) { return this->template put<std::int64_t>(x); }

  /// The reference's sum over experts in order, of outputs (N * k, D) in the dispatch's order.
  static Tensor<H> combined(const Tensor<H>& outputs, const Tensor<H>& weights, const Ids& indices,
                            std::int64_t experts, const std::vector<double>& scales) {
    Tensor<H> out({indices.rows(), outputs.width()});
    std::int64_t begin = 0;
    for (std::int64_t e = 0; e < experts; ++e) {
      const auto assignments = forgecheck::assignments_of(indices, e);
      Tensor<H> own({std::ssize(assignments), outputs.width()});
      std::copy_n(outputs.data.begin() + begin * outputs.width(), own.size(), own.data.begin());
      begin += std::ssize(assignments);
      if (!scales.empty()) own = forgecheck::scale(own, scales[static_cast<std::size_t>(e)]);
      forgecheck::combine(out, own, weights, assignments);
    }
    return out;
  }
};
TYPED_TEST_SUITE(MoeTest, ElementTypes);

TEST_F(GpuTest, CapacityIsTheReferences) {
  for (const std::int64_t tokens : {0, 1, 6, 10, 21, 25, 4096}) {
    for (const std::int64_t experts : {1, 2, 3, 8}) {
      for (const double factor : {0.0, 0.5, 0.9, 1.0 / 7, 1.2, 1.25, 2.1, 1e300}) {
        for (const std::int64_t k : {1, 2}) {
          EXPECT_EQ(expert_capacity(tokens, k, experts, factor),
                    forgecheck::expert_capacity(tokens, k, experts, factor))
              << tokens << " " << experts << " " << factor;
        }
      }
    }
  }
}

TYPED_TEST(MoeTest, CapacityDropsTheLateTokensOfEachSlot) {
  using T = TypeParam;
  for (const auto& [tokens, k, experts, used] : kSizes) {
    const Ids indices = choices(tokens, k, used, 1);
    const auto weights = random_tensor<T>({tokens, k}, 2);
    for (const std::int64_t capacity : {std::int64_t{1}, tokens / used + 1, tokens}) {
      auto oracle = weights;
      forgecheck::apply_capacity(oracle, indices, experts, capacity);
      const auto out = this->get(
          apply_capacity(this->device, this->on_device(weights), this->ids(indices), experts, capacity));
      EXPECT_EQ(out.shape, weights.shape);
      EXPECT_EQ(out.data, numbers(oracle)) << tokens << " tokens, capacity " << capacity;
    }
  }
}

TEST_F(GpuTest, DispatchSortsByExpertThenTokenThenSlot) {
  for (const auto& [tokens, k, experts, used] : kSizes) {
    const Ids indices = choices(tokens, k, used, 3);
    const Dispatch plan = dispatch(device, put<std::int64_t>(indices), experts);
    const auto order = device.download(plan.order).to_int64().data;
    EXPECT_EQ(order, sorted_order(indices)) << tokens << " tokens";
    const auto places = device.download(plan.places).to_int64().data;
    for (std::size_t p = 0; p < order.size(); ++p) {
      ASSERT_EQ(places.at(static_cast<std::size_t>(order[p])), static_cast<std::int64_t>(p));
    }
    std::vector<std::int64_t> offsets{0};
    for (const std::int64_t count : forgecheck::assignments_per_expert(indices, experts)) {
      offsets.push_back(offsets.back() + count);
    }
    EXPECT_EQ(plan.host_offsets, offsets);
    EXPECT_EQ(device.download(plan.offsets).to_int64().data, offsets);
  }
}

// The router never does that, but the order is defined: by slot.
TEST_F(GpuTest, DispatchOfOneExpertTwiceForATokenKeepsTheSlots) {
  const Ids indices({3, 2}, {1, 1, 0, 1, 1, 0});
  const Dispatch plan = dispatch(device, put<std::int64_t>(indices), 2);
  EXPECT_EQ(device.download(plan.order).to_int64().data, (std::vector<std::int64_t>{2, 5, 0, 1, 3, 4}));
}

TYPED_TEST(MoeTest, GatheredTokensStandInTheDispatchsOrder) {
  using T = TypeParam;
  for (const std::int64_t width : {1, 31, 33, 129}) {
    const Ids indices = choices(65, 3, 7, 4);
    const auto x = random_tensor<T>({65, width}, 5);
    const auto gathered = this->get(
        gather_tokens(this->device, this->on_device(x), dispatch(this->device, this->ids(indices), 8), 3));
    ASSERT_EQ(gathered.shape, (Shape{65 * 3, width}));
    const auto order = sorted_order(indices);
    for (std::int64_t p = 0; p < gathered.rows(); ++p) {
      const std::int64_t token = order[static_cast<std::size_t>(p)] / 3;
      ASSERT_EQ(numbers_of_row(gathered, p), numbers_of_row(x, token));
    }
  }
}

TYPED_TEST(MoeTest, CombinedSumsAreTheReferencesToTheBit) {
  using T = TypeParam;
  for (const auto& [tokens, k, experts, used] : kSizes) {
    const std::int64_t width = tokens > 1000 ? 1 : tokens + 1;
    const Ids indices = choices(tokens, k, used, 6);
    const auto outputs = random_tensor<T>({tokens * k, width}, 7), weights = random_tensor<T>({tokens, k}, 8);
    const Dispatch plan = dispatch(this->device, this->ids(indices), experts);
    const auto out =
        this->get(combine(this->device, this->on_device(outputs), this->on_device(weights), plan, {}));
    EXPECT_EQ(out.shape, (Shape{tokens, width}));
    EXPECT_EQ(out.data, numbers(this->combined(outputs, weights, indices, experts, {}))) << tokens;
  }
}

// More slots than a block has threads.
TYPED_TEST(MoeTest, ManySlotsAreCombinedInOrderOfTheirExperts) {
  using T = TypeParam;
  const Ids indices = choices(3, 40, 41, 9);
  const auto outputs = random_tensor<T>({3 * 40, 2}, 10), weights = random_tensor<T>({3, 40}, 11);
  const Dispatch plan = dispatch(this->device, this->ids(indices), 41);
  const auto out =
      this->get(combine(this->device, this->on_device(outputs), this->on_device(weights), plan, {}));
  EXPECT_EQ(out.data, numbers(this->combined(outputs, weights, indices, 41, {})));
}

TYPED_TEST(MoeTest, ScaledOutputsRoundBeforeTheyAreWeighted) {
  using T = TypeParam;
  const Ids indices = choices(33, 2, 4, 12);
  const auto outputs = random_tensor<T>({66, 35}, 13), weights = random_tensor<T>({33, 2}, 14);
  const std::vector<double> scales{0.7, 1.3, 1.0 / 3, 9.1, 5};
  const Dispatch plan = dispatch(this->device, this->ids(indices), 5);
  const auto out =
      this->get(combine(this->device, this->on_device(outputs), this->on_device(weights), plan, scales));
  EXPECT_EQ(out.data, numbers(this->combined(outputs, weights, indices, 5, scales)));
}

TYPED_TEST(MoeTest, PackedExpertsMultiplyTheirOwnRows) {
  using T = TypeParam;
  const std::vector<std::int64_t> offsets{0, 3, 3, 4, 37};  // the second expert is empty
  for (const std::int64_t in : {1, 31, 33, 129}) {
    const std::int64_t width = 130 - in;
    const auto x = random_tensor<T>({37, in}, 15), weight = random_tensor<T>({4, in, width}, 16);
    Tensor<double> oracle({37, width});
    for (std::int64_t e = 0; e < 4; ++e) {
      const auto all = forgecheck::packed_linear(exact(x), exact(weight), e, kPlain);
      for (std::int64_t r = offsets[static_cast<std::size_t>(e)];
           r < offsets[static_cast<std::size_t>(e + 1)]; ++r) {
        std::ranges::copy(all.row(r), oracle.row(r).begin());
      }
    }
    const auto out =
        this->get(grouped_linear(this->device, this->on_device(x), this->on_device(weight), offsets));
    // `in` products of normal values: as many roundings of terms of at most 16
    expect_close<T>(out, oracle, 16 * static_cast<double>(in));
  }
}

TYPED_TEST(MoeTest, ScaleMultipliesByTheFactorAsAFloat) {
  using T = TypeParam;
  const auto x = random_tensor<T>({3, 700}, 17);
  for (const double factor : {0.5, 1.0 / 3, -1e-3}) {
    const auto out = this->get(scale(this->device, this->on_device(x), factor));
    EXPECT_EQ(out.shape, x.shape);
    EXPECT_EQ(out.data, numbers(forgecheck::scale(x, factor)));
  }
}

TYPED_TEST(MoeTest, NoTokensGiveNoTokens) {
  using T = TypeParam;
  const auto none = this->on_device(Tensor<host_t<T>>({0, 3}));
  const auto weights = this->on_device(Tensor<host_t<T>>({0, 2}));
  const auto indices = this->ids(Ids({0, 2}));
  EXPECT_EQ(apply_capacity(this->device, weights, indices, 4, 1).shape, (Shape{0, 2}));
  const Dispatch plan = dispatch(this->device, indices, 4);
  EXPECT_EQ(plan.host_offsets, (std::vector<std::int64_t>{0, 0, 0, 0, 0}));
  EXPECT_EQ(gather_tokens(this->device, none, plan, 2).shape, (Shape{0, 3}));
  EXPECT_EQ(combine(this->device, none, weights, plan, {}).shape, (Shape{0, 3}));
  const auto packed = this->on_device(random_tensor<T>({4, 3, 5}, 18));
  EXPECT_EQ(grouped_linear(this->device, none, packed, plan.host_offsets).shape, (Shape{0, 5}));
  EXPECT_EQ(scale(this->device, none, 2.0).shape, (Shape{0, 3}));
  this->device.synchronize();
}

TEST_F(GpuTest, MoeChecksItsShapes) {
  const auto zeros = [&](const Shape& shape) { return put<float>(Tensor<float>(shape)); };
  const auto indices = put<std::int64_t>(Ids({4, 2}));
  const Dispatch plan = dispatch(device, indices, 3);
  EXPECT_EQ(message_of([&] {
              apply_capacity(device, zeros({4, 1}), indices, 3, 1);
            }),
            "[apply_capacity] weights has shape 4x1, expected 4x2");
  EXPECT_EQ(message_of([&] {
              gather_tokens(device, zeros({5, 7}), plan, 2);
            }),
            "[gather_tokens] dispatch has shape 8, expected 10");
  EXPECT_EQ(message_of([&] {
              combine(device, zeros({7, 7}), zeros({4, 2}), plan, {});
            }),
            "[combine] expert_output has shape 7x7, expected 8x7");
  EXPECT_EQ(message_of([&] {
              combine(device, zeros({6, 7}), zeros({3, 2}), plan, {});
            }),
            "[combine] dispatch has shape 4x2, expected 3x2");
  EXPECT_EQ(message_of([&] {
              combine(device, zeros({8, 7}), zeros({4, 2}), plan, {1.0});
            }),
            "[combine] scales has shape 1, expected 3");
  EXPECT_EQ(message_of([&] {
              grouped_linear(device, zeros({4, 2}), zeros({1, 2, 3}), {0, 3});
            }),
            "[grouped_linear] input has shape 4x2, expected 3x2");
  EXPECT_EQ(message_of([&] {
              grouped_linear(device, zeros({4, 2}), zeros({1, 2, 3}), {0, 1, 4});
            }),
            "[grouped_linear] offsets has shape 3, expected 2");
}

TYPED_TEST(MoeTest, EveryRunHasTheSameBits) {
  using T = TypeParam;
  const auto indices = this->ids(choices(300, 3, 6, 19));
  const auto x = this->on_device(random_tensor<T>({300, 33}, 20));
  const auto weights = this->on_device(random_tensor<T>({300, 3}, 21));
  const auto packed = this->on_device(random_tensor<T>({8, 33, 5}, 22));
  expect_repeatable([&] { return this->bytes(apply_capacity(this->device, weights, indices, 8, 50)); });
  expect_repeatable([&] { return this->bytes(dispatch(this->device, indices, 8).order); });
  expect_repeatable([&] { return this->bytes(dispatch(this->device, indices, 8).places); });
  const Dispatch plan = dispatch(this->device, indices, 8);
  expect_repeatable([&] { return this->bytes(gather_tokens(this->device, x, plan, 3)); });
  const auto gathered = gather_tokens(this->device, x, plan, 3);
  expect_repeatable(
      [&] { return this->bytes(grouped_linear(this->device, gathered, packed, plan.host_offsets)); });
  expect_repeatable([&] {
    return this->bytes(combine(this->device, gathered, weights, plan, std::vector<double>(8, 0.3)));
  });
  expect_repeatable([&] { return this->bytes(scale(this->device, x, 0.3)); });
}

}  // namespace
}  // namespace forgecheck::gpu
