#include "reference/array.h"

#include <cstring>

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

/// An array of `dtype` whose bytes are those of `values`.
template <class T>
Array of_bytes(Dtype dtype, Shape shape, const std::vector<T>& values) {
  std::shared_ptr<std::byte[]> bytes(new std::byte[values.size() * sizeof(T)]);
  std::memcpy(bytes.get(), values.data(), values.size() * sizeof(T));
  return Array(dtype, std::move(shape), std::shared_ptr<const std::byte>(bytes, bytes.get()));
}

TEST(Array, DefaultIsEmpty) {
  EXPECT_EQ(Array().size(), 0);
  EXPECT_EQ(Array().bytes().size(), 0U);
}

TEST(Array, FromCopiesShapeTypeAndBits) {
  auto x = tensor<float>({2, 1}, {1.5, -2});
  const Array array = Array::from(x);
  x[0] = 7;
  EXPECT_EQ(array.dtype(), Dtype::f32);
  EXPECT_EQ(array.shape(), (Shape{2, 1}));
  EXPECT_EQ(array.bytes().size(), 8U);
  EXPECT_EQ(array.at(0), 1.5);
  EXPECT_EQ(Array::from(tensor<Bfloat16>({1}, {1})).dtype(), Dtype::bf16);
  EXPECT_EQ(Array::from(doubles({1}, {1})).dtype(), Dtype::f64);
  EXPECT_EQ(Array::from(Ids({1}, {1})).dtype(), Dtype::i64);
  EXPECT_EQ(Array::from(Tensor<std::uint8_t>({1}, {1})).dtype(), Dtype::boolean);
}

TEST(Array, FromATensorThatIsGivenAwayCopiesNothing) {
  auto x = tensor<float>({2, 1}, {1.5, -2});
  const void* const data = x.data.data();
  const Array array = Array::from(std::move(x));
  EXPECT_EQ(array.bytes().data(), data);
  EXPECT_EQ(array.shape(), (Shape{2, 1}));
  EXPECT_EQ(array.at(1), -2);
}

/// The numbers 0, 0.1, 0.2, ..., made whenever they are read.
Array made(Dtype dtype, Shape shape, int* calls = nullptr) {
  return Array::made(dtype, std::move(shape), [calls](std::int64_t first, std::span<float> out) {
    if (calls != nullptr) ++*calls;
    for (float& element : out) element = static_cast<float>(first++) * 0.1F;
  });
}

TEST(Array, MadeNumbersAreThoseOfItsMaker) {
  const Array array = made(Dtype::f32, {7, 300});
  EXPECT_FALSE(array.is_in_memory());
  EXPECT_TRUE(Array::from(doubles({1}, {1})).is_in_memory());
  const Tensor<double> all = array.to<double>();
  EXPECT_EQ(all.shape, (Shape{7, 300}));
  for (const std::int64_t i : {0, 1, 511, 512, 2099}) {
    EXPECT_EQ(all[i], static_cast<double>(static_cast<float>(i) * 0.1F));
    EXPECT_EQ(array.at(i), all[i]);
  }
  std::vector<float> some(600);
  array.read(1000, std::span(some));
  EXPECT_EQ(some[599], static_cast<float>(1599) * 0.1F);
}

TEST(Array, MadeNumbersAreRoundedWhenTheyAreCast) {
  const Array array = made(Dtype::f32, {2, 300}), rounded = array.cast(Dtype::bf16);
  EXPECT_FALSE(rounded.is_in_memory());
  EXPECT_EQ(rounded.dtype(), Dtype::bf16);
  EXPECT_EQ(rounded.at(7), bf16(static_cast<float>(array.at(7))));
  EXPECT_EQ(array.cast(Dtype::f64).at(7), array.at(7));
  EXPECT_EQ(array.cast(Dtype::f64).dtype(), Dtype::f64);
}

TEST(Array, NumbersMayBeRoundedWhenTheyAreRead) {
  const Array array = Array::from(tensor<float>({2}, {0.1, 0.2})),
              rounded = array.cast_when_read(Dtype::bf16);
  EXPECT_FALSE(rounded.is_in_memory());
  EXPECT_EQ(rounded.dtype(), Dtype::bf16);
  EXPECT_EQ(rounded.to<double>().data, array.cast(Dtype::bf16).to<double>().data);
  EXPECT_EQ(array.cast_when_read(Dtype::f32).bytes().data(), array.bytes().data());
}

TEST(Array, BytesOfMadeNumbersAreKept) {
  int calls = 0;
  const Array array = made(Dtype::f32, {600}, &calls), copy = array;
  const Tensor<float> numbers = array.to<float>();
  const int before = calls;
  ASSERT_EQ(array.bytes().size(), 2400U);
  EXPECT_EQ(std::memcmp(array.bytes().data(), numbers.data.data(), 2400), 0);
  EXPECT_GT(calls, before);
  const int once = calls;
  EXPECT_EQ(copy.bytes().data(), array.bytes().data());
  EXPECT_EQ(calls, once);
  const Array rounded = array.cast(Dtype::bf16);
  EXPECT_EQ(rounded.bytes().size(), 1200U);
  EXPECT_EQ(std::memcmp(rounded.bytes().data(), Array::from(numbers).cast(Dtype::bf16).bytes().data(), 1200),
            0);
}

