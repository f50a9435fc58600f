// Large products: the bits of the definition, on any number of threads.
#include <xmmintrin.h>

#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "reference/linalg/matmul.h"
#include "reference/linalg/parallel.h"
#include "tests/reference/ops/values.h"

namespace forgecheck::linalg {
namespace {

template <class C>
struct Factors {
  std::vector<C> x, w;
};

/// x (m, k) and w of n k elements.
template <class C>
Factors<C> factors(std::int64_t m, std::int64_t n, std::int64_t k) {
  std::mt19937_64 generator(static_cast<std::uint64_t>(m * 1000003 + n * 1009 + k));
  std::uniform_real_distribution<C> uniform(-1, 1);
  Factors<C> result{std::vector<C>(static_cast<std::size_t>(m * k)),
                    std::vector<C>(static_cast<std::size_t>(n * k))};
  for (C& value : result.x) value = uniform(generator);
  for (C& value : result.w) value = uniform(generator);
  return result;
}

/// Each element by itself: a product so small that it is summed by the definition.
template <class C>
void expect_the_bits_of_single_sums(std::int64_t m, std::int64_t n, std::int64_t k, Order order) {
  const auto [x, w] = factors<C>(m, n, k);
  std::vector<C> out(static_cast<std::size_t>(m * n), C(-7)), out_nn = out;
  matmul_nt(Library::plain, order, m, n, k, x.data(), w.data(), out.data());
  std::vector<C> transposed(w.size());
  for (std::int64_t j = 0; j < n; ++j) {
    for (std::int64_t p = 0; p < k; ++p) {
      transposed[static_cast<std::size_t>(p * n + j)] = w[static_cast<std::size_t>(j * k + p)];
    }
  }
  matmul_nn(Library::plain, order, m, n, k, x.data(), transposed.data(), out_nn.data());
  for (std::int64_t i = 0; i < m; ++i) {
    for (std::int64_t j = 0; j < n; ++j) {
      C single = -7;
      matmul_nt(Library::plain, order, 1, 1, k, x.data() + i * k, w.data() + j * k, &single);
      ASSERT_EQ(out[static_cast<std::size_t>(i * n + j)], single) << name(order) << " at " << i << ", " << j;
      ASSERT_EQ(out_nn[static_cast<std::size_t>(i * n + j)], single)
          << name(order) << " at " << i << ", " << j;
    }
  }
}

TEST(LargeProducts, HaveTheBitsOfTheDefinition) {
  for (const Order order : {Order::forward, Order::permuted, Order::reversed}) {
    for (const auto& [m, n, k] : {std::tuple{1, 70, 513},
                                  {3, 17, 700},
                                  {4, 16, 512},
                                  {5, 31, 1030},
                                  {9, 1, 4000},
                                  {64, 67, 8},
                                  {200, 200, 1},
                                  {66, 130, 520}}) {
      SCOPED_TRACE(std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k));
      expect_the_bits_of_single_sums<float>(m, n, k, order);
      expect_the_bits_of_single_sums<double>(m, n, k, order);
    }
  }
}

TEST(LargeProducts, HaveTheSameBitsOnAnyNumberOfThreads) {
  const std::int64_t m = 70, n = 300, k = 301;
  const auto [x, w] = factors<float>(m, n, k);
  std::vector<float> first;
  for (const char* const threads : {"1", "2", "7"}) {
    setenv("OMP_NUM_THREADS", threads, 1);
    std::vector<float> out(static_cast<std::size_t>(m * n), -7);
    matmul_nt(Library::plain, Order::forward, m, n, k, x.data(), w.data(), out.data());
    if (first.empty()) first = out;
    EXPECT_EQ(out, first) << threads;
  }
  unsetenv("OMP_NUM_THREADS");
}

// Denormals that count as zero do so on every thread.
TEST(LargeProducts, KeepTheFloatingPointModesOfTheCaller) {
  const std::int64_t m = 70, n = 300, k = 301;
  const std::vector<float> x(static_cast<std::size_t>(m * k), 1e-20F),
      w(static_cast<std::size_t>(n * k), 1e-20F);
  std::vector<float> out(static_cast<std::size_t>(m * n), -7);
  setenv("OMP_NUM_THREADS", "3", 1);
  matmul_nt(Library::plain, Order::forward, m, n, k, x.data(), w.data(), out.data());
  EXPECT_EQ(std::ranges::count(out, 0.0F), 0);
  _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_ON);
  matmul_nt(Library::plain, Order::forward, m, n, k, x.data(), w.data(), out.data());
  _MM_SET_FLUSH_ZERO_MODE(_MM_FLUSH_ZERO_OFF);
  EXPECT_EQ(std::ranges::count(out, 0.0F), m * n);
  unsetenv("OMP_NUM_THREADS");
}

TEST(ParallelFor, MakesEveryCallOnce) {
  for (const std::int64_t threads : {1, 3, 8}) {
    std::vector<std::atomic<int>> calls(5);
    parallel_for(threads, 5, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
    for (const auto& count : calls) EXPECT_EQ(count, 1) << threads;
  }
  parallel_for(4, 0, [](std::int64_t) { ADD_FAILURE() << "was called"; });
}

// Two calls that wait for each other, but not for ever.
TEST(ParallelFor, UsesAsManyThreadsAsItIsGiven) {
  std::atomic<int> here = 0, met = 0;
  parallel_for(2, 2, [&](std::int64_t) {
    ++here;
    for (int i = 0; i < 1000000 && here < 2; ++i) std::this_thread::yield();
    met += here == 2;
  });
  EXPECT_EQ(met, 2);
  std::vector<std::thread::id> ids;
  parallel_for(1, 3, [&](std::int64_t) { ids.push_back(std::this_thread::get_id()); });
  EXPECT_EQ(ids, std::vector(3, std::this_thread::get_id()));
}

TEST(ParallelFor, ThrowsWhatACallThrew) {
  for (const std::int64_t threads : {1, 3}) {
    EXPECT_EQ(message_of<BackendError>([&] {
                parallel_for(threads, 9, [](std::int64_t i) {
                  if (i == 4) throw BackendError("the fifth");
                });
              }),
              "the fifth");
  }
}

TEST(ThreadCount, IsThatOfTheEnvironmentOrOfTheMachine) {
  const auto machine = std::max<std::int64_t>(1, std::thread::hardware_concurrency());
  setenv("OMP_NUM_THREADS", "5", 1);
  EXPECT_EQ(thread_count(), 5);
  for (const char* const text : {"", "0", "-3", "many", "4,2"}) {
    setenv("OMP_NUM_THREADS", text, 1);
    EXPECT_EQ(thread_count(), machine) << text;
  }
  unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(thread_count(), machine);
}

}  // namespace
}  // namespace forgecheck::linalg
