// The same bits every time.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <vector>

#ifdef FORGECHECK_SIMT
#include <cuda_runtime.h>
#endif

namespace forgecheck::gpu {

/// Runs it again and again, on the emulator under other orders of threads, blocks and streams; `run` returns
/// the bytes of its result.
template <class F>
void expect_repeatable(F run) {
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
