// Bit for bit the same under every order of threads, warps and blocks.
#pragma once

#include "tests/gpu/gpu_test.h"

namespace forgecheck::gpu {

/// `run` returns bytes. Under the emulator each run has another seed; on a device the runs just follow each
/// other.
template <class Run>
void expect_repeatable(Run run) {
  constexpr std::uint64_t kSeeds = 8;
  const std::vector<std::byte> first = run();
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
#ifdef FORGECHECK_SIMT
    const std::uint64_t before = simt::seed();
    simt::set_seed(before + seed);
    EXPECT_EQ(run(), first) << "seed " << before + seed;
    simt::set_seed(before);
#else
    EXPECT_EQ(run(), first) << "run " << seed;
#endif
  }
}

}  // namespace forgecheck::gpu
