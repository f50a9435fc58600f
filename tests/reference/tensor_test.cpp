#include "reference/tensor.h"

#include <limits>

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

TEST(ElementCount, IsTheProductOfTheSizes) {
  EXPECT_EQ(element_count({2, 3, 4}), 24);
  EXPECT_EQ(element_count({}), 1);
  EXPECT_EQ(element_count({5, 0, 7}), 0);
}

TEST(ElementCount, NegativeAndHugeSizesAreErrors) {
  EXPECT_EQ(message_of([] { element_count({2, -1}); }), "shape 2x-1 has a negative size");
  constexpr std::int64_t big = std::int64_t{1} << 32;
  EXPECT_EQ(message_of([] {
              element_count({big, big});
            }),
            "shape 4294967296x4294967296 has more than 2^63 - 1 elements");
  EXPECT_EQ(element_count({std::int64_t{1} << 31, std::int64_t{1} << 31}), std::int64_t{1} << 62);
  // 2^63 - 1 is 7 * 1317624576693539401.
  EXPECT_EQ(element_count({7, 1317624576693539401}), std::numeric_limits<std::int64_t>::max());
  EXPECT_THROW(element_count({7, 1317624576693539402}), ShapeError);
}

TEST(ShapeText, JoinsTheSizes) {
  EXPECT_EQ(to_string(Shape{2, 9, 32}), "2x9x32");
  EXPECT_EQ(to_string(Shape{7}), "7");
  EXPECT_EQ(to_string(Shape{}), "scalar");
}

TEST(RequireShape, NamesBothShapes) {
  EXPECT_NO_THROW(require_shape("x", {2, 9}, {2, 9}));
  EXPECT_EQ(message_of([] { require_shape("x", {2, 9}, {2, 8}); }), "x has shape 2x9, expected 2x8");
  EXPECT_EQ(message_of([] { require_shape("x", {}, {1}); }), "x has shape scalar, expected 1");
}

TEST(Tensor, BeginsWithZeros) {
  EXPECT_EQ(Tensor<float>({2, 2}).data, (std::vector<float>{0, 0, 0, 0}));
  EXPECT_EQ(Tensor<double>().size(), 0);
}

TEST(Tensor, DataMustFitTheShape) {
  EXPECT_EQ(message_of([] { Tensor<float>({2, 2}, {1, 2, 3}); }), "tensor data has shape 3, expected 4");
}

TEST(Tensor, AxesCountFromBothEnds) {
  const Tensor<float> x({2, 3, 4});
  EXPECT_EQ(x.rank(), 3);
  EXPECT_EQ(x.dim(0), 2);
  EXPECT_EQ(x.dim(2), 4);
  EXPECT_EQ(x.dim(-1), 4);
  EXPECT_EQ(x.dim(-3), 2);
  EXPECT_THROW(x.dim(3), std::out_of_range);
  EXPECT_THROW(x.dim(-4), std::out_of_range);
}

TEST(Tensor, RowsRunAlongTheLastAxis) {
  const auto x = doubles({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(x.rows(), 4);
  EXPECT_EQ(x.width(), 2);
  EXPECT_EQ(x.row(2)[1], 6);
  EXPECT_EQ(Tensor<double>(Shape{}).rows(), 1);
  EXPECT_EQ(Tensor<double>(Shape{}).width(), 1);
  EXPECT_EQ(Tensor<double>({3, 0}).rows(), 0);
}

TEST(Tensor, ReshapingKeepsTheOrderOfTheElements) {
  const auto x = doubles({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(x.reshaped({3, 2}).data, x.data);
  EXPECT_EQ(x.reshaped({3, 2}).shape, (Shape{3, 2}));
  EXPECT_EQ(message_of([&] { x.reshaped({4, 2}); }), "tensor data has shape 6, expected 8");
  EXPECT_EQ(doubles({2, 1}, {1, 2}).reshaped({1, 2}).data, (std::vector<double>{1, 2}));
}

}  // namespace
}  // namespace forgecheck
