// Has its own kernels, so it runs on the emulator only: a device's compiler does not see this file.
#ifdef FORGECHECK_SIMT
#include "gpu/runtime/launch.h"

#include "gpu/runtime/check.h"
#include "tests/gpu/gpu_test.h"

namespace forgecheck::gpu {
namespace {

using LaunchTest = GpuTest;

__global__ void look_at_word(std::uint32_t* seen, int word) {
  *seen = shared_memory<std::uint32_t>()[word];
}

__global__ void clear_words(int count) {
  for (int i = 0; i < count; ++i) shared_memory<std::uint32_t>()[i] = 0;
}

// nvcc reads an array of 8 bytes by one load of 16, which compute-sanitizer reports if the block has only 8.
// The emulator fills what a block has with ones before the block runs.
TEST_F(LaunchTest, SharedMemoryIsRoundedUpTo16Bytes) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "it reads memory that was never written, which the checking emulator reports";
#endif
  for (std::size_t bytes = 1; bytes <= 48; ++bytes) {
    const auto words = static_cast<int>((bytes + 15) / 16 * 4);
    launch(device, "clear_words", clear_words, 1, 1, static_cast<std::size_t>(words) * 4, words);
    const DeviceTensor<std::int64_t> seen = device.make<std::int64_t>({1}, "what was seen");
    FORGECHECK_CUDA(cudaMemsetAsync(seen.get(), 0, sizeof(std::int64_t), device.stream()));
    launch(device, "look_at_word", look_at_word, 1, 1, bytes, reinterpret_cast<std::uint32_t*>(seen.get()),
           words - 1);
    EXPECT_EQ(device.download(seen).to_int64()[0], 0xffffffff) << bytes << " bytes";
  }
}

// Cut to 32 bits the last would be a grid of one block.
TEST_F(LaunchTest, AGridHasAtMost2To31Minus1Blocks) {
  for (const std::int64_t blocks : {std::int64_t{1} << 31, (std::int64_t{1} << 32) + 1}) {
    EXPECT_EQ(message_of([&] { launch(device, "clear_words", clear_words, blocks, 1, 0, 0); }),
              "kernel clear_words: " + std::to_string(blocks) + " blocks; at most 2^31 - 1 are allowed");
  }
  launch(device, "clear_words", clear_words, 0, 1, 0, 0);
  device.synchronize();
}

__global__ void set_byte(std::uint8_t* out) {
  *out = 1;
}

// Behind an upload on the device's own stream, and in front of a download.
TEST_F(LaunchTest, RunsInOrderWithTheDevicesStream) {
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    simt::set_seed(seed);
    const DeviceTensor<std::uint8_t> value =
        device.upload<std::uint8_t>(Array::from(Tensor<std::uint8_t>({1}, {0})), "value");
    launch(device, "set_byte", set_byte, 1, 1, 0, value.get());
    EXPECT_EQ(device.download(value).to_int64()[0], 1) << "seed " << seed;
  }
}

}  // namespace
}  // namespace forgecheck::gpu
#endif
