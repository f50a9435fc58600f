#include "gpu/ops/activation.h"

#include <limits>

#include "reference/error.h"
#include "reference/ops/activation.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {
namespace {

constexpr Activation kAll[] = {Activation::silu, Activation::gelu, Activation::relu};

template <class T>
class ActivationTest : public GpuTest {
 protected:
  /// Rows of one element, so that each is compared at its own scale.
  Tensor<host_t<T>> values(std::int64_t count) { return random_tensor<T>({count, 1}, 7, 3.0); }
};
TYPED_TEST_SUITE(ActivationTest, ElementTypes);

TYPED_TEST(ActivationTest, MatchesTheReference) {
  using T = TypeParam;
  for (const std::int64_t count : {1, 31, 33, 257, 5000}) {
    const auto x = this->values(count);
    for (const Activation activation : kAll) {
      const auto out = this->get(activate(this->device, this->template put<T>(x), activation));
      const auto oracle = forgecheck::activate(exact(x), activation, kPlain);
      for (std::int64_t i = 0; i < count; ++i) {
        // A few roundings of values no larger than x: 1 + erf(x) loses digits where x is far below 0.
        const double half_unit = machine_epsilon(device_dtype<T>()) / 2 * std::abs(oracle[i]);
        ASSERT_NEAR(out[i], oracle[i], half_unit + 8 * 0x1p-24 * std::abs(exact(x)[i]))
            << to_string(activation);
      }
    }
  }
}

TYPED_TEST(ActivationTest, SwigluRoundsSiluAndThenTheProduct) {
  using T = TypeParam;
  const auto gate = this->values(3000), up = random_tensor<T>({3000, 1}, 8);
  const auto out = this->get(swiglu(this->device, this->template put<T>(gate), this->template put<T>(up)));
  const auto silu = this->get(activate(this->device, this->template put<T>(gate), Activation::silu));
  for (std::int64_t i = 0; i < out.size(); ++i) {
    const auto product = static_cast<float>(silu[i]) * static_cast<float>(up[i]);
    ASSERT_EQ(out[i], static_cast<double>(static_cast<float>(host_t<T>(product))));
  }
}

TYPED_TEST(ActivationTest, TheSameBitsUnderEverySeed) {
  const auto x = this->template put<TypeParam>(this->values(3000));
  expect_repeatable(
      [&] { return this->bytes(swiglu(this->device, x, activate(this->device, x, Activation::gelu))); });
}

TEST_F(GpuTest, ActivationsFarFromZeroAreFinite) {
  const auto x = put<float>(Tensor<float>({4}, {200, -200, 0, -0.0F}));
  for (const Activation activation : kAll) {
    EXPECT_EQ(get(activate(device, x, activation)).data, (std::vector<double>{200, 0, 0, 0}))
        << to_string(activation);
  }
}

TEST_F(GpuTest, ActivationsKeepNan) {
  const auto x = put<float>(Tensor<float>({1}, {std::numeric_limits<float>::quiet_NaN()}));
  for (const Activation activation : kAll) {
    EXPECT_TRUE(std::isnan(get(activate(device, x, activation))[0])) << to_string(activation);
  }
}

TEST_F(GpuTest, SwigluNeedsTwoOfAKind) {
  EXPECT_THROW(swiglu(device, put<float>(Tensor<float>({2})), put<float>(Tensor<float>({3}))), ShapeError);
}

}  // namespace
}  // namespace forgecheck::gpu
