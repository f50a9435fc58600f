// The seed that a program starts with.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <string>

namespace {

const std::uint64_t seed_at_start = simt::seed();

TEST(Seed, IsZeroOrComesFromTheEnvironment) {
  const char* text = std::getenv("FORGECHECK_SIMT_SEED");
  EXPECT_EQ(seed_at_start, text == nullptr ? 0U : std::stoull(text));
}

TEST(Seed, MustBeANumber) {
  EXPECT_EXIT(
      {
        setenv("FORGECHECK_SIMT_SEED", "12x", 1);
        execl("/proc/self/exe", "test", "--gtest_list_tests", static_cast<char*>(nullptr));
      },
      testing::ExitedWithCode(2), "FORGECHECK_SIMT_SEED is '12x', not a number");
}

}  // namespace
