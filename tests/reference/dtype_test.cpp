#include "reference/dtype.h"

#include <bit>
#include <limits>

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

std::uint16_t bf16_bits(std::uint32_t float_bits) {
  return Bfloat16(std::bit_cast<float>(float_bits)).bits;
}

TEST(Dtype, NamesAndSizes) {
  EXPECT_EQ(size_of(Dtype::f64), 8U);
  EXPECT_EQ(size_of(Dtype::f32), 4U);
  EXPECT_EQ(size_of(Dtype::f16), 2U);
  EXPECT_EQ(size_of(Dtype::bf16), 2U);
  EXPECT_EQ(size_of(Dtype::i64), 8U);
  EXPECT_EQ(size_of(Dtype::i32), 4U);
  EXPECT_EQ(size_of(Dtype::u8), 1U);
  EXPECT_EQ(size_of(Dtype::boolean), 1U);
  const std::tuple<Dtype, const char*, const char*> names[] = {
      {Dtype::f64, "F64", "float64"},    {Dtype::f32, "F32", "float32"},  {Dtype::f16, "F16", "float16"},
      {Dtype::bf16, "BF16", "bfloat16"}, {Dtype::i64, "I64", "int64"},    {Dtype::i32, "I32", "int32"},
      {Dtype::u8, "U8", "uint8"},        {Dtype::boolean, "BOOL", "bool"}};
  for (const auto& [dtype, safetensors, torch] : names) {
    EXPECT_EQ(safetensors_name(dtype), safetensors);
    EXPECT_EQ(torch_name(dtype), torch);
  }
}

TEST(Dtype, WiderTypesHoldNarrowerOnes) {
  const std::vector<Dtype> types = {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16};
  for (const Dtype wide : types) {
    for (const Dtype narrow : types) {
      const bool larger = wide == Dtype::f64 || (wide == Dtype::f32 && narrow != Dtype::f64);
      EXPECT_EQ(holds(wide, narrow), larger || wide == narrow)
          << torch_name(wide) << " " << torch_name(narrow);
    }
  }
}

TEST(Dtype, SafetensorsNamesParseBack) {
  for (const Dtype dtype :
       {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16, Dtype::i64, Dtype::i32, Dtype::u8, Dtype::boolean}) {
    EXPECT_EQ(parse_safetensors_name(safetensors_name(dtype)), dtype);
  }
  EXPECT_THAT(message_of<FormatError>([] { parse_safetensors_name("F8_E4M3"); }),
              testing::StartsWith("dtype \"F8_E4M3\" is not supported"));
  EXPECT_NE(message_of<FormatError>([] { parse_safetensors_name("f32"); }), "");
}

TEST(Dtype, MachineEpsilonIsTheStepAfterOne) {
  EXPECT_EQ(machine_epsilon(Dtype::f64), std::numeric_limits<double>::epsilon());
  EXPECT_EQ(machine_epsilon(Dtype::f32), std::numeric_limits<float>::epsilon());
  EXPECT_EQ(1.0 + machine_epsilon(Dtype::bf16),
            static_cast<float>(std::bit_cast<Bfloat16>(std::uint16_t{0x3f81})));
  EXPECT_EQ(1.0 + machine_epsilon(Dtype::f16), half_to_float(0x3c01));
}

TEST(Dtype, FourAreFloatingPointAndTheOthersHaveNoEpsilon) {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::f16, Dtype::bf16}) {
    EXPECT_TRUE(is_floating_point(dtype)) << torch_name(dtype);
  }
  for (const Dtype dtype : {Dtype::i64, Dtype::i32, Dtype::u8, Dtype::boolean}) {
    EXPECT_FALSE(is_floating_point(dtype)) << torch_name(dtype);
    EXPECT_EQ(machine_epsilon(dtype), 0.0) << torch_name(dtype);
  }
}

TEST(Bfloat16, IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(Bfloat16(1.0F).bits, 0x3f80);
  EXPECT_EQ(Bfloat16(-2.0F).bits, 0xc000);
  EXPECT_EQ(Bfloat16(-0.0F).bits, 0x8000);
  EXPECT_EQ(Bfloat16(0x1p-133F).bits, 0x0001);  // the smallest subnormal
}

TEST(Bfloat16, RoundsToNearest) {
  EXPECT_EQ(bf16_bits(0x3f807fff), 0x3f80);  // just below the tie
  EXPECT_EQ(bf16_bits(0x3f808001), 0x3f81);  // just above
  EXPECT_EQ(bf16_bits(0xbf808001), 0xbf81);
}

TEST(Bfloat16, TiesGoToTheEvenNeighbour) {
  EXPECT_EQ(bf16_bits(0x3f808000), 0x3f80);
  EXPECT_EQ(bf16_bits(0x3f818000), 0x3f82);
  EXPECT_EQ(bf16_bits(0xbf818000), 0xbf82);
  EXPECT_EQ(bf16_bits(0x00008000), 0x0000);  // among the subnormals too
  EXPECT_EQ(bf16_bits(0x00018000), 0x0002);
}