TEST(Array, CopiesShareTheirBytes) {
  const Array array = Array::from(doubles({2}, {1, 2}));
  const Array copy = array;
  EXPECT_EQ(copy.bytes().data(), array.bytes().data());
  EXPECT_EQ(array.cast(Dtype::f64).bytes().data(), array.bytes().data());
}

TEST(Array, AtReadsEveryType) {
  EXPECT_EQ(of_bytes<std::uint16_t>(Dtype::f16, {2}, {0x3c00, 0x0001}).at(1), 0x1p-24);
  EXPECT_EQ(of_bytes<std::uint16_t>(Dtype::bf16, {1}, {0x4049}).at(0), 3.140625);
  EXPECT_EQ(of_bytes<std::int32_t>(Dtype::i32, {2}, {1, -7}).at(1), -7);
  EXPECT_EQ(of_bytes<std::uint8_t>(Dtype::u8, {1}, {200}).at(0), 200);
  EXPECT_EQ(of_bytes<std::uint8_t>(Dtype::boolean, {1}, {1}).at(0), 1);
  EXPECT_EQ(of_bytes<std::int64_t>(Dtype::i64, {1}, {std::int64_t{1} << 40}).at(0), 0x1p40);
  EXPECT_EQ(of_bytes<double>(Dtype::f64, {1}, {0.1}).at(0), 0.1);
}

TEST(Array, IntegersAreReadExactly) {
  constexpr std::int64_t odd = (std::int64_t{1} << 53) + 1;
  EXPECT_EQ(of_bytes<std::int64_t>(Dtype::i64, {1}, {odd}).int_at(0), odd);
  EXPECT_EQ(of_bytes<std::int32_t>(Dtype::i32, {1}, {-7}).int_at(0), -7);
  EXPECT_EQ(of_bytes<std::uint8_t>(Dtype::u8, {1}, {200}).int_at(0), 200);
  EXPECT_EQ(of_bytes<std::uint8_t>(Dtype::boolean, {2}, {0, 2}).to_int64().data,
            (std::vector<std::int64_t>{0, 1}));
}

TEST(Array, FloatingPointIsNoInteger) {
  const Array array = Array::from(tensor<float>({1}, {1}));
  EXPECT_EQ(message_of([&] { array.int_at(0); }), "an integer array is needed, got float32");
  EXPECT_EQ(message_of([&] { array.to_int64(); }), "an integer array is needed, got float32");
}

TEST(Array, NarrowingRoundsToNearestEven) {
  const auto ties = doubles({4}, {1 + 0x1p-8, 1 + 3 * 0x1p-8, -(1 + 0x1p-8), 1 + 0x1p-8 + 0x1p-20});
  EXPECT_EQ(numbers(Array::from(ties).to<Bfloat16>()), (std::vector<double>{1, 1 + 0x1p-6, -1, 1 + 0x1p-7}));
  const auto float_ties = doubles({2}, {1 + 0x1p-24, 1 + 3 * 0x1p-24});
  EXPECT_EQ(numbers(Array::from(float_ties).to<float>()), (std::vector<double>{1, 1 + 0x1p-22}));
}

TEST(Array, WideningIsExact) {
  const Array array = Array::from(tensor<Bfloat16>({2}, {0.1, -3}));
  EXPECT_EQ(numbers(array.to<double>()), bf16_numbers({0.1F, -3.0F}));
  EXPECT_EQ(numbers(array.to<float>()), bf16_numbers({0.1F, -3.0F}));
  EXPECT_EQ(numbers(array.cast(Dtype::f64).to<Bfloat16>()), bf16_numbers({0.1F, -3.0F}));
}

TEST(Array, CastChangesTheTypeOnly) {
  const Array array = Array::from(doubles({1, 2}, {0.1, 2}));
  EXPECT_EQ(array.cast(Dtype::f32).dtype(), Dtype::f32);
  EXPECT_EQ(array.cast(Dtype::f32).shape(), (Shape{1, 2}));
  EXPECT_EQ(array.cast(Dtype::f32).at(0), static_cast<double>(0.1F));
  EXPECT_EQ(array.cast(Dtype::bf16).at(0), static_cast<double>(bf16(0.1F)));
  EXPECT_EQ(message_of([&] { array.cast(Dtype::i64); }),
            "cannot cast to int64 (float64, float32 and bfloat16 only)");
}

TEST(Array, DoubleToBfloat16RoundsOnce) {
  // Just above the midpoint of 1 and the next bfloat16: rounded to float first, it would be the midpoint.
  const Array above = Array::from(Tensor<double>({2}, {1 + 0x1p-8 + 0x1p-40, -(1 + 0x1p-8 + 0x1p-40)}));
  EXPECT_EQ(above.cast(Dtype::bf16).at(0), 1 + 0x1p-7);
  EXPECT_EQ(above.cast(Dtype::bf16).at(1), -(1 + 0x1p-7));
  const Array below = Array::from(Tensor<double>({1}, {1 + 0x1.8p-7 - 0x1p-40}));
  EXPECT_EQ(below.cast(Dtype::bf16).at(0), 1 + 0x1p-7);
}

}  // namespace
}  // namespace forgecheck
