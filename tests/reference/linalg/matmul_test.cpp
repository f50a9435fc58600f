#include "reference/linalg/matmul.h"

#include <random>

#include "tests/reference/ops/values.h"

namespace forgecheck::linalg {
namespace {

/// One way to compute the product.
struct Method {
  Library library = Library::plain;
  Order order = Order::forward;
};

constexpr Method kPlainMethod{}, kPermutedMethod{.order = Order::permuted},
    kReversedMethod{.order = Order::reversed};
constexpr Method kOpenblasMethod{.library = Library::openblas}, kOnednnMethod{.library = Library::onednn};
constexpr Method kMethods[] = {kPlainMethod, kPermutedMethod, kReversedMethod, kOpenblasMethod,
                               kOnednnMethod};
constexpr Method kDoubleMethods[] = {kPlainMethod, kPermutedMethod, kReversedMethod, kOpenblasMethod};

std::string name(const Method& method) {
  return std::string(name(method.library)) + ", " + std::string(name(method.order));
}

template <class C>
std::vector<C> nt(const Method& method, std::int64_t m, std::int64_t n, std::int64_t k,
                  const std::vector<C>& x, const std::vector<C>& w) {
  std::vector<C> out(static_cast<std::size_t>(m * n), C(-7));
  matmul_nt(method.library, method.order, m, n, k, x.data(), w.data(), out.data());
  return out;
}

template <class C>
std::vector<C> nn(const Method& method, std::int64_t m, std::int64_t n, std::int64_t k,
                  const std::vector<C>& x, const std::vector<C>& w) {
  std::vector<C> out(static_cast<std::size_t>(m * n), C(-7));
  matmul_nn(method.library, method.order, m, n, k, x.data(), w.data(), out.data());
  return out;
}

template <class C>
std::vector<C> random_values(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<C> uniform(-1, 1);
  std::vector<C> values(count);
  for (C& value : values) value = uniform(generator);
  return values;
}

/// Every sum of k products, in any order, is within k eps sum |x w| of the exact one.
template <class C>
void expect_rounding_only(const Method& method, std::int64_t m, std::int64_t n, std::int64_t k) {
  const auto x = random_values<C>(static_cast<std::size_t>(m * k), 1);
  const auto w = random_values<C>(static_cast<std::size_t>(n * k), 2);
  const auto out = nt(method, m, n, k, x, w);
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      long double exact = 0, magnitude = 0;
      for (std::int64_t p = 0; p < k; ++p) {
        const long double product = static_cast<long double>(x[static_cast<std::size_t>(i * k + p)]) *
                                    static_cast<long double>(w[static_cast<std::size_t>(j * k + p)]);
        exact += product;
        magnitude += std::fabs(product);
      }
      const auto eps = static_cast<long double>(std::numeric_limits<C>::epsilon());
      const auto value = static_cast<long double>(out[static_cast<std::size_t>(i * n + j)]);
      EXPECT_LE(std::fabs(value - exact), static_cast<long double>(k) * eps * magnitude)
          << name(method) << " " << m << "x" << n << "x" << k;
    }
  }
}

TEST(Matmul, NtTakesTheSecondFactorTransposed) {
  for (const Method& method : kMethods) {
    EXPECT_EQ(nt<float>(method, 2, 3, 2, {1, 2, 3, 4}, {1, 0, 0, 1, 10, 100}),
              (std::vector<float>{1, 2, 210, 3, 4, 430}))
        << name(method);
  }
  for (const Method& method : kDoubleMethods) {
    EXPECT_EQ(nt<double>(method, 2, 3, 2, {1, 2, 3, 4}, {1, 0, 0, 1, 10, 100}),
              (std::vector<double>{1, 2, 210, 3, 4, 430}))
        << name(method);
  }
}

