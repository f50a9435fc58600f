#include "reference/dtype.h"

#include <bit>
#include <cmath>

#include "reference/enum_table.h"

namespace forgecheck {

namespace {

struct DtypeInfo {
  Dtype dtype;
  std::size_t size;
  std::string_view safetensors;
  std::string_view torch;
};

constexpr Dtype value_of(const DtypeInfo& row) {
  return row.dtype;
}

constexpr DtypeInfo kDtypes[] = {
    {Dtype::f64, 8, "F64", "float64"}, {Dtype::f32, 4, "F32", "float32"},
    {Dtype::f16, 2, "F16", "float16"}, {Dtype::bf16, 2, "BF16", "bfloat16"},
    {Dtype::i64, 8, "I64", "int64"},   {Dtype::i32, 4, "I32", "int32"},
    {Dtype::u8, 1, "U8", "uint8"},     {Dtype::boolean, 1, "BOOL", "bool"},
};

static_assert(is_complete<kDtypes>());

const DtypeInfo& info(Dtype dtype) {
  for (const DtypeInfo& row : kDtypes) {
    if (row.dtype == dtype) return row;
  }
  throw_not_an_enumerator("dtype", dtype);
}

}  // namespace

std::size_t size_of(Dtype dtype) {
  return info(dtype).size;
}

std::string_view safetensors_name(Dtype dtype) {
  return info(dtype).safetensors;
}

std::string_view torch_name(Dtype dtype) {
  return info(dtype).torch;
}

Dtype parse_safetensors_name(std::string_view name) {
  for (const DtypeInfo& entry : kDtypes) {
    if (entry.safetensors == name) return entry.dtype;
  }
  throw FormatError("dtype \"" + std::string(name) +
                    "\" is not supported (supported: F64, F32, F16, BF16, I64, I32, U8, BOOL)");
}

bool is_floating_point(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
    case Dtype::f32:
    case Dtype::f16:
    case Dtype::bf16:
      return true;
    case Dtype::i64:
    case Dtype::i32:
    case Dtype::u8:
    case Dtype::boolean:
      return false;
  }
  throw_not_an_enumerator("dtype", dtype);
}

bool holds(Dtype wide, Dtype narrow) {
  return wide == narrow || size_of(wide) > size_of(narrow);
}

double machine_epsilon(Dtype dtype) {
  switch (dtype) {
    case Dtype::f64:
      return 0x1p-52;
    case Dtype::f32:
      return 0x1p-23;
    case Dtype::f16:
      return 0x1p-10;
    case Dtype::bf16:
      return 0x1p-7;
    case Dtype::i64:
    case Dtype::i32:
    case Dtype::u8:
    case Dtype::boolean:
      return 0.0;
  }
  throw_not_an_enumerator("dtype", dtype);
}

float half_to_float(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 0x1f;
  const auto fraction = static_cast<float>(bits & 0x3ff);
  const float sign = (bits & 0x8000) != 0 ? -1.0F : 1.0F;
  if (exponent == 0x1f) {
    return fraction == 0.0F ? sign * INFINITY : NAN;
  }
  if (exponent == 0) return sign * std::ldexp(fraction, -24);
  return sign * std::ldexp(fraction + 1024.0F, exponent - 25);
}

std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000);
  const float magnitude = std::fabs(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7e00);
  if (magnitude >= 65520.0F) return static_cast<std::uint16_t>(sign | 0x7c00);
  if (magnitude < 0x1p-14F) {  // subnormal: multiples of 2^-24; nearbyint rounds to nearest even
    return static_cast<std::uint16_t>(sign | static_cast<std::uint16_t>(std::nearbyint(magnitude * 0x1p24F)));
  }
  const std::uint32_t rounded = (bits & 0x7fffffff) + 0xfff + ((bits >> 13) & 1);
  return static_cast<std::uint16_t>(sign | ((rounded - (112U << 23)) >> 13));
}

Bfloat16::Bfloat16(float value) {
  const std::uint32_t word = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) {
    bits = static_cast<std::uint16_t>((word >> 16) | 0x40);  // keep it a quiet NaN
    return;
  }
  bits = static_cast<std::uint16_t>((word + 0x7fff + ((word >> 16) & 1)) >> 16);
}

Bfloat16::operator float() const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

}  // namespace forgecheck
