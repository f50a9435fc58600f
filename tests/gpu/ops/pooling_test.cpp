// Pooling of patch grids: every bit of the reference's.
#include "gpu/ops/pooling.h"

#include "reference/ops/pooling.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::gpu {
namespace {

template <class T>
class PoolingTest : public GpuTest {
 protected:
  DeviceTensor<T> on_device(const Tensor<host_t<T>>& x) { return this->template put<T>(x); }
};
TYPED_TEST_SUITE(PoolingTest, ElementTypes);

TYPED_TEST(PoolingTest, AveragesMatchTheReferenceWithWindowsOverTheEdge) {
  using T = TypeParam;
  for (const std::int64_t side : {1, 2, 3, 5, 8}) {
    for (const std::int64_t window : {1, 2, 3, 4, 9}) {
      for (const std::int64_t width : {1, 33}) {
        const auto x = random_tensor<T>({3, side * side, width}, 1);
        const auto oracle = forgecheck::average_pool(x, window);
        const auto out = this->get(average_pool(this->device, this->on_device(x), window));
        EXPECT_EQ(out.shape, oracle.shape);
        EXPECT_EQ(out.data, numbers(oracle)) << "side " << side << ", window " << window;
      }
    }
  }
}

TYPED_TEST(PoolingTest, WindowsHoldTheReferencesPatches) {
  using T = TypeParam;
  for (const auto& [side, window] : {std::pair{1, 1}, {2, 2}, {4, 2}, {6, 3}, {6, 2}, {5, 1}}) {
    const auto x = random_tensor<T>({3, side * side, 17}, 2);
    const auto oracle = forgecheck::pool_windows(x, window);
    const auto out = this->get(pool_windows(this->device, this->on_device(x), window));
    EXPECT_EQ(out.shape, oracle.shape);
    EXPECT_EQ(out.data, numbers(oracle)) << "side " << side << ", window " << window;
  }
}

TYPED_TEST(PoolingTest, MeansOfWindowsAreTheReferences) {
  using T = TypeParam;
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{5, 3, 33}, Shape{2, 9, 129}, Shape{40, 4, 8}}) {
    const auto x = random_tensor<T>(shape, 3);
    const auto oracle = forgecheck::window_mean(x);
    const auto out = this->get(window_mean(this->device, this->on_device(x)));
    EXPECT_EQ(out.shape, oracle.shape);
    EXPECT_EQ(out.data, numbers(oracle));
  }
}

TEST_F(GpuTest, PoolingChecksTheGrid) {
  const auto zeros = [&](const Shape& shape) { return put<float>(Tensor<float>(shape)); };
  EXPECT_EQ(message_of([&] {
              average_pool(device, zeros({1, 8, 2}), 2);
            }),
            "[pool] 8 patches are not a square grid");
  EXPECT_EQ(message_of([&] {
              pool_windows(device, zeros({1, 10, 2}), 2);
            }),
            "[pool] 10 patches are not a square grid");
  EXPECT_EQ(message_of([&] {
              pool_windows(device, zeros({1, 25, 2}), 2);
            }),
            "[attentional_pool] the 5x5 grid does not divide by pool_window = 2");
}

TYPED_TEST(PoolingTest, NoSamplesGiveNoSamples) {
  using T = TypeParam;
  const auto none = this->on_device(Tensor<host_t<T>>({0, 9, 2}));
  EXPECT_EQ(average_pool(this->device, none, 2).shape, (Shape{0, 4, 2}));
  EXPECT_EQ(pool_windows(this->device, none, 3).shape, (Shape{0, 9, 2}));
  EXPECT_EQ(window_mean(this->device, none).shape, (Shape{0, 1, 2}));
  this->device.synchronize();
}

TYPED_TEST(PoolingTest, EveryRunHasTheSameBits) {
  const auto x = this->on_device(random_tensor<TypeParam>({2, 36, 33}, 4));
  expect_repeatable([&] { return this->bytes(average_pool(this->device, x, 4)); });
  expect_repeatable([&] { return this->bytes(pool_windows(this->device, x, 3)); });
  expect_repeatable([&] { return this->bytes(window_mean(this->device, x)); });
}

}  // namespace
}  // namespace forgecheck::gpu
