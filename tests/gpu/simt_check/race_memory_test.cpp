// What the race check remembers of each word: every access that a later one can still conflict with, whatever
// came after it. This file is compiled in the checking mode.
#include "tests/gpu/simt_check/expect.h"

namespace {

using namespace simt_test;

__global__ void write_again_after_syncwarp(int* data) {
  const unsigned lane = threadIdx.x;
  data[lane] = 1;
  __syncwarp();
  data[lane] = 2;                      // [write behind]
  data[1000 + lane] = data[lane ^ 1];  // [read behind]
}

// Lanes that met know of what came before, not of what each did since.
TEST_F(Racecheck, SyncwarpMakesNoOrderAmongWhatFollowsIt) {
  expect_race(write_again_after_syncwarp, 1, 32, 0, "write behind", "read behind",
              "write_again_after_syncwarp");
}

template <bool last>
__global__ void meet_twice(int* data) {
  const unsigned lane = threadIdx.x;
  data[lane] = 1;
  __syncwarp();
  data[lane] = 2;  // [second write]
  if (last) __syncwarp();
  data[1000 + lane] = data[lane ^ 1];  // [read after meeting]
}

TEST_F(Racecheck, EverySyncwarpMakesOrderAnew) {
  expect_no_race(meet_twice<true>, 1, 32, 0);
  expect_race(meet_twice<false>, 1, 32, 0, "second write", "read after meeting", "meet_twice<false>");
}

__global__ void write_whole_then_half(int* data) {
  auto* halves = reinterpret_cast<unsigned short*>(data);
  if (threadIdx.x == 0) {
    data[0] = 7;  // [whole]
    halves[0] = 1;
  }
  if (threadIdx.x == 40) data[1000] = halves[1];  // [other half]
}

TEST_F(Racecheck, AStoreOfHalfAWordDoesNotHideThatOfTheWhole) {
  expect_race(write_whole_then_half, 1, 64, 0, "whole", "other half", "write_whole_then_half");
}

__global__ void write_then_add(int* data) {
  if (threadIdx.x == 0) {
    data[0] = 1;  // [plain write]
    atomicAdd(&data[0], 1);
  }
  if (threadIdx.x == 40) atomicAdd(&data[0], 1);  // [add of another]
}

TEST_F(Racecheck, AnAtomicDoesNotHideThePlainWriteBeforeIt) {
  expect_race(write_then_add, 1, 64, 0, "plain write", "add of another", "write_then_add");
}

// The shuffles make no order in memory, but here they see to it that all other reads come in between.
__global__ void many_reads_of_other_bytes(int* data) {
  auto* bytes = reinterpret_cast<unsigned char*>(data);
  const unsigned lane = threadIdx.x;
  if (lane == 0) bytes[0] = 1;  // [first byte]
  __shfl_sync(0xffffffffU, 1, 0);
  if (lane > 0) data[1000 + lane] = bytes[1 + lane % 3];
  __shfl_sync(0xffffffffU, 1, 0);
  if (lane == 31) data[1100] = bytes[0];  // [late read]
}

TEST_F(Racecheck, AWriteIsRememberedAmongAnyNumberOfReads) {
  expect_race(many_reads_of_other_bytes, 1, 32, 0, "first byte", "late read", "many_reads_of_other_bytes");
}

template <class T>
__global__ void store_wide(int* data) {
  if (threadIdx.x == 0) *reinterpret_cast<T*>(data) = T{};                // [wide store]
  if (threadIdx.x == 40) data[1000] = data[sizeof(T) / sizeof(int) - 1];  // [last word]
}

TEST_F(Racecheck, EveryWordOfAWideStoreCounts) {
  expect_race(store_wide<long long>, 1, 64, 0, "wide store", "last word", "store_wide<long long>");
  expect_race(store_wide<float4>, 1, 64, 0, "wide store", "last word", "store_wide<float4>");
}

struct Triple {
  int values[3];
};

__global__ void store_objects(int* data) {
  auto* objects = reinterpret_cast<Triple*>(data);
  const Triple triple = objects[10 + threadIdx.x % 2];
  objects[threadIdx.x % 2] = triple;  // [object]
}

// The compiler stores them by a range of bytes.
TEST_F(Racecheck, StoresOfWholeObjectsCount) {
  expect_race(store_objects, 1, 64, 0, "object", "object", "store_objects");
  expect_no_race(store_objects, 1, 2, 0);
}

}  // namespace
