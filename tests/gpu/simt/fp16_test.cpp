// __half compared with its definition.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cmath>
#include <limits>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

/// The value of the bits by the definition of float16; not for NaN.
double value_of(std::uint32_t bits) {
  const double sign = bits >> 15 ? -1 : 1;
  const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
  if (exponent == 31) return sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Float16, HasTheValueOfItsBitsAndComesBack) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const __half value = __ushort_as_half(static_cast<unsigned short>(bits));
    if ((bits & 0x7fff) > 0x7c00) {
      EXPECT_TRUE(std::isnan(__half2float(value)));
      EXPECT_TRUE(__hisnan(value));
    } else {
      ASSERT_EQ(static_cast<double>(__half2float(value)), value_of(bits));
      ASSERT_EQ(__half_as_ushort(__float2half(__half2float(value))), bits);
      ASSERT_FALSE(__hisnan(value));
    }
  }
}

TEST(Float16, RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const double low = value_of(bits), high = value_of(bits + 1), middle = (low + high) / 2;
    const double tiny = (high - low) / 1024;
    for (const double sign : {1.0, -1.0}) {
      const std::uint32_t top = sign < 0 ? 0x8000 : 0, even = bits + bits % 2;
      ASSERT_EQ(__half(static_cast<float>(sign * middle)).bits, top | even) << bits;
      ASSERT_EQ(__half(static_cast<float>(sign * (middle - tiny))).bits, top | bits) << bits;
      ASSERT_EQ(__half(static_cast<float>(sign * (middle + tiny))).bits, top | (bits + 1)) << bits;
    }
  }
}

TEST(Float16, ADoubleIsRoundedOnce) {
  const double tie = 1.0 + 1.0 / 2048,
               tiny = std::ldexp(1.0, -40);  // half way between 1 and the next float16
  EXPECT_EQ(static_cast<float>(__half(tie)), 1.0F);
  EXPECT_EQ(static_cast<float>(__half(tie + tiny)), 1.0F + 1.0F / 1024);
  EXPECT_EQ(static_cast<float>(__double2half(tie - tiny)), 1.0F);
}

TEST(Float16, KeepsTheSpecialValues) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(__half(infinity).bits, 0x7c00);
  EXPECT_EQ(__half(-infinity).bits, 0xfc00);
  EXPECT_EQ(__half(65504.0F).bits, 0x7bff);
  EXPECT_EQ(__half(65519.0F).bits, 0x7bff);
  EXPECT_EQ(__half(65520.0F).bits, 0x7c00);
  EXPECT_EQ(__half(-1e300).bits, 0xfc00);
  EXPECT_EQ(__half(-0.0F).bits, 0x8000);
  EXPECT_EQ(__half(-1e-300).bits, 0x8000);
  EXPECT_EQ(__half(std::nanf("")).bits, 0x7fff);
  EXPECT_EQ(__half(std::nan("")).bits, 0x7fff);
}

TEST(Float16, ArithmeticRoundsToFloat16) {
  const __half one(1.0F), small(1.0F / 4096);
  EXPECT_EQ(static_cast<float>(one + small), 1.0F);
  EXPECT_EQ(static_cast<float>(__hadd(one, __half(3.0F / 2048))), 1.0F + 1.0F / 512);
  EXPECT_EQ((one / __half(3)).bits, __half(1.0 / 3.0).bits);
  EXPECT_EQ(static_cast<float>(__half(300) * __half(300)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(static_cast<float>(-one), -1.0F);
  EXPECT_TRUE(small < one);
  EXPECT_TRUE(one == __half(1));
  __half sum = one;
  sum += one;
  EXPECT_EQ(static_cast<float>(sum), 2.0F);
}

TEST(Float16, PairsKeepTheirOrder) {
  const half2 pair = __floats2half2_rn(1.0F, 2.0F);
  EXPECT_EQ(__low2float(pair), 1.0F);
  EXPECT_EQ(__high2float(pair), 2.0F);
  EXPECT_EQ(__half22float2(pair).y, 2.0F);
  EXPECT_EQ(sizeof(pair), 4U);
}

struct KernelsInFloat16 : Simt {};

__global__ void add_halves(half* out, const half* x, const __nv_bfloat16* y) {
  const auto i = threadIdx.x;
  const half neighbour = __shfl_xor_sync(0xffffffffU, x[i], 1);
  out[i] = __float2half(__half2float(neighbour) + __bfloat162float(y[i]));
}

// Both headers in one file, and a shuffle of both.
TEST_F(KernelsInFloat16, RunBesideBfloat16) {
  std::vector<half> x;
  std::vector<__nv_bfloat16> y;
  for (int i = 0; i < 32; ++i) {
    x.emplace_back(i);
    y.emplace_back(0.5F);
  }
  const DeviceArray<half> in(x), out(32);
  const DeviceArray<__nv_bfloat16> halves(y);
  simt::launch(add_halves, 1, 32, 0, nullptr, out.data(), in.data(), halves.data());
  EXPECT_EQ(error_of_device(), "");
  const std::vector<half> values = out.values();
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_EQ(static_cast<float>(values[i]), static_cast<float>(i ^ 1) + 0.5F);
  }
}

}  // namespace