TEST(Matmul, NnTakesTheSecondFactorAsItLies) {
  for (const Method& method : kMethods) {
    EXPECT_EQ(nn<float>(method, 2, 3, 2, {1, 10, 0, 1}, {1, 2, 3, 4, 5, 6}),
              (std::vector<float>{41, 52, 63, 4, 5, 6}))
        << name(method);
  }
  for (const Method& method : kDoubleMethods) {
    EXPECT_EQ(nn<double>(method, 2, 3, 2, {1, 10, 0, 1}, {1, 2, 3, 4, 5, 6}),
              (std::vector<double>{41, 52, 63, 4, 5, 6}))
        << name(method);
  }
}

/// A single row of whole numbers, large enough for a library's threads: every sum is exact.
template <class C>
void expect_exact_row(const Method& method) {
  const std::int64_t n = 700, k = 513;
  std::vector<C> x, w, transposed, expected;
  for (std::int64_t p = 0; p < k; ++p) x.push_back(static_cast<C>(p % 7 - 3));
  for (std::int64_t i = 0; i < n * k; ++i) w.push_back(static_cast<C>(i % 11 - 5));
  for (std::int64_t i = 0; i < n * k; ++i)
    transposed.push_back(w[static_cast<std::size_t>(i % n * k + i / n)]);
  for (std::int64_t j = 0; j < n; ++j) {
    C sum = 0;
    for (std::int64_t p = 0; p < k; ++p) {
      sum += x[static_cast<std::size_t>(p)] * w[static_cast<std::size_t>(j * k + p)];
    }
    expected.push_back(sum);
  }
  EXPECT_EQ(nt<C>(method, 1, n, k, x, w), expected) << name(method);
  EXPECT_EQ(nn<C>(method, 1, n, k, x, transposed), expected) << name(method);
}

TEST(Matmul, ASingleRowIsAProductToo) {
  for (const Method& method : kMethods) expect_exact_row<float>(method);
  for (const Method& method : kDoubleMethods) expect_exact_row<double>(method);
}

// oneDNN refuses one.
TEST(Matmul, ASumWithoutTermsIsZero) {
  for (const Method& method : kDoubleMethods) {
    EXPECT_EQ(nt<float>(method, 1, 2, 0, {}, {}), (std::vector<float>{0, 0})) << name(method);
    EXPECT_EQ(nt<float>(method, 2, 1, 0, {}, {}), (std::vector<float>{0, 0})) << name(method);
    EXPECT_EQ(nt<double>(method, 1, 2, 0, {}, {}), (std::vector<double>{0, 0})) << name(method);
  }
}

TEST(Matmul, EveryMethodAgreesToRounding) {
  for (const auto& [m, n, k] : {std::tuple{1, 1, 1}, {3, 5, 7}, {17, 9, 64}, {2, 33, 300}}) {
    for (const Method& method : kMethods) expect_rounding_only<float>(method, m, n, k);
    for (const Method& method : kDoubleMethods) expect_rounding_only<double>(method, m, n, k);
  }
}

// With x_p = 2^p and w = 1 the sum is 2^k - 1, exactly, if and only if every index is visited once.
TEST(Matmul, OtherOrdersVisitEveryIndexOnce) {
  std::vector<double> powers, ones(50, 1.0);
  for (int p = 0; p < 50; ++p) powers.push_back(std::ldexp(1.0, p));
  for (std::int64_t k = 0; k <= 50; ++k) {
    const std::vector<double> expected = {std::ldexp(1.0, static_cast<int>(k)) - 1};
    for (const Method& method : {kPlainMethod, kPermutedMethod, kReversedMethod}) {
      EXPECT_EQ(nt(method, 1, 1, k, powers, ones), expected) << name(method) << ", k = " << k;
    }
  }
}