TEST(Bfloat16, CarryMovesIntoTheExponent) {
  EXPECT_EQ(bf16_bits(0x3fffffff), 0x4000);  // just below 2
  EXPECT_EQ(Bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);
  EXPECT_EQ(bf16_bits(0x7f7f7fff), 0x7f7f);  // the largest that stays finite
}

TEST(Bfloat16, InfinityStaysAndNanStaysNan) {
  EXPECT_EQ(bf16_bits(0x7f800000), 0x7f80);
  EXPECT_EQ(bf16_bits(0xff800000), 0xff80);
  for (const std::uint32_t nan : {0x7f800001U, 0x7fc00000U, 0x7fffffffU, 0xff800001U, 0xffffffffU}) {
    EXPECT_TRUE(std::isnan(static_cast<float>(Bfloat16(std::bit_cast<float>(nan))))) << std::hex << nan;
    EXPECT_EQ(bf16_bits(nan) >> 15, nan >> 31) << "the sign of " << std::hex << nan;
  }
}

TEST(Bfloat16, EveryPatternSurvivesFloat) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const float value = std::bit_cast<Bfloat16>(static_cast<std::uint16_t>(bits));
    ASSERT_EQ(std::bit_cast<std::uint32_t>(value), bits << 16);
    if (!std::isnan(value)) {
      ASSERT_EQ(Bfloat16(value).bits, bits);
    }
  }
}

// Compared with rounding by frexp and nearbyint, for bit patterns spread evenly over the normal floats.
TEST(Bfloat16, AgreesWithRoundingToEightSignificantBits) {
  for (std::uint64_t bits = 0x00800000; bits < 0x7f000000; bits += 0x1f357) {
    const float value = std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    ASSERT_EQ(static_cast<float>(Bfloat16(value)), bf16(value)) << std::hexfloat << value;
    ASSERT_EQ(static_cast<float>(Bfloat16(-value)), -bf16(value)) << std::hexfloat << value;
  }
}

TEST(Half, KnownValues) {
  const std::pair<std::uint16_t, float> known[] = {
      {0x0000, 0.0F},     {0x3c00, 1.0F},     {0xc000, -2.0F},    {0x3555, 0.33325195F},
      {0x7bff, 65504.0F}, {0x0400, 0x1p-14F}, {0x0001, 0x1p-24F}, {0x03ff, 1023 * 0x1p-24F},
      {0x8001, -0x1p-24F}};
  for (const auto& [bits, value] : known) {
    EXPECT_EQ(half_to_float(bits), value) << std::hex << bits;
    EXPECT_EQ(float_to_half(value), bits) << value;
  }
  EXPECT_TRUE(std::signbit(half_to_float(0x8000)));
  EXPECT_EQ(float_to_half(-0.0F), 0x8000);
}

TEST(Half, EveryPatternSurvivesFloat) {
  for (std::uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const float value = half_to_float(static_cast<std::uint16_t>(bits));
    if ((bits & 0x7fff) > 0x7c00) {
      ASSERT_TRUE(std::isnan(value)) << std::hex << bits;
    } else {
      ASSERT_EQ(float_to_half(value), bits);
    }
  }
}

TEST(Half, TiesGoToTheEvenNeighbour) {
  EXPECT_EQ(float_to_half(1.0F + 0x1p-11F), 0x3c00);
  EXPECT_EQ(float_to_half(1.0F + 3 * 0x1p-11F), 0x3c02);
  EXPECT_EQ(float_to_half(1.0F + 0x1.002p-11F), 0x3c01);
}

TEST(Half, SubnormalsRoundToMultiplesOfTwoToTheMinus24) {
  EXPECT_EQ(float_to_half(0x1p-25F), 0x0000);  // a tie, to the even 0
  EXPECT_EQ(float_to_half(0x1.01p-25F), 0x0001);
  EXPECT_EQ(float_to_half(3 * 0x1p-25F), 0x0002);
  EXPECT_EQ(float_to_half(-3 * 0x1p-25F), 0x8002);
  EXPECT_EQ(float_to_half(0x1p-30F), 0x0000);
  EXPECT_EQ(float_to_half(1023.5F * 0x1p-24F), 0x0400);  // up to the smallest normal number
}

TEST(Half, OverflowsToInfinityFrom65520) {
  EXPECT_EQ(float_to_half(65519.0F), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0F), 0x7c00);
  EXPECT_EQ(float_to_half(-1e9F), 0xfc00);
  EXPECT_EQ(float_to_half(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_GT(float_to_half(std::numeric_limits<float>::quiet_NaN()) & 0x7fff, 0x7c00);
}

TEST(ComputeType, Bfloat16ComputesInFloat) {
  EXPECT_TRUE((std::is_same_v<compute_t<Bfloat16>, float>));
  EXPECT_TRUE((std::is_same_v<compute_t<double>, double>));
  EXPECT_EQ(round_to<Bfloat16>(257.0F), 256.0F);
  EXPECT_EQ(round_to<float>(257.0F), 257.0F);
  EXPECT_EQ(round_to<double>(0.1), 0.1);
}

}  // namespace
}  // namespace forgecheck
