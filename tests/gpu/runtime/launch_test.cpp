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

}  // namespace
}  // namespace forgecheck::gpu
#endif
