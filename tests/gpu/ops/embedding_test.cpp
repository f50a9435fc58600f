// Copies of rows: every bit in its place.
#include "gpu/ops/embedding.h"

#include <numeric>

#include "reference/error.h"
#include "reference/ops/embedding.h"
#include "tests/gpu/gpu_test.h"
#include "tests/gpu/repeatable.h"

namespace forgecheck::gpu {
namespace {

using Ids = Tensor<std::int64_t>;

template <class T>
class EmbeddingTest : public GpuTest {
 protected:
  using H = host_t<T>;
  /// Distinct values, so that every misplaced element shows.
  Tensor<H> values(const Shape& shape, float first = 0) {
    Tensor<H> out(shape);
    for (std::int64_t i = 0; i < out.size(); ++i) out[i] = H(first + static_cast<float>(i));
    return out;
  }
  DeviceTensor<T> on_device(const Tensor<H>& tensor) { return this->template put<T>(tensor); }
  DeviceTensor<std::int64_t> ids(const Ids& tensor) { return this->template put<std::int64_t>(tensor); }
  void expect_same(const DeviceTensor<T>& out, const Tensor<H>& oracle) {
    EXPECT_EQ(out.shape, oracle.shape);
    EXPECT_EQ(this->get(out).data, exact(oracle).data);
  }
};
TYPED_TEST_SUITE(EmbeddingTest, ElementTypes);

TYPED_TEST(EmbeddingTest, TakesTheRowOfEachToken) {
  for (const std::int64_t width : {1, 2, 31, 33}) {
    const auto table = this->values({5, width});
    const Ids tokens({2, 4}, {4, 0, 3, 3, 1, 2, 0, 4});
    this->expect_same(embedding(this->device, this->ids(tokens), this->on_device(table)),
                      forgecheck::embedding(tokens, WeightView(table)));
  }
}

TYPED_TEST(EmbeddingTest, SequencesAreJoinedInEverySample) {
  for (const std::int64_t length : {0, 1, 31, 32, 33}) {
    const auto first = this->values({3, length, 2}), second = this->values({3, 2, 2}, 200);
    this->expect_same(concat_sequence(this->device, this->on_device(first), this->on_device(second)),
                      forgecheck::concat_sequence(first, second));
    this->expect_same(concat_sequence(this->device, this->on_device(second), this->on_device(first)),
                      forgecheck::concat_sequence(second, first));
  }
}

TYPED_TEST(EmbeddingTest, ASliceKeepsItsPositions) {
  const auto x = this->values({3, 7, 5});
  for (const auto& [begin, end] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 7}, {2, 5}, {6, 7}, {4, 4}}) {
    this->expect_same(slice_sequence(this->device, this->on_device(x), begin, end),
                      forgecheck::slice_sequence(x, begin, end));
  }
}

TYPED_TEST(EmbeddingTest, ScatteredRowsComeBackWhenGathered) {
  const auto x = this->values({4, 33}, 1);
  const auto rows = this->ids(Ids({4}, {6, 0, 3, 2}));
  const auto out = zeros<TypeParam>(this->device, {7, 33});
  scatter_rows(this->device, out, this->on_device(x), rows);
  this->expect_same(gather_rows(this->device, out, rows), x);
  const auto others = gather_rows(this->device, out, this->ids(Ids({3}, {1, 4, 5})));
  EXPECT_EQ(this->get(others).data, std::vector<double>(3 * 33, 0.0));
}

TYPED_TEST(EmbeddingTest, NoRowsAreFine) {
  const auto x = this->on_device(this->values({3, 2}));
  EXPECT_EQ(gather_rows(this->device, x, this->ids(Ids({0}))).shape, (Shape{0, 2}));
  scatter_rows(this->device, x, this->on_device(this->values({0, 2})), this->ids(Ids({0})));
  this->expect_same(x, this->values({3, 2}));
}

// More elements than one block handles, and a width that does not divide evenly.
TYPED_TEST(EmbeddingTest, ManyRowsAreSpreadOverBlocks) {
  const std::int64_t rows = 700, width = 7;
  const auto x = random_tensor<TypeParam>({rows, width}, 3);
  Ids backwards({rows});
  std::iota(backwards.data.rbegin(), backwards.data.rend(), 0);
  this->expect_same(gather_rows(this->device, this->on_device(x), this->ids(backwards)),
                    forgecheck::gather_rows(x, backwards.data));
}

TYPED_TEST(EmbeddingTest, TheSameBitsUnderEverySeed) {
  const auto x = this->on_device(random_tensor<TypeParam>({40, 33}, 3));
  const auto rows = this->ids(Ids({5}, {39, 0, 7, 8, 20}));
  expect_repeatable([&] {
    const DeviceTensor<TypeParam> out = zeros<TypeParam>(this->device, {40, 33});
    scatter_rows(this->device, out, gather_rows(this->device, x, rows), rows);
    const DeviceTensor<TypeParam> samples = out.reshaped({2, 20, 33});
    return this->bytes(concat_sequence(this->device, slice_sequence(this->device, samples, 3, 20), samples));
  });
}

TEST_F(GpuTest, PartsThatDoNotFitAreRefused) {
  const auto of = [&](const Shape& shape) { return put<float>(Tensor<float>(shape)); };
  EXPECT_THROW(concat_sequence(device, of({2, 1, 2}), of({1, 1, 2})), ShapeError);
  EXPECT_THROW(concat_sequence(device, of({2, 1, 2}), of({2, 1, 3})), ShapeError);
  EXPECT_THROW(slice_sequence(device, of({2, 3, 2}), 1, 4), ShapeError);
  EXPECT_THROW(slice_sequence(device, of({2, 3, 2}), 2, 1), ShapeError);
  EXPECT_THROW(scatter_rows(device, of({4, 2}), of({2, 2}), put<std::int64_t>(Ids({3}))), ShapeError);
  EXPECT_THROW(scatter_rows(device, of({4, 3}), of({2, 2}), put<std::int64_t>(Ids({2}))), ShapeError);
}

}  // namespace
}  // namespace forgecheck::gpu
