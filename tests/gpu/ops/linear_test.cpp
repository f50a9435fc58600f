// Projections against the reference in double, at the edges of tiles and of vocabularies.
#include "gpu/ops/linear.h"

#include "reference/error.h"
#include "reference/ops/linear.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {
namespace {

template <class T>
class LinearTest : public GpuTest {
 protected:
  using H = host_t<T>;
  Tensor<H> x(const Shape& shape) { return random_tensor<T>(shape, 1); }
  Tensor<H> weight(const Shape& shape) { return random_tensor<T>(shape, 2); }
};
TYPED_TEST_SUITE(LinearTest, ElementTypes);

constexpr std::int64_t kSizes[] = {1, 2, 31, 32, 33, 63, 64, 65, 127, 129};

TYPED_TEST(LinearTest, MatchesTheReference) {
  using T = TypeParam;
  for (const std::int64_t rows : {1, 3, 33}) {
    for (const std::int64_t in : kSizes) {
      const std::int64_t out_features = 130 - in;
      const auto x = this->x({rows, in});
      const auto weight = this->weight({out_features, in});
      const auto out =
          this->get(linear(this->device, this->template put<T>(x), this->template put<T>(weight)));
      // A sum of `in` products of normal values: as many roundings of terms of at most 16.
      expect_close<T>(out, forgecheck::linear(exact(x), exact(weight), kPlain), 16 * static_cast<double>(in));
    }
  }
}

TYPED_TEST(LinearTest, TheBiasIsAddedToEveryRowBeforeTheRounding) {
  using T = TypeParam;
  struct Size {
    Shape rows;
    std::int64_t in, out;
  };
  // cuBLAS takes other kernels for a single row.
  for (const Size& size : {Size{{2, 5}, 33, 7}, Size{{1, 1}, 256, 256}, Size{{2, 1}, 1, 8}}) {
    const auto x = this->x({size.rows[0], size.rows[1], size.in});
    const auto weight = this->weight({size.out, size.in}), bias = random_tensor<T>({size.out}, 3);
    const auto out = this->get(linear(this->device, this->template put<T>(x), this->template put<T>(weight),
                                      this->template put<T>(bias)));
    expect_close<T>(out, forgecheck::linear(exact(x), exact(weight), exact(bias), kPlain),
                    16 * static_cast<double>(size.in + 1));
  }
}

TYPED_TEST(LinearTest, TheSameBitsUnderEverySeed) {
  using T = TypeParam;
  const auto x = this->template put<T>(this->x({9, 65})),
             weight = this->template put<T>(this->weight({33, 65}));
  const auto bias = this->template put<T>(random_tensor<T>({33}, 3));
  expect_repeatable([&] {
    const DeviceTensor<T> out = linear(this->device, x, weight, bias);
    return this->bytes(
        add(this->device, out, grouped_linear<T>(this->device, x, {weight, weight}, {0, 4, 9})));
  });
}

TYPED_TEST(LinearTest, NoRowsGiveNoRows) {
  using T = TypeParam;
  const auto weight = this->template put<T>(this->weight({3, 2}));
  const auto none = this->template put<T>(Tensor<host_t<T>>({2, 0, 2}));
  EXPECT_EQ(linear(this->device, none, weight).shape, (Shape{2, 0, 3}));
  EXPECT_EQ(linear(this->device, none, weight, this->template put<T>(this->x({3}))).shape, (Shape{2, 0, 3}));
  this->device.synchronize();
}

TYPED_TEST(LinearTest, GroupsGoThroughTheirOwnWeights) {
  using T = TypeParam;
  const std::vector<std::int64_t> offsets{0, 3, 3, 4, 9};  // the second group is empty
  const auto x = this->x({9, 33});
  std::vector<DeviceTensor<T>> weights;
  Tensor<double> oracle({9, 5});
  for (std::size_t e = 0; e < 4; ++e) {
    const auto weight = random_tensor<T>({5, 33}, 10 + e);
    weights.push_back(this->template put<T>(weight));
    const Tensor<double> all = forgecheck::linear(exact(x), exact(weight), kPlain);
    for (std::int64_t r = offsets[e]; r < offsets[e + 1]; ++r)
      std::ranges::copy(all.row(r), oracle.row(r).begin());
  }
  const auto out = this->get(grouped_linear(this->device, this->template put<T>(x), weights, offsets));
  expect_close<T>(out, oracle, 16 * 33);
}

TYPED_TEST(LinearTest, AddRoundsOnce) {
  using T = TypeParam;
  const auto x = this->x({3, 700}), y = random_tensor<T>({3, 700}, 5, 100.0);
  const auto out = this->get(add(this->device, this->template put<T>(x), this->template put<T>(y)));
  const auto oracle = forgecheck::add(x, y);  // in T: every bit
  EXPECT_EQ(out.data, exact(oracle).data);
}

// 1 + 2^-8 is a tie that goes to 1; with the bias 2^-8 before the rounding it is 1 + 2^-7 exactly.
TEST_F(GpuTest, LinearInBfloat16RoundsOnceBehindTheBias) {
  const auto values = [](const Shape& shape, std::vector<float> numbers) {
    Tensor<Bfloat16> out(shape);
    for (std::size_t i = 0; i < numbers.size(); ++i) out.data[i] = Bfloat16(numbers[i]);
    return out;
  };
  const auto x = put<bf16>(values({1, 2}, {1, 0x1p-8F})), weight = put<bf16>(values({1, 2}, {1, 1}));
  EXPECT_EQ(get(linear(device, x, weight))[0], 1.0);
  EXPECT_EQ(get(linear(device, x, weight, put<bf16>(values({1}, {0x1p-8F}))))[0], 1 + 0x1p-7);
}

// 256 + 1 is not a bfloat16: a sum kept in bfloat16 would lose the 1.
TEST_F(GpuTest, LinearInBfloat16SumsInFloat) {
  Tensor<Bfloat16> x({1, 3}), ones({1, 3});
  x.data = {Bfloat16(256), Bfloat16(1), Bfloat16(-256)};
  ones.data.assign(3, Bfloat16(1));
  EXPECT_EQ(get(linear(device, put<bf16>(x), put<bf16>(ones)))[0], 1.0);
}

TEST_F(GpuTest, LinearChecksItsShapes) {
  const auto zeros = [&](const Shape& shape) { return put<float>(Tensor<float>(shape)); };
  const auto message = [](const std::function<void()>& action) {
    try {
      action();
    } catch (const ShapeError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message([&] {
              linear(device, zeros({4, 3}), zeros({1, 2}));
            }),
            "[linear] input 4x3 does not fit weight 1x2");
  EXPECT_EQ(message([&] {
              linear(device, zeros({4, 2}), zeros({1, 2}), zeros({2}));
            }),
            "[linear] bias has shape 2, expected 1");
  EXPECT_EQ(message([&] { add(device, zeros({4}), zeros({5})); }),
            "[add] second term has shape 5, expected 4");
  EXPECT_EQ(message([&] {
              grouped_linear<float>(device, zeros({4, 2}), {zeros({1, 2})}, {0, 3});
            }),
            "[grouped_linear] input rows has shape 4, expected 3");
  EXPECT_EQ(message([&] {
              grouped_linear<float>(device, zeros({4, 2}), {zeros({1, 2})}, {0, 1, 4});
            }),
            "[grouped_linear] offsets has shape 3, expected 2");
}

}  // namespace
}  // namespace forgecheck::gpu
