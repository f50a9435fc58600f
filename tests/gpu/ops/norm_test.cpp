#include "gpu/ops/norm.h"

#include "reference/error.h"
#include "reference/ops/norm.h"
#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {
namespace {

/// One lane a row, some, a whole warp, the last width of a warp, and the first of a block.
const std::vector<std::int64_t> kWidths = {1, 2, 6, 16, 17, 33, 64, 80, 128, 255, 513, 1024, 1025, 2050};
constexpr double kEps = 1e-5;

/// A sum of n squares loses at most n roundings of itself, half of that after the root; a few more follow.
double roundings(std::int64_t width) {
  return static_cast<double>(width) + 8;
}

template <class T>
class GpuNorm : public GpuTest {
 protected:
  DeviceTensor<T> random(const Shape& shape, std::uint64_t seed) {
    return put<T>(random_tensor<T>(shape, seed));
  }
};
TYPED_TEST_SUITE(GpuNorm, ElementTypes);

TYPED_TEST(GpuNorm, RmsNormIsTheReferenceAtEveryWidth) {
  using T = TypeParam;
  for (const std::int64_t width : kWidths) {
    SCOPED_TRACE(width);
    const auto x = random_tensor<T>({3, 7, width}, 1, 2.0), weight = random_tensor<T>({width}, 2);
    const auto out = rms_norm(this->device, this->template put<T>(x), this->template put<T>(weight), kEps);
    expect_close<T>(this->get(out), forgecheck::rms_norm(exact(x), exact(weight), kEps), roundings(width));
  }
}

// A mean far from 0 would show a variance taken as mean(x^2) - mean^2.
TYPED_TEST(GpuNorm, LayerNormIsTheReferenceAtEveryWidth) {
  using T = TypeParam;
  for (const std::int64_t width : kWidths) {
    if (width == 1) continue;  // centred to zero: every bit of it is rounding
    SCOPED_TRACE(width);
    auto x = random_tensor<T>({3, 7, width}, 1);
    for (auto& value : x.data) value = host_t<T>(static_cast<float>(value) + 4.0F);
    const auto weight = random_tensor<T>({width}, 2), bias = random_tensor<T>({width}, 3);
    const auto out = layer_norm(this->device, this->template put<T>(x), this->template put<T>(weight),
                                this->template put<T>(bias), kEps);
    const auto oracle = forgecheck::layer_norm(exact(x), exact(weight), exact(bias), kEps);
    // The mean loses roundings of 4 where the deviation is 1.
    expect_close<T>(this->get(out), oracle, 8 * roundings(width));
  }
}

// eps = 3e-6 against a mean square of 1e-6: outside the root it would give 0.997, not 0.5.
TYPED_TEST(GpuNorm, EpsIsInsideTheRoot) {
  using T = TypeParam;
  const host_t<T> small(1e-3F), minus_small(-1e-3F), one(1.0F);
  const auto x = this->template put<T>(Tensor<host_t<T>>({1, 2}, {small, minus_small})),
             ones = this->template put<T>(Tensor<host_t<T>>({2}, {one, one})),
             zeros = this->template put<T>(Tensor<host_t<T>>({2}));
  const double near = machine_epsilon(device_dtype<T>());
  for (const auto& out : {this->get(rms_norm(this->device, x, ones, 3e-6)),
                          this->get(layer_norm(this->device, x, ones, zeros, 3e-6))}) {
    EXPECT_NEAR(out[0], 0.5, near);
    EXPECT_NEAR(out[1], -0.5, near);
  }
}

TYPED_TEST(GpuNorm, ARowDoesNotDependOnTheRowsAround) {
  using T = TypeParam;
  for (const std::int64_t width : {5, 40, 300, 1500}) {
    SCOPED_TRACE(width);
    const auto x = random_tensor<T>({9, width}, 1);
    const auto weight = this->random({width}, 2), bias = this->random({width}, 3);
    const auto all = this->template put<T>(x);
    const auto rms = this->get(rms_norm(this->device, all, weight, kEps));
    const auto layer = this->get(layer_norm(this->device, all, weight, bias, kEps));
    for (std::int64_t r = 0; r < 9; ++r) {
      const auto row = x.row(r);
      const auto alone = this->template put<T>(Tensor<host_t<T>>({1, width}, {row.begin(), row.end()}));
      EXPECT_TRUE(
          std::ranges::equal(this->get(rms_norm(this->device, alone, weight, kEps)).data, rms.row(r)));
      EXPECT_TRUE(std::ranges::equal(this->get(layer_norm(this->device, alone, weight, bias, kEps)).data,
                                     layer.row(r)));
    }
  }
}

TYPED_TEST(GpuNorm, EveryOrderGivesTheSameBits) {
  for (const std::int64_t width : {48, 1500}) {
    const auto x = this->random({7, width}, 1), weight = this->random({width}, 2),
               bias = this->random({width}, 3);
    expect_repeatable([&] { return this->bytes(rms_norm(this->device, x, weight, kEps)); });
    expect_repeatable([&] { return this->bytes(layer_norm(this->device, x, weight, bias, kEps)); });
  }
}

TYPED_TEST(GpuNorm, NoRowsGiveNoRows) {
  const auto none = this->random({0, 8}, 1), parameter = this->random({8}, 2);
  EXPECT_EQ(rms_norm(this->device, none, parameter, kEps).shape, (Shape{0, 8}));
  EXPECT_EQ(layer_norm(this->device, none, parameter, parameter, kEps).shape, (Shape{0, 8}));
  this->device.synchronize();
}

TYPED_TEST(GpuNorm, ParametersMustFitTheLastAxis) {
  const auto x = this->random({8}, 1), short_one = this->random({7}, 2);
  EXPECT_THROW(rms_norm(this->device, x, short_one, kEps), ShapeError);
  EXPECT_THROW(layer_norm(this->device, x, short_one, x, kEps), ShapeError);
  EXPECT_THROW(layer_norm(this->device, x, x, short_one, kEps), ShapeError);
}

}  // namespace
}  // namespace forgecheck::gpu
