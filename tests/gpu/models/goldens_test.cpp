// Every recorded case on the GPU backend: `forgecheck verify` checks that it matches; these tests check that
// no order which CUDA leaves open changes a bit of it.
#include <gtest/gtest.h>

#include "harness/backend/gpu_backend.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"

namespace forgecheck {
namespace {

constexpr std::int64_t kRuns = FORGECHECK_GPU_RUNS;
constexpr std::size_t kShards = 8;

class EveryGolden : public testing::TestWithParam<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(Shard, EveryGolden, testing::Range(std::size_t{0}, kShards));

TEST_P(EveryGolden, HasTheSameBitsInEveryRun) {
  const std::string name = simt_unavailable().empty() ? "gpu:simt" : "gpu:cuda";
  const auto backend = make_gpu_backend(name, kRuns);
  const std::vector<GoldenEntry> entries = find_goldens(FORGECHECK_SOURCE_DIR "/golden", "");
  ASSERT_GT(entries.size(), kShards);
  for (std::size_t i = GetParam(); i < entries.size(); i += kShards) {
    Golden golden = read_golden(entries[i].path, entries[i].name);
    if (!backend->refusal(golden.problem.definition).empty()) continue;
    load_weights(golden);
    EXPECT_NO_THROW(EXPECT_FALSE(backend->run(golden.problem, {}).empty())) << golden.name;
  }
}

}  // namespace
}  // namespace forgecheck
