#include "reference/weight_view.h"

#include <cstring>
#include <numeric>

#include "tests/reference/ops/values.h"

namespace forgecheck {
namespace {

/// More than are converted at a time, none of them a number of bfloat16.
Tensor<double> many_numbers() {
  Tensor<double> result({3, 700});
  for (std::int64_t i = 0; i < result.size(); ++i) result[i] = 1.0 / static_cast<double>(i + 3);
  return result;
}

/// Elements 5 to the last, read through a view.
template <class T>
std::vector<double> read_through(const WeightView<T>& view) {
  const std::int64_t count = element_count(view.shape()) - 5;
  std::vector<compute_t<T>> buffer(static_cast<std::size_t>(count));
  const compute_t<T>* const elements = view.factor().from(2).read(3, count, buffer.data());
  std::vector<double> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(static_cast<double>(elements[i]));
  return result;
}

template <class T>
void expect_the_tensors_numbers(const Array& stored) {
  const Tensor<T> tensor = stored.to<T>();
  std::vector<double> expected;
  for (std::int64_t i = 5; i < tensor.size(); ++i) expected.push_back(static_cast<double>(widen(tensor[i])));
  EXPECT_EQ(read_through(WeightView<T>(tensor)), expected) << torch_name(stored.dtype());
  EXPECT_EQ(read_through(WeightView<T>(stored)), expected) << torch_name(stored.dtype());
  for (const WeightView<T>& view : {WeightView<T>(tensor), WeightView<T>(stored)}) {
    EXPECT_EQ(view.shape(), (Shape{3, 700}));
    EXPECT_EQ(view.rank(), 2);
    EXPECT_EQ(view.dim(1), 700);
    std::vector<T> row(2);
    view.read(701, std::span(row));
    EXPECT_EQ(widen(row[1]), widen(tensor[702]));
  }
}

TEST(WeightView, HasTheNumbersOfATensorOfItsType) {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32, Dtype::bf16}) {
    const Array stored = Array::from(many_numbers()).cast(dtype);
    expect_the_tensors_numbers<double>(stored);
    expect_the_tensors_numbers<float>(stored);
    expect_the_tensors_numbers<Bfloat16>(stored);
    expect_the_tensors_numbers<SampledFloat>(stored);
    expect_the_tensors_numbers<SampledBfloat16>(stored);
  }
}

TEST(WeightView, DoesNotCopyNumbersOfItsType) {
  const Array stored = Array::from(tensor<float>({2, 2}, {1, 2, 3, 4}));
  const WeightView<float> view(stored);
  const void* const read = view.factor().read(0, 4, nullptr);
  EXPECT_EQ(read, stored.bytes().data());
}

TEST(WeightView, NumbersThatAreMadeStayUnkept) {
  const Array stored = Array::made(Dtype::f32, {2, 2}, [](std::int64_t first, std::span<float> out) {
    for (float& element : out) element = static_cast<float>(first++);
  });
  std::vector<float> scratch;
  const float* const read = WeightView<float>(stored).factor().all(4, scratch);
  EXPECT_EQ(read, scratch.data());
  EXPECT_EQ(scratch, (std::vector<float>{0, 1, 2, 3}));
}

// A file may have its tensors at any byte.
TEST(WeightView, NumbersMayBeginAnywhere) {
  const std::vector<float> numbers = {1, 2, 3, 4};
  std::shared_ptr<std::byte[]> bytes(new std::byte[17]);
  std::memcpy(bytes.get() + 1, numbers.data(), 16);
  const Array stored(Dtype::f32, {2, 2}, std::shared_ptr<const std::byte>(bytes, bytes.get() + 1));
  std::vector<float> scratch;
  const float* const read = WeightView<float>(stored).factor().all(4, scratch);
  EXPECT_EQ(std::vector<float>(read, read + 4), numbers);
  EXPECT_EQ(read, scratch.data());
}

}  // namespace
}  // namespace forgecheck
