// Second factors that are converted as they are read: every product has the bits of one with the numbers in memory.
#include "reference/linalg/factor.h"

#include <algorithm>
#include <type_traits>

#include "reference/linalg/matmul.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::linalg {
namespace {

/// Small whole numbers are the same in every type.
template <class C>
std::vector<C> whole_numbers(std::int64_t count) {
  std::vector<C> result;
  for (std::int64_t i = 0; i < count; ++i) result.push_back(C(static_cast<float>(i * 7 % 23 - 11)));
  return result;
}

template <class C>
void from_integers(const void* source, std::int64_t first, std::int64_t count, C* out) {
  const auto* const begin = static_cast<const int*>(source) + first;
  std::transform(begin, begin + count, out, [](int number) { return C(static_cast<float>(number)); });
}

template <class C>
void expect_the_same_product(Library library, Order order, std::int64_t m, std::int64_t n, std::int64_t k) {
  const std::vector<C> x = whole_numbers<C>(m * k), w = whole_numbers<C>(n * k);
  std::vector<int> integers;
  for (std::int64_t i = 0; i < n * k; ++i) integers.push_back(static_cast<int>(i * 7 % 23 - 11));
  const Factor<C> converted(integers.data(), from_integers<C>);
  for (const bool transposed : {false, true}) {
    const auto product = transposed ? matmul_nt<C> : matmul_nn<C>;
    std::vector<C> expected(static_cast<std::size_t>(m * n)), out = expected;
    {
      const Sampling sampling(1);
      product(library, order, m, n, k, x.data(), w.data(), expected.data());
    }
    {
      const Sampling sampling(1);
      product(library, order, m, n, k, x.data(), converted, out.data());
    }
    EXPECT_EQ(out, expected) << name(library) << " " << name(order) << " " << m << " " << n << " " << k;
  }
}

/// Small and large products, with columns left over.
constexpr std::array<std::int64_t, 3> kSizes[] = {{2, 3, 5}, {5, 37, 700}, {65, 130, 600}};

TEST(ConvertedFactor, GivesEveryLibraryItsNumbers) {
  for (const auto& [m, n, k] : kSizes) {
    for (const Order order : {Order::forward, Order::permuted, Order::reversed}) {
      expect_the_same_product<double>(Library::plain, order, m, n, k);
      expect_the_same_product<float>(Library::plain, order, m, n, k);
    }
    expect_the_same_product<Sampled>(Library::plain, Order::forward, m, n, k);
    expect_the_same_product<double>(Library::openblas, Order::forward, m, n, k);
    expect_the_same_product<float>(Library::openblas, Order::forward, m, n, k);
    expect_the_same_product<float>(Library::onednn, Order::forward, m, n, k);
  }
}

TEST(Factor, IsReadWhereItIs) {
  const std::vector<double> numbers = {1, 2, 3, 4, 5};
  const Factor<double> factor(numbers.data());
  std::vector<double> scratch;
  EXPECT_EQ(factor.all(5, scratch), numbers.data());
  EXPECT_EQ(factor.from(1).from(2).read(1, 1, nullptr), numbers.data() + 4);
}

TEST(Factor, IsConvertedIntoTheBuffer) {
  const std::vector<int> numbers = {1, 2, 3, 4, 5};
  const Factor<float> factor(numbers.data(), from_integers<float>);
  std::vector<float> scratch(2);
  EXPECT_EQ(factor.from(1).read(2, 2, scratch.data()), scratch.data());
  EXPECT_EQ(scratch, (std::vector<float>{4, 5}));
  const float* const all = factor.all(5, scratch);
  EXPECT_EQ(all, scratch.data());
  EXPECT_EQ(scratch, (std::vector<float>{1, 2, 3, 4, 5}));
}

}  // namespace
}  // namespace forgecheck::linalg
