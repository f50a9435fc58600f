// __nv_bfloat16 compared with its definition.
#include <cuda_bf16.h>
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace {

float value_of(std::uint32_t bits) {
  return std::bit_cast<float>(bits << 16);
}

/// The nearest bfloat16 by trying both neighbours, ties to the even one; no clever bits.
std::uint32_t nearest(double value) {
  std::uint32_t down = std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16;
  if (std::fabs(static_cast<double>(value_of(down))) > std::fabs(value)) {
    --down;  // the float had been rounded away from zero, across a bfloat16
  }
  const double below = std::fabs(value) - std::fabs(static_cast<double>(value_of(down)));
  const double above = std::fabs(static_cast<double>(value_of(down + 1))) - std::fabs(value);
  return below < above || (below == above && down % 2 == 0) ? down : down + 1;
}

TEST(Bfloat16, RoundsToNearestEven) {
  for (std::uint32_t top = 0x3f00; top < 0x4100; ++top) {
    for (const std::uint32_t rest : {0U, 1U, 0x7fffU, 0x8000U, 0x8001U, 0xffffU}) {
      for (const std::uint32_t sign : {0U, 0x80000000U}) {
        const float value = std::bit_cast<float>(sign | top << 16 | rest);
        ASSERT_EQ(__nv_bfloat16(value).bits, nearest(static_cast<double>(value))) << value;
      }
    }
  }
}

TEST(Bfloat16, ADoubleIsRoundedOnce) {
  const double tie = 1.0 + 1.0 / 256;  // half way between 1 and the next bfloat16
  const double tiny = std::ldexp(1.0, -40);
  for (const double sign : {1.0, -1.0}) {
    EXPECT_EQ(static_cast<float>(__nv_bfloat16(sign * tie)), sign * 1.0);
    EXPECT_EQ(static_cast<float>(__nv_bfloat16(sign * (tie + tiny))), sign * (1.0 + 1.0 / 128));
    EXPECT_EQ(static_cast<float>(__nv_bfloat16(sign * (tie - tiny))), sign * 1.0);
    const double odd_tie = 1.0 + 3.0 / 256;
    EXPECT_EQ(static_cast<float>(__nv_bfloat16(sign * odd_tie)), sign * (1.0 + 1.0 / 64));
    EXPECT_EQ(static_cast<float>(__nv_bfloat16(sign * (odd_tie - tiny))), sign * (1.0 + 1.0 / 128));
  }
}

TEST(Bfloat16, KeepsTheSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(__nv_bfloat16(infinity).bits, 0x7f80);
  EXPECT_EQ(__nv_bfloat16(-infinity).bits, 0xff80);
  EXPECT_EQ(__nv_bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(__nv_bfloat16(1e300).bits, 0x7f80);
  EXPECT_EQ(__nv_bfloat16(-0.0F).bits, 0x8000);
  EXPECT_EQ(__nv_bfloat16(-1e-300).bits, 0x8000);
  EXPECT_EQ(__nv_bfloat16(std::nanf("")).bits, 0x7fff);
  EXPECT_EQ(__nv_bfloat16(std::bit_cast<float>(0x7f800001U)).bits,
            0x7fff);  // a NaN that cutting would make infinite
  EXPECT_EQ(__nv_bfloat16(std::nan("")).bits, 0x7fff);
  EXPECT_TRUE(__hisnan(__nv_bfloat16(std::nanf(""))));
  EXPECT_FALSE(__hisnan(__nv_bfloat16(infinity)));
}

TEST(Bfloat16, EveryValueComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto value = __ushort_as_bfloat16(static_cast<unsigned short>(bits));
    const float wide = __bfloat162float(value);
    if (wide == wide) {
      ASSERT_EQ(__bfloat16_as_ushort(__float2bfloat16(wide)), bits);
    }
  }
}

TEST(Bfloat16, ArithmeticRoundsToBfloat16) {
  const __nv_bfloat16 one(1.0F);
  const __nv_bfloat16 small(1.0F / 512);
  EXPECT_EQ(static_cast<float>(one + small), 1.0F);
  EXPECT_EQ(static_cast<float>(__hadd(one, __nv_bfloat16(3.0F / 256))), 1.0F + 1.0F / 64);
  EXPECT_EQ(static_cast<float>(one - small), 1.0F - 0.0F);
  EXPECT_EQ((__nv_bfloat16(1.0F) / __nv_bfloat16(3.0F)).bits, nearest(1.0 / 3.0));
  EXPECT_EQ((__nv_bfloat16(1.0078125F) * __nv_bfloat16(1.0078125F)).bits, nearest(1.0078125 * 1.0078125));
  EXPECT_EQ(static_cast<float>(-one), -1.0F);
  EXPECT_TRUE(small < one);
  EXPECT_TRUE(one == __nv_bfloat16(1));
}

TEST(Bfloat16, PairsKeepTheirOrder) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(1.0F, 2.0F);
  EXPECT_EQ(__low2float(pair), 1.0F);
  EXPECT_EQ(__high2float(pair), 2.0F);
  EXPECT_EQ(__bfloat1622float2(pair).y, 2.0F);
  EXPECT_EQ(sizeof(pair), 4U);
}

}  // namespace