TEST(Matmul, OtherOrdersVisitEveryIndexOnceInLongSums) {
  for (const std::int64_t k : {51, 64, 97, 100, 1000, 4096}) {
    // One nonzero term at a time: if the index is not visited exactly once, the sum is not 1.
    for (std::int64_t p = 0; p < k; p += (k > 200 ? 37 : 1)) {
      std::vector<double> x(static_cast<std::size_t>(k)), w(static_cast<std::size_t>(k), 1.0);
      x[static_cast<std::size_t>(p)] = 1;
      for (const Method& method : {kPermutedMethod, kReversedMethod}) {
        ASSERT_EQ(nt(method, 1, 1, k, x, w)[0], 1.0) << name(method) << ", k = " << k << ", index " << p;
      }
    }
  }
}

TEST(Matmul, PlainSumsInTheOrderOfK) {
  // (1 + 2^24) - 2^24 in float32: 1 is lost only if it comes first or second.
  EXPECT_EQ(nt<float>(kPlainMethod, 1, 1, 3, {1, 0x1p24F, -0x1p24F}, {1, 1, 1})[0], 0.0F);
  EXPECT_EQ(nt<float>(kPlainMethod, 1, 1, 3, {0x1p24F, -0x1p24F, 1}, {1, 1, 1})[0], 1.0F);
}

TEST(Matmul, EveryOrderRoundsDifferently) {
  const auto x = random_values<float>(300, 3), w = random_values<float>(300, 4);
  const std::pair<Method, Method> pairs[] = {
      {kPlainMethod, kPermutedMethod}, {kPlainMethod, kReversedMethod}, {kPermutedMethod, kReversedMethod}};
  for (const auto& [a, b] : pairs) {
    int different = 0;
    for (std::int64_t k = 100; k < 300; ++k) {
      if (nt(a, 1, 1, k, x, w) != nt(b, 1, 1, k, x, w)) ++different;
    }
    EXPECT_GT(different, 100) << name(a) << " and " << name(b);
  }
}

TEST(Matmul, NoRowsOrColumnsAreNothingToDo) {
  for (const Method& method : kMethods) {
    float out = 5;
    const float factor = 1;
    matmul_nt<float>(method.library, method.order, 0, 1, 1, &factor, &factor, &out);
    matmul_nn<float>(method.library, method.order, 1, 0, 1, &factor, &factor, &out);
    EXPECT_EQ(out, 5) << name(method);
  }
}

TEST(Matmul, EmptySumIsZero) {
  EXPECT_EQ(nt<double>(kPlainMethod, 2, 1, 0, {}, {}), (std::vector<double>{0, 0}));
  EXPECT_EQ(nt<double>(kPermutedMethod, 2, 1, 0, {}, {}), (std::vector<double>{0, 0}));
}

TEST(Matmul, OneDnnHasNoDouble) {
  EXPECT_EQ(message_of<BackendError>([] { nt<double>(kOnednnMethod, 1, 1, 1, {1}, {1}); }),
            "[matmul] oneDNN has no float64 matrix product");
  EXPECT_EQ(unavailable_reason(Library::onednn, true), "oneDNN has no float64 matrix product");
  EXPECT_EQ(unavailable_reason(Library::onednn, false), "");
  EXPECT_EQ(unavailable_reason(Library::openblas, true), "");
}

// 2 is dnnl_invalid_arguments.
TEST(Matmul, AProductThatOneDnnRefusesIsNamedWithItsSizes) {
  const Product<float> product{-3, 5, 7, nullptr, nullptr, true, nullptr};
  EXPECT_EQ(message_of<BackendError>([&] { onednn_product(product); }),
            "[matmul] dnnl_sgemm failed with status 2 for m=-3 n=5 k=7");
}

TEST(Matmul, LibrariesAndOrdersHaveNames) {
  EXPECT_EQ(name(Library::plain), "plain");
  EXPECT_EQ(name(Library::openblas), "openblas");
  EXPECT_EQ(name(Library::onednn), "onednn");
  EXPECT_EQ(name(Order::forward), "forward");
  EXPECT_EQ(name(Order::permuted), "permuted");
  EXPECT_EQ(name(Order::reversed), "reversed");
}

}  // namespace
}  // namespace forgecheck::linalg
