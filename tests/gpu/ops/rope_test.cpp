#include "gpu/ops/rope.h"

#include "reference/error.h"
#include "reference/ops/rope.h"
#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {
namespace {

template <class T>
class GpuRope : public GpuTest {
 protected:
  DeviceTensor<T> random(const Shape& shape, std::uint64_t seed) {
    return put<T>(random_tensor<T>(shape, seed));
  }
  /// The bytes of the reference's tensor of the same type.
  static std::vector<std::byte> bytes_of(const Tensor<host_t<T>>& tensor) {
    const Array array = Array::from(tensor);
    return {array.bytes().begin(), array.bytes().end()};
  }
};
TYPED_TEST_SUITE(GpuRope, ElementTypes);

// Every step is a float32 operation in both, and each product and sum is rounded: nothing is left open.
TYPED_TEST(GpuRope, TablesAreTheReferencesToTheBit) {
  using T = TypeParam;
  for (const std::int64_t head_dim : {2, 6, 10, 80, 128, 256}) {
    SCOPED_TRACE(head_dim);
    const auto table = rope_table<T>(this->device, head_dim, 300, {10000.0});
    const auto oracle = forgecheck::rope_table<host_t<T>>(head_dim, 300, {10000.0});
    EXPECT_EQ(table.cos.shape, oracle.cos.shape);
    EXPECT_EQ(this->bytes(table.cos), this->bytes_of(oracle.cos));
    EXPECT_EQ(this->bytes(table.sin), this->bytes_of(oracle.sin));
  }
}

TYPED_TEST(GpuRope, ScaledTablesAreTheReferencesToTheBit) {
  using T = TypeParam;
  for (const RopeScaling scaling : {RopeScaling::linear, RopeScaling::llama3}) {
    for (const double factor : {1.0, 8.0, 32.0}) {
      const RopeOptions rope{500000.0, scaling, factor, 2.0, 8.0, 512};
      const auto table = rope_table<T>(this->device, 64, 300, rope);
      const auto oracle = forgecheck::rope_table<host_t<T>>(64, 300, rope);
      EXPECT_EQ(this->bytes(table.cos), this->bytes_of(oracle.cos));
      EXPECT_EQ(this->bytes(table.sin), this->bytes_of(oracle.sin));
    }
  }
}

TYPED_TEST(GpuRope, RotationsAreTheReferencesToTheBit) {
  using T = TypeParam;
  for (const std::int64_t head_dim : {2, 6, 10, 80, 128, 256}) {
    const auto table = rope_table<T>(this->device, head_dim, 50, {500.0});
    const auto oracle = forgecheck::rope_table<host_t<T>>(head_dim, 50, {500.0});
    for (const std::int64_t length : {1, 31, 33}) {
      for (const std::int64_t first_position : {0, 17}) {
        SCOPED_TRACE(testing::Message() << head_dim << " wide, " << length << " from " << first_position);
        const auto x = random_tensor<T>({2, length, 3, head_dim}, 1);
        const auto out = apply_rope(this->device, this->template put<T>(x), table, first_position);
        EXPECT_EQ(out.shape, x.shape);
        EXPECT_EQ(this->bytes(out), this->bytes_of(forgecheck::apply_rope(x, oracle, first_position)));
      }
    }
  }
}

TYPED_TEST(GpuRope, EveryOrderGivesTheSameBits) {
  const auto x = this->random({2, 33, 3, 10}, 1);
  const auto table = rope_table<TypeParam>(this->device, 10, 33, {10000.0});
  expect_repeatable([&] { return this->bytes(apply_rope(this->device, x, table, 0)); });
}

TYPED_TEST(GpuRope, APositionPastTheTableIsAnError) {
  const auto table = rope_table<TypeParam>(this->device, 4, 8, {10000.0});
  const auto x = this->random({1, 3, 1, 4}, 1);
  apply_rope(this->device, x, table, 5);
  try {
    apply_rope(this->device, x, table, 6);
    FAIL() << "no error";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "[rope] position 8 is past the last of max_seq_len = 8");
  }
  this->device.synchronize();
}

TYPED_TEST(GpuRope, ATableOfOtherHeadsIsAnError) {
  const auto table = rope_table<TypeParam>(this->device, 4, 8, {10000.0});
  EXPECT_THROW(apply_rope(this->device, this->random({1, 3, 1, 8}, 1), table, 0), ShapeError);
}

TYPED_TEST(GpuRope, NoPositionsGiveNone) {
  const auto table = rope_table<TypeParam>(this->device, 4, 8, {10000.0});
  const auto none = this->random({2, 0, 3, 4}, 1);
  EXPECT_EQ(apply_rope(this->device, none, table, 0).shape, (Shape{2, 0, 3, 4}));
  this->device.synchronize();
}

}  // namespace
}  // namespace forgecheck::gpu
