// Bit for bit the same under every order of threads, warps, blocks and streams.
#pragma once

#include "tests/gpu/gpu_test.h"

namespace forgecheck::gpu {

/// Runs it again and again, on the emulator under another seed each time; `run` returns the bytes of its
/// result.
template <class Run>
void expect_repeatable(Run run) {
  constexpr unsigned kRuns = 12;
  const std::vector<std::byte> first = run();
  EXPECT_FALSE(first.empty());
#ifdef FORGECHECK_SIMT
  const std::uint64_t seed = simt::seed();
#endif
  for (unsigned i = 1; i <= kRuns; ++i) {
#ifdef FORGECHECK_SIMT
    simt::set_seed(seed + i);
#endif
    EXPECT_EQ(run(), first) << "run " << i;
  }
#ifdef FORGECHECK_SIMT
  simt::set_seed(seed);
#endif
}

}  // namespace forgecheck::gpu
