#include "reference/weights.h"

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

ParameterTable table() {
  return {{"norm.weight", Array::from(tensor<float>({2}, {0.1, 1}))},
          {"head.weight", Array::from(tensor<float>({1, 2}, {3, 4}))}};
}

template <class T>
std::vector<T> numbers_of(const WeightView<T>& view) {
  std::vector<T> scratch;
  const T* const all = view.factor().all(element_count(view.shape()), scratch);
  return {all, all + element_count(view.shape())};
}

TEST(Weights, HoldEveryTensorUnderItsName) {
  const Weights<double> weights(table(), Dtype::f32);
  EXPECT_EQ(weights.names(), (std::set<std::string>{"head.weight", "norm.weight"}));
  EXPECT_EQ(weights.at("head.weight").shape, (Shape{1, 2}));
  EXPECT_EQ(numbers(weights.at("head.weight")), (std::vector<double>{3, 4}));
}

TEST(Weights, MissingParameterIsNamed) {
  Weights<double> weights(table(), Dtype::f32);
  EXPECT_EQ(message_of([&] { weights.at("norm.bias"); }), "parameter norm.bias is missing");
  EXPECT_EQ(message_of([&] { weights.mutable_at("norm"); }), "parameter norm is missing");
}

// A bfloat16 model computed in double has bfloat16 weights.
TEST(Weights, AreRoundedToTheStorageTypeFirst) {
  const Weights<double> stored_as_bfloat16(table(), Dtype::bf16), stored_as_float(table(), Dtype::f32);
  EXPECT_EQ(stored_as_bfloat16.at("norm.weight")[0], static_cast<double>(bf16(0.1F)));
  EXPECT_EQ(stored_as_float.at("norm.weight")[0], static_cast<double>(0.1F));
  EXPECT_EQ(numbers(Weights<Bfloat16>(table(), Dtype::f32).at("norm.weight"))[0], bf16(0.1F));
}

TEST(Weights, CanBeSetAndChanged) {
  Weights<float> weights(table(), Dtype::f32);
  weights.mutable_at("norm.weight")[0] = 5;
  weights.set("head.weight", tensor<float>({1}, {7}));
  weights.set("new", tensor<float>({1}, {8}));
  EXPECT_EQ(numbers(weights.at("norm.weight")), (std::vector<double>{5, 1}));
  EXPECT_EQ(numbers(weights.at("head.weight")), (std::vector<double>{7}));
  EXPECT_EQ(weights.names(), (std::set<std::string>{"head.weight", "new", "norm.weight"}));
}

TEST(Weights, ViewHasTheNumbersOfTheTensor) {
  Weights<float> weights(table(), Dtype::f32);
  EXPECT_EQ(weights.view("head.weight").shape(), (Shape{1, 2}));
  EXPECT_EQ(numbers_of(weights.view("head.weight")), (std::vector<float>{3, 4}));
  weights.mutable_at("head.weight")[1] = 5;
  EXPECT_EQ(numbers_of(weights.view("head.weight")), (std::vector<float>{3, 5}));
  weights.set("head.weight", tensor<float>({1}, {7}));
  EXPECT_EQ(weights.view("head.weight").shape(), (Shape{1}));
  EXPECT_EQ(message_of([&] { weights.view("norm.bias"); }), "parameter norm.bias is missing");
}

TEST(Weights, ViewIsRoundedToTheStorageTypeFirst) {
  const Weights<double> weights(table(), Dtype::bf16);
  EXPECT_EQ(numbers_of(weights.view("norm.weight")), (std::vector<double>{bf16(0.1F), 1}));
}

// Whose rounded copies would be as large as a model.
TEST(Weights, LargeOnesAreRoundedWithoutACopy) {
  Tensor<float> large({2, 1 << 15});
  for (float& value : large.data) value = 0.1F;
  Tensor<double> doubles({2, 1 << 15});
  for (double& value : doubles.data) value = 0.1;
  const ParameterTable table = {{"float", Array::from(large)}, {"double", Array::from(doubles)}};
  const Weights<double> weights(table, Dtype::bf16), as_float(table, Dtype::f32);
  EXPECT_EQ(numbers_of(weights.view("float"))[70], bf16(0.1F));
  EXPECT_EQ(weights.at("double")[70], bf16(0.1F));
  EXPECT_EQ(as_float.at("double")[70], static_cast<double>(0.1F));
}

// Just above the middle between two bfloat16 numbers, which it would be in float32, and then rounds to the even one.
TEST(Weights, LargeDoublesAreRoundedOnce) {
  Tensor<double> doubles({2, 1 << 15});
  for (double& value : doubles.data) value = 1 + 0x1p-8 + 0x1p-40;
  const Weights<double> weights({{"w", Array::from(doubles)}}, Dtype::bf16);
  EXPECT_EQ(weights.at("w")[0], 1 + 0x1p-7);
}

// float32 numbers are bfloat16 only after rounding, and bfloat16 and float16 numbers are neither each other's.
TEST(Weights, AreRoundedToATypeThatDoesNotHoldThem) {
  const auto rounded = [](Dtype stored, Dtype storage, double value) {
    const Array array = Array::from(tensor<double>({1}, {value})).cast(stored);
    return Weights<double>({{"w", array}}, storage).at("w")[0];
  };
  EXPECT_EQ(rounded(Dtype::f64, Dtype::f32, 0.1), static_cast<double>(0.1F));
  EXPECT_EQ(rounded(Dtype::f64, Dtype::f64, 0.1), 0.1);
  EXPECT_EQ(rounded(Dtype::bf16, Dtype::f32, 0.1), bf16(0.1F));
  EXPECT_EQ(rounded(Dtype::bf16, Dtype::bf16, 0.1), bf16(0.1F));
}

}  // namespace
}  // namespace forgecheck
