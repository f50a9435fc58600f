// Large products of sampled runs: off as the sums of their terms are, on any number of threads.
#include <cstdlib>
#include <random>
#include <set>

#include "reference/linalg/matmul.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::linalg {
namespace {

constexpr double kUnit = 0x1p-24;

std::vector<Sampled> numbers(std::int64_t size, std::uint64_t seed, bool are_bfloat16 = false) {
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<Sampled> result;
  for (std::int64_t i = 0; i < size; ++i) {
    const float number = uniform(generator);
    result.emplace_back(are_bfloat16 ? static_cast<float>(bf16(number)) : number);
  }
  return result;
}

/// Rows of k numbers in pairs that nearly cancel, of all sizes: their sums stay small, and the products tell.
std::vector<Sampled> cancelling(std::int64_t rows, std::int64_t k, bool alternate) {
  std::mt19937_64 generator(9);
  std::vector<Sampled> result;
  for (std::int64_t at = 0; at < rows * k; ++at) {
    const std::int64_t p = at % k;
    const int exponent = -static_cast<int>(p / 2 * 7 % 19);  // of the pair
    const float sixteenths = 1.0F + static_cast<float>(generator() % 8) / 64.0F;
    result.emplace_back(std::ldexp(alternate && p % 2 == 1 ? -sixteenths : sixteenths, exponent));
  }
  return result;
}

/// x (m, k) times the transpose of w (n, k) in one product.
std::vector<double> product(std::uint64_t seed, std::int64_t m, std::int64_t n, std::int64_t k,
                            const std::vector<Sampled>& x, const std::vector<Sampled>& w) {
  const Sampling sampling(seed);
  std::vector<Sampled> out(static_cast<std::size_t>(m * n));
  matmul_nt(Library::plain, Order::forward, m, n, k, x.data(), w.data(), out.data());
  std::vector<double> values;
  for (const Sampled number : out) values.push_back(number.value);
  return values;
}

/// The same in products of one row, which are small: term by term.
std::vector<double> product_by_terms(std::uint64_t seed, std::int64_t m, std::int64_t n, std::int64_t k,
                                     const std::vector<Sampled>& x, const std::vector<Sampled>& w) {
  const Sampling sampling(seed);
  std::vector<double> values;
  for (std::int64_t i = 0; i < m; ++i) {
    std::vector<Sampled> out(static_cast<std::size_t>(n));
    matmul_nt(Library::plain, Order::forward, 1, n, k, x.data() + i * k, w.data(), out.data());
    for (const Sampled number : out) values.push_back(number.value);
  }
  return values;
}

/// Over all elements: the mean of the error in the direction of the exact value, and its root mean square; in units u.
struct Errors {
  double outwards = 0, rms = 0;
};
Errors errors_of(const std::vector<double>& values, std::int64_t n, std::int64_t k,
                 const std::vector<Sampled>& x, const std::vector<Sampled>& w) {
  Errors errors;
  const auto count = static_cast<double>(values.size());
  for (std::size_t at = 0; at < values.size(); ++at) {
    const std::int64_t i = static_cast<std::int64_t>(at) / n, j = static_cast<std::int64_t>(at) % n;
    double exact = 0;
    for (std::int64_t p = 0; p < k; ++p) {
      exact += x[static_cast<std::size_t>(i * k + p)].value * w[static_cast<std::size_t>(j * k + p)].value;
    }
    const double error = (values[at] - exact) / kUnit;
    errors.outwards += (exact > 0 ? error : -error) / count;
    errors.rms += error * error / count;
  }
  errors.rms = std::sqrt(errors.rms);
  return errors;
}

constexpr std::int64_t kM = 67, kN = 130, kK = 515;  // no multiples of a block, and over 2^22 multiply-adds

// Seed 2 rounds as float32 does, seed 3 as 3xTF32. Products of bfloat16 numbers are exact in float32. 8,710 elements give
// an rms to 1 per cent.
TEST(SampledProducts, LargeOnesAreOffAsTheirTermsAre) {
  for (const std::uint64_t seed : {2, 3}) {
    for (const bool are_bfloat16 : {false, true}) {
      SCOPED_TRACE(std::to_string(seed) + (are_bfloat16 ? " bfloat16" : ""));
      const std::vector<Sampled> x = numbers(kM * kK, 1, are_bfloat16), w = numbers(kN * kK, 2, are_bfloat16);
      const Errors large = errors_of(product(seed, kM, kN, kK, x, w), kN, kK, x, w);
      const Errors by_terms = errors_of(product_by_terms(seed, kM, kN, kK, x, w), kN, kK, x, w);
      EXPECT_NEAR(large.rms / by_terms.rms, 1, 0.05);
      EXPECT_NEAR(large.outwards, by_terms.outwards, 0.05 * by_terms.rms);
      EXPECT_GT(by_terms.rms, 50);
    }
  }
}

// Exact products lose nothing: here an error of theirs would be most of all.
TEST(SampledProducts, ProductsThatAFloatHoldsAreExact) {
  const std::vector<Sampled> x = cancelling(kM, kK, true), w = cancelling(kN, kK, false);
  const Errors large = errors_of(product(2, kM, kN, kK, x, w), kN, kK, x, w);
  const Errors by_terms = errors_of(product_by_terms(2, kM, kN, kK, x, w), kN, kK, x, w);
  EXPECT_NEAR(large.rms / by_terms.rms, 1, 0.05);
  EXPECT_GT(by_terms.rms, 0.1);
}

TEST(SampledProducts, LargeOnesOfEitherLayoutAreTheSame) {
  const std::vector<Sampled> x = numbers(kM * kK, 1), w = numbers(kN * kK, 2);
  std::vector<Sampled> transposed(w.size()), out(static_cast<std::size_t>(kM * kN));
  for (std::int64_t j = 0; j < kN; ++j) {
    for (std::int64_t p = 0; p < kK; ++p) {
      transposed[static_cast<std::size_t>(p * kN + j)] = w[static_cast<std::size_t>(j * kK + p)];
    }
  }
  const std::vector<double> expected = product(2, kM, kN, kK, x, w);
  const Sampling sampling(2);
  matmul_nn(Library::plain, Order::forward, kM, kN, kK, x.data(), transposed.data(), out.data());
  for (std::size_t at = 0; at < out.size(); ++at) ASSERT_EQ(out[at].value, expected[at]) << at;
}

TEST(SampledProducts, DrawTheSameOnAnyNumberOfThreads) {
  const std::vector<Sampled> x = numbers(kM * kK, 1), w = numbers(kN * kK, 2);
  std::vector<double> first;
  for (const char* const threads : {"1", "2", "7"}) {
    setenv("OMP_NUM_THREADS", threads, 1);
    const std::vector<double> out = product(3, kM, kN, kK, x, w);
    if (first.empty()) first = out;
    EXPECT_EQ(out, first) << threads;
  }
  unsetenv("OMP_NUM_THREADS");
}

// Also where all factors are equal.
TEST(SampledProducts, EveryElementHasItsOwnError) {
  const std::vector<Sampled> x(static_cast<std::size_t>(kM * kK), Sampled(0.3F)),
      w(static_cast<std::size_t>(kN * kK), Sampled(0.7F));
  const std::vector<double> first = product(2, kM, kN, kK, x, w), second = product(4, kM, kN, kK, x, w);
  EXPECT_NE(first, second) << "another run";
  EXPECT_GE(std::set<double>(first.begin(), first.end()).size(), 20U) << "a normal distribution of 64 signs";
  const std::set<double> row(first.begin(), first.begin() + kN);
  EXPECT_GE(row.size(), 10U);
}

// A sum of few terms is not normal. One product moves by one unit, and so does its sum with zero.
TEST(SampledProducts, OfFewTermsAreSummedTermByTerm) {
  constexpr std::int64_t kSize = 2100;
  const std::vector<Sampled> x = numbers(kSize, 1), w = numbers(kSize, 2);
  const std::vector<double> out = product(2, kSize, kSize, 1, x, w);
  for (std::size_t at = 0; at < out.size(); at += 1009) {
    const double exact = x[at / kSize].value * w[at % kSize].value;
    const double units = std::abs(out[at] - exact) / (kUnit * std::abs(exact));
    EXPECT_TRUE(units < 1e-6 || std::abs(units - 2) < 1e-6) << units;
  }
}

}  // namespace
}  // namespace forgecheck::linalg
