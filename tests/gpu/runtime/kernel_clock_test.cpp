// Kernels and library calls are counted and timed by name, while a clock lives.
#include "gpu/runtime/kernel_clock.h"

#include "gpu/ops/linear.h"
#include "gpu/ops/moe.h"
#include "gpu/runtime/check.h"
#include "tests/gpu/gpu_test.h"

namespace forgecheck::gpu {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class KernelClockTest : public GpuTest {
 protected:
  DeviceTensor<float> x = put<float>(random_tensor<float>({3, 8}, 1)),
                      weight = put<float>(random_tensor<float>({8, 8}, 2)),
                      experts = put<float>(random_tensor<float>({3, 8, 8}, 3));
};

auto launched(const std::string& name, std::int64_t launches) {
  return testing::AllOf(Field("name", &KernelTime::name, name),
                        Field("launches", &KernelTime::launches, launches));
}

TEST_F(KernelClockTest, LaunchesAreCountedByNameWhileItLives) {
  scale(device, x, 2.0);
  {
    KernelClock clock(device);
    EXPECT_THAT(clock.times(), IsEmpty());
    EXPECT_EQ(message_of([&] { KernelClock second(device); }), "a device has one clock at a time");
    linear(device, scale(device, x, 2.0), weight);
    scale(device, x, 3.0);
    EXPECT_THAT(clock.times(), UnorderedElementsAre(launched("scale", 2), launched("cublasGemmEx", 1)));
    // The second of the experts has no tokens.
    grouped_linear(device, x, experts, {0, 1, 1, 3});
    EXPECT_THAT(clock.times(), UnorderedElementsAre(launched("scale", 2), launched("cublasGemmEx", 3)));
  }
  EXPECT_EQ(device.clock(), nullptr);
  scale(device, x, 2.0);
  KernelClock another(device);
  EXPECT_THAT(another.times(), IsEmpty());
}

TEST_F(KernelClockTest, EachKernelHasItsOwnTimeAndTheLongestIsFirst) {
  const DeviceTensor<float> large = device.make<float>({512, 512}, "large");
  FORGECHECK_CUDA(cudaMemsetAsync(large.get(), 0, sizeof(float) * (1 << 18), device.stream()));
  // A product of 2^27 terms takes longer than 64 values on any device, once both kernels are loaded.
  const auto run_both = [&] {
    scale(device, weight, 2.0);
    linear(device, large, large);
  };
  run_both();
  KernelClock clock(device);
  run_both();
  const std::vector<KernelTime> times = clock.times();
  ASSERT_THAT(times, ElementsAre(launched("cublasGemmEx", 1), launched("scale", 1)));
  EXPECT_GT(times[1].milliseconds, 0);
  EXPECT_GT(times[0].milliseconds, 0.003) << "2^28 operations at 90 TFLOP/s";
}

TEST_F(KernelClockTest, TheResultIsTheSame) {
  const std::vector<std::byte> untimed = bytes(linear(device, x, weight));
  const KernelClock clock(device);
  EXPECT_EQ(bytes(linear(device, x, weight)), untimed);
}

}  // namespace
}  // namespace forgecheck::gpu
