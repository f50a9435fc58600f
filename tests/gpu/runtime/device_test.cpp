#include "gpu/runtime/device.h"

#include "gpu/runtime/check.h"
#include "gpu/runtime/recorder.h"
#include "tests/gpu/gpu_test.h"

namespace forgecheck::gpu {
namespace {

using testing::HasSubstr;

/// On the emulator, another order of threads and streams for each seed; a device has its own.
void take_order([[maybe_unused]] std::uint64_t seed) {
#ifdef FORGECHECK_SIMT
  simt::set_seed(seed);
#endif
}

TEST_F(GpuTest, UploadAndDownloadKeepEveryBit) {
  const Tensor<float> values({2, 3}, {1.5F, -0.0F, 3e-42F, INFINITY, -7, 0.1F});
  const Array back = device.download(put<float>(values));
  EXPECT_EQ(back.shape(), values.shape);
  EXPECT_TRUE(std::ranges::equal(back.bytes(), Array::from(values).bytes()));
}

TEST_F(GpuTest, UploadNamesTheTensorOfAnotherType) {
  EXPECT_EQ(message_of([&] { device.upload<bf16>(Array::from(Tensor<float>({1}, {1.0F})), "norm.weight"); }),
            "[upload] norm.weight is float32, expected bfloat16");
}

TEST_F(GpuTest, AFailedCallIsAnErrorWithItsText) {
  EXPECT_THAT(message_of([] { FORGECHECK_CUDA(cudaSetDevice(99)); }),
              HasSubstr("cudaSetDevice(99): invalid device"));
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "the next launch would report it again";
}

TEST_F(GpuTest, AFailedCallOfCublasIsAnErrorWithItsText) {
  EXPECT_THAT(message_of([] { FORGECHECK_CUDA(cublasSetStream(nullptr, nullptr)); }),
              testing::StartsWith("cublasSetStream(nullptr, nullptr): "));
}

TEST_F(GpuTest, ATensorWithoutElementsIsNotAbsent) {
  const DeviceTensor<float> empty = device.make<float>({0, 3}, "empty");
  EXPECT_TRUE(empty);
  EXPECT_EQ(device.download(empty).shape(), (Shape{0, 3}));
  EXPECT_TRUE(put<float>(Tensor<float>({0, 3})));
  EXPECT_FALSE(DeviceTensor<float>());
}

TEST_F(GpuTest, OutOfMemoryNamesTheTensorAndItsSize) {
  const std::int64_t huge = std::int64_t{1} << 50;
  EXPECT_EQ(message_of([&] {
              device.make<float>({huge, 4}, "logits");
            }),
            "out of device memory: logits (1125899906842624x4) needs 18014398509481984 bytes");
  // The device is still usable, and the next check of a launch finds nothing.
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  EXPECT_EQ(get(put<float>(Tensor<float>({1}, {2.0F})))[0], 2.0);
}

class Guards : public testing::Test {
 protected:
  Device device{Checks::guards};
};

TEST_F(Guards, AWrittenBandNamesTheTensor) {
  {
    const DeviceTensor<float> kept = device.make<float>({8}, "kept"),
                              broken = device.make<float>({5}, "broken");
    FORGECHECK_CUDA(cudaMemsetAsync(broken.get() + 5, 0, 1, device.stream()));
    FORGECHECK_CUDA(cudaMemsetAsync(kept.get(), 0, 8 * sizeof(float), device.stream()));
  }
  EXPECT_EQ(message_of([&] { device.synchronize(); }), "a kernel wrote outside broken (5)");
  device.synchronize();
}

TEST_F(Guards, TheBandBeforeATensorCountsToo) {
  {
    const DeviceTensor<float> broken = device.make<float>({5}, "broken");
    FORGECHECK_CUDA(cudaMemsetAsync(broken.get() - 1, 0, 1, device.stream()));
  }
  EXPECT_EQ(message_of([&] { device.synchronize(); }), "a kernel wrote outside broken (5)");
}

TEST_F(Guards, OfSeveralBrokenTensorsTheFirstOneMadeIsNamed) {
  for (const bool first_is_freed_first : {false, true}) {
    DeviceTensor<float> first = device.make<float>({5}, "first"), second = device.make<float>({5}, "second");
    for (const DeviceTensor<float>& tensor : {first, second}) {
      FORGECHECK_CUDA(cudaMemsetAsync(tensor.get() + 5, 0, 1, device.stream()));
    }
    (first_is_freed_first ? first : second) = {};
    (first_is_freed_first ? second : first) = {};
    EXPECT_EQ(message_of([&] { device.synchronize(); }), "a kernel wrote outside first (5)");
    device.synchronize();
  }
}

TEST_F(Guards, AnyByteOfABandCounts) {
  for (const std::ptrdiff_t byte : {-256, -1, 20, 21, 255, 256, 511}) {
    {
      const DeviceTensor<float> broken = device.make<float>({5}, "broken");  // 20 of 256 bytes, and a band
      auto* const bytes = reinterpret_cast<unsigned char*>(broken.get());
      FORGECHECK_CUDA(cudaMemsetAsync(bytes + byte, 0, 1, device.stream()));
    }
    EXPECT_EQ(message_of([&] { device.synchronize(); }), "a kernel wrote outside broken (5)") << byte;
  }
}

TEST_F(Guards, FreshMemoryIsNan) {
  const Array values = device.download(device.make<float>({3}, "fresh"));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(std::isnan(values.at(i)));
}

TEST_F(GpuTest, TheRecorderKeepsTheOrderAndTheFilter) {
  Recorder recorder(device, [](std::string_view name) { return name != "b"; });
  recorder.tap("a", put<float>(Tensor<float>({2}, {1, 2})));
  recorder.tap("b", put<float>(Tensor<float>({1}, {3})));
  recorder.tap_value("b", Array::from(Tensor<std::int64_t>({1}, {3})));
  recorder.tap_value("c", Array::from(Tensor<std::int64_t>({1}, {4})));
  recorder.tap("d", put<float>(Tensor<float>({4}, {5, 6, 7, 8})), {2, 2});
  const Trace trace = recorder.finish();
  ASSERT_EQ(trace.entries().size(), 3U);
  EXPECT_EQ(trace.entries()[0].first, "a");
  EXPECT_EQ(trace.entries()[1].first, "c");
  EXPECT_EQ(trace.at("d").shape(), (Shape{2, 2}));
  EXPECT_EQ(trace.at("d").at(3), 8.0);
}

TEST_F(GpuTest, AFinishedRecorderHoldsNothing) {
  Recorder recorder(device, nullptr);
  const DeviceTensor<float> x = put<float>(Tensor<float>({2}, {1, 2}));
  recorder.tap("a", x);
  EXPECT_GT(x.data.use_count(), 1);
  EXPECT_EQ(recorder.finish().entries().size(), 1U);
  EXPECT_EQ(x.data.use_count(), 1);
  EXPECT_EQ(recorder.finish().entries().size(), 0U);
}

// The memory of a tap that nothing else holds must not be freed before it is copied on the other stream.
TEST_F(GpuTest, TheRecorderHoldsWhatItCopies) {
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    take_order(seed);
    Recorder recorder(device, nullptr);
    recorder.tap("a", put<float>(Tensor<float>({2}, {1, 2})));
    const DeviceTensor<float> next = device.make<float>({2}, "next");
    FORGECHECK_CUDA(cudaMemsetAsync(next.get(), 0, 2 * sizeof(float), device.stream()));
    EXPECT_EQ(recorder.finish().at("a").at(1), 2.0) << "seed " << seed;
  }
}

// As where a rule is broken half way through a model: its copies must not run into memory that is gone.
TEST_F(GpuTest, ARecorderMayBeDroppedBeforeItsCopiesRan) {
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    take_order(seed);
    {
      Recorder recorder(device, nullptr);
      recorder.tap("a", put<float>(Tensor<float>({2}, {1, 2})));
    }
    device.synchronize();
  }
}

// The copy stream must wait for the kernels before the tap: without its event the result depends on the seed.
TEST_F(GpuTest, TheRecorderWaitsForTheValue) {
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    take_order(seed);
    Recorder recorder(device, nullptr);
    const DeviceTensor<float> zeros = device.make<float>({64}, "zeros");
    FORGECHECK_CUDA(cudaMemsetAsync(zeros.get(), 0, 64 * sizeof(float), device.stream()));
    recorder.tap("zeros", zeros);
    EXPECT_EQ(recorder.finish().at("zeros").at(63), 0.0) << "seed " << seed;
  }
}

}  // namespace
}  // namespace forgecheck::gpu
