// Atomics.
#include <set>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Atomic : Simt {};

template <class T>
struct Cells {
  T add, sub, max, min, conjunction, disjunction;
};

template <class T>
__global__ void use_all(Cells<T>* cells) {
  const T i = static_cast<T>(threadIdx.x);
  atomicAdd(&cells->add, i);
  atomicMax(&cells->max, i);
  atomicMin(&cells->min, i);
  atomicAnd(&cells->conjunction, static_cast<T>(~(T{1} << (i % 8))));
  atomicOr(&cells->disjunction, static_cast<T>(T{1} << (i % 8)));
  if constexpr (sizeof(T) == 4) {
    atomicSub(&cells->sub, i);
  }
}

template <class T>
void expect_all() {
  const DeviceArray<Cells<T>> cells({Cells<T>{1, 10000, 3, 3, 0xfff, 0}});
  simt::launch(use_all<T>, 1, 100, 0, nullptr, cells.data());
  const Cells<T> after = cells.values()[0];
  EXPECT_EQ(after.add, T{4951});
  EXPECT_EQ(after.sub, sizeof(T) == 4 ? T{10000 - 4950} : T{10000});
  EXPECT_EQ(after.max, T{99});
  EXPECT_EQ(after.min, T{0});
  EXPECT_EQ(after.conjunction, T{0xf00});
  EXPECT_EQ(after.disjunction, T{0xff});
}

TEST_F(Atomic, IntegersOfEveryType) {
  expect_all<int>();
  expect_all<unsigned>();
  expect_all<unsigned long long>();
}

__global__ void exchange(int* cells) {
  cells[2] = atomicCAS(&cells[0], 5, 6);  // it holds 5
  cells[3] = atomicCAS(&cells[1], 5, 6);  // it holds 7
}

TEST_F(Atomic, AnExchangeReturnsWhatItFoundWhetherItWonOrLost) {
  const DeviceArray<int> cells({5, 7, 0, 0});
  simt::launch(exchange, 1, 1, 0, nullptr, cells.data());
  EXPECT_EQ(cells.values(), (std::vector<int>{6, 7, 5, 7}));
}

__global__ void negative(int* cells) {
  atomicMax(&cells[0], -5);
  atomicMin(&cells[1], -5);
}

TEST_F(Atomic, SignedOrderIsKept) {
  const DeviceArray<int> cells({-7, 7});
  simt::launch(negative, 1, 1, 0, nullptr, cells.data());
  EXPECT_EQ(cells.values(), (std::vector<int>{-5, -5}));
}

__global__ void count_under_a_lock(int* lock, int* count) {
  while (atomicCAS(lock, 0, 1) != 0) {
  }
  const int before = *count;
  __threadfence();
  *count = before + 1;
  atomicExch(lock, 0);
}

TEST_F(Atomic, AThreadThatWaitsForALockLetsTheOthersRun) {
  const DeviceArray<int> cells({0, 0});
  simt::launch(count_under_a_lock, 3, 64, 0, nullptr, cells.data(), cells.data() + 1);
  EXPECT_EQ(cells.values(), (std::vector<int>{0, 192}));
}

__global__ void lose_updates(int* count) {
  const int before = *count;
  int unrelated = 0;
  atomicAdd(&unrelated, 1);
  *count = before + 1;
}

TEST_F(Atomic, OtherThreadsRunBeforeAnAtomic) {
  const DeviceArray<int> count({0});
  simt::launch(lose_updates, 1, 64, 0, nullptr, count.data());
  EXPECT_LT(count.values()[0], 64);
}

__global__ void add_floats(float* sum, const float* values) {
  atomicAdd(sum, values[threadIdx.x]);
}

TEST_F(Atomic, AFloatSumDependsOnTheOrder) {
  std::vector<float> values(256);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = 1.0F / static_cast<float>(i + 1);
  }
  std::set<float> sums;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<float> in(values);
    const DeviceArray<float> sum(std::vector<float>{0});
    simt::launch(add_floats, 1, 256, 0, nullptr, sum.data(), in.data());
    sums.insert(sum.values()[0]);
    EXPECT_NEAR(sum.values()[0], 6.1243F, 1e-3F);
  }
  EXPECT_GT(sums.size(), 1U);
}

}  // namespace
