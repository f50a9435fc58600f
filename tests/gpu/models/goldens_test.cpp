// Every recorded case on the GPU backend: that it matches is what `forgecheck verify` says; here, that no
// order which CUDA leaves open changes a bit of it.
#include <gtest/gtest.h>

#include <algorithm>

#include "harness/backend/gpu_backend.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"

#ifdef FORGECHECK_SIMT
#include <cuda_runtime.h>

namespace forgecheck {
namespace {

constexpr std::uint64_t kSeeds = 16;
constexpr std::size_t kShards = 8;

class EveryGolden : public testing::TestWithParam<std::size_t> {
 protected:
  void TearDown() override { simt::set_seed(0); }
};

INSTANTIATE_TEST_SUITE_P(Shard, EveryGolden, testing::Range(std::size_t{0}, kShards));

TEST_P(EveryGolden, HasTheSameBitsUnderEverySeed) {
  const std::vector<GoldenEntry> entries = find_goldens(FORGECHECK_SOURCE_DIR "/golden", "");
  ASSERT_GT(entries.size(), kShards);
  const auto backend = make_gpu_backend("gpu:simt");
  for (std::size_t i = GetParam(); i < entries.size(); i += kShards) {
    Golden golden = read_golden(entries[i].path, entries[i].name);
    if (!backend->refusal(golden.problem.definition).empty()) continue;
    load_weights(golden);
    simt::set_seed(0);
    const Trace first = backend->run(golden.problem, {});
    ASSERT_FALSE(first.empty()) << golden.name;
    for (std::uint64_t seed = 1; seed < kSeeds; ++seed) {
      simt::set_seed(seed);
      const Trace again = backend->run(golden.problem, {});
      ASSERT_EQ(again.entries().size(), first.entries().size()) << golden.name;
      for (const auto& [name, value] : first.entries()) {
        ASSERT_TRUE(std::ranges::equal(value.bytes(), again.at(name).bytes()))
            << golden.name << ": " << name << " under seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace forgecheck
#endif
