// Functions of bits and numbers, compared with their definitions.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

namespace {

TEST(Intrinsics, CountBits) {
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clz(0x00ff0000), 8);
  EXPECT_EQ(__clz(-1), 0);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(1), 1);
  EXPECT_EQ(__ffs(static_cast<int>(0x80000000U)), 32);
  EXPECT_EQ(__popc(0), 0);
  EXPECT_EQ(__popc(0xf000000fU), 8);
  EXPECT_EQ(__popcll(0xf00000000000000fULL), 8);
}

TEST(Intrinsics, ReadBitsAsNumbers) {
  EXPECT_EQ(__uint_as_float(0x40000000U), 2.0F);
  EXPECT_EQ(__float_as_uint(-2.0F), 0xc0000000U);
  EXPECT_EQ(__int_as_float(0x3fc00000), 1.5F);
  EXPECT_EQ(__float_as_int(1.5F), 0x3fc00000);
}

TEST(Intrinsics, RoundOnce) {
  const float third = 1.0F / 3, tenth = 0.1F;
  EXPECT_EQ(__fmul_rn(third, tenth), third * tenth);
  EXPECT_EQ(__fadd_rn(third, tenth), third + tenth);
  EXPECT_EQ(__fsub_rn(third, tenth), third - tenth);
  EXPECT_EQ(__fdiv_rn(third, tenth), third / tenth);
  EXPECT_EQ(__fsqrt_rn(2.25F), 1.5F);
  EXPECT_EQ(rsqrtf(0.25F), 2.0F);
}

}  // namespace
