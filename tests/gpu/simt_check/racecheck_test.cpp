// The hazards that compute-sanitizer's racecheck is made for, and code without a race. This file is compiled
// in the checking mode.
#include "tests/gpu/simt_check/expect.h"

namespace {

using namespace simt_test;

struct Synccheck : Simt {};

__global__ void all_write_one(int* data) {
  data[0] = static_cast<int>(threadIdx.x);  // [write of all]
}

TEST_F(Racecheck, WriteAfterWrite) {
  expect_race(all_write_one, 1, 64, 0, "write of all", "write of all", "all_write_one");
}

TEST_F(Racecheck, WriteAfterWriteOfTwoBlocks) {
  expect_race(all_write_one, 2, 1, 0, "write of all", "write of all", "all_write_one");
}

__global__ void read_after_write(int* data) {
  int* words = simt::shared_memory<int>();
  words[threadIdx.x] = 0;
  __syncthreads();
  words[threadIdx.x] = 1;                                     // [write own]
  data[threadIdx.x] = words[(threadIdx.x + 1) % blockDim.x];  // [read next]
}

TEST_F(Racecheck, ReadAfterWriteInSharedMemory) {
  expect_race(read_after_write, 1, 64, 256, "write own", "read next", "read_after_write");
}

template <bool second_barrier>
__global__ void write_after_read(int* data) {
  int* words = simt::shared_memory<int>();
  words[threadIdx.x] = data[threadIdx.x];
  __syncthreads();
  const int neighbour = words[threadIdx.x ^ 1];  // [read neighbour]
  if (second_barrier) __syncthreads();
  words[threadIdx.x] = neighbour;  // [write back]
}

TEST_F(Racecheck, WriteAfterReadInSharedMemory) {
  expect_race(write_after_read<false>, 2, 64, 256, "read neighbour", "write back", "write_after_read<false>");
}

TEST_F(Racecheck, BarriersMakeOrder) {
  expect_no_race(write_after_read<true>, 2, 64, 256);
}

__global__ void many_readers(int* data) {
  int* words = simt::shared_memory<int>();
  if (threadIdx.x == 0) words[0] = 7;
  __syncthreads();
  data[1 + threadIdx.x] = words[0];     // [read one]
  if (threadIdx.x == 77) words[0] = 8;  // [write one]
}

TEST_F(Racecheck, OneWriterAmongManyReaders) {
  expect_race(many_readers, 1, 128, 4, "read one", "write one", "many_readers");
}

template <int kind>
__global__ void within_a_warp(int* data) {
  const unsigned lane = threadIdx.x;
  data[lane] = static_cast<int>(lane);  // [write lane]
  if (kind == 1) __syncwarp();
  if (kind == 2) __syncwarp(lane < 16 ? 0x0000ffffU : 0xffff0000U);
  if (kind == 3) __shfl_sync(0xffffffffU, 1, 0);
  data[1000 + lane] = data[lane ^ 1];                  // [read partner]
  if (kind == 2) data[1100 + lane] = data[lane ^ 16];  // [read across]
}

TEST_F(Racecheck, LanesAreNotInStep) {
  expect_race(within_a_warp<0>, 1, 32, 0, "write lane", "read partner", "within_a_warp<0>");
}
TEST_F(Racecheck, SyncwarpMakesOrder) {
  expect_no_race(within_a_warp<1>, 1, 32, 0);
}
TEST_F(Racecheck, SyncwarpOrdersOnlyTheLanesOfItsMask) {
  expect_race(within_a_warp<2>, 1, 32, 0, "write lane", "read across", "within_a_warp<2>");
}
TEST_F(Racecheck, AShuffleMakesNoOrderInMemory) {
  expect_race(within_a_warp<3>, 1, 32, 0, "write lane", "read partner", "within_a_warp<3>");
}
__global__ void across_warps(int* data) {
  data[threadIdx.x] = 1;  // [warp writes]
  __syncwarp();
  data[1000 + threadIdx.x] = data[threadIdx.x ^ 32];  // [other warp reads]
}

TEST_F(Racecheck, SyncwarpIsNotForOtherWarps) {
  expect_race(across_warps, 1, 64, 0, "warp writes", "other warp reads", "across_warps");
}

__global__ void chain_of_syncwarps(int* data) {
  const unsigned lane = threadIdx.x;
  // 0 -> 1 -> 2: lane 2 knows of lane 0's write through lane 1.
  if (lane == 0) data[0] = 5;
  if (lane <= 1) __syncwarp(0x3);
  if (lane >= 1 && lane <= 2) __syncwarp(0x6);
  if (lane == 2) data[0] = 6;
}

TEST_F(Racecheck, OrderGoesThroughAThirdLane) {
  expect_no_race(chain_of_syncwarps, 1, 3, 0);
}

__global__ void atomics_together(int* data) {
  atomicAdd(&data[0], 1);
  atomicMax(&data[1], static_cast<int>(threadIdx.x));
  atomicCAS(&data[2], 0, 1);
}

TEST_F(Racecheck, AtomicsDoNotRaceWithAtomics) {
  expect_no_race(atomics_together, 4, 64, 0);
}

__global__ void atomic_and_plain(int* data) {
  if (threadIdx.x == 0) atomicAdd(&data[0], 1);  // [add]
  if (threadIdx.x == 40) data[1] = data[0];      // [plain read]
}

TEST_F(Racecheck, AtomicsRaceWithPlainReads) {
  expect_race(atomic_and_plain, 1, 64, 0, "add", "plain read", "atomic_and_plain");
}

__global__ void neighbouring_blocks(int* data) {
  data[blockIdx.x] = 1;  // [mark block]
  __syncthreads();
  data[1000 + blockIdx.x] = data[(blockIdx.x + 1) % gridDim.x];
}

TEST_F(Racecheck, ABarrierDoesNotReachOtherBlocks) {
  expect_race(neighbouring_blocks, 8, 32, 0, "mark block", "mark block", "neighbouring_blocks");
}

__global__ void read_after_a_barrier_and_elsewhere(int* data) {
  if (blockIdx.x == 0) {
    if (threadIdx.x == 0) data[0] = 1;  // [write of block 0]
    __syncthreads();
    if (threadIdx.x == 1) data[1] = data[0];
  } else if (threadIdx.x == 0) {
    data[2] = data[0];  // [read of block 1]
  }
}

TEST_F(Racecheck, AReadInOrderDoesNotHideTheWriteFromOtherBlocks) {
  expect_race(read_after_a_barrier_and_elsewhere, 2, 2, 0, "write of block 0", "read of block 1",
              "read_after_a_barrier_and_elsewhere");
}

__global__ void only_the_first_of_a_block(int* data) {
  if (threadIdx.x == 0) data[blockIdx.x] = 1;
  __syncthreads();
  data[1000 + blockIdx.x * 32 + threadIdx.x] = data[blockIdx.x];
}

TEST_F(Racecheck, EachBlockItsOwnData) {
  expect_no_race(only_the_first_of_a_block, 8, 32, 0);
}

__global__ void bytes_side_by_side(int* data) {
  auto* bytes = reinterpret_cast<unsigned char*>(data);
  auto* halves = reinterpret_cast<unsigned short*>(data + 1000);
  bytes[threadIdx.x] = 1;
  halves[threadIdx.x] = static_cast<unsigned short>(threadIdx.x);
}

TEST_F(Racecheck, NeighboursInOneWordDoNotRace) {
  expect_no_race(bytes_side_by_side, 1, 64, 0);
}

__global__ void word_over_bytes(int* data) {
  auto* bytes = reinterpret_cast<unsigned char*>(data);
  if (threadIdx.x == 0) bytes[6] = 1;  // [byte]
  if (threadIdx.x == 32) data[1] = 1;  // [word]
}

TEST_F(Racecheck, AByteInsideAWord) {
  expect_race(word_over_bytes, 1, 64, 0, "byte", "word", "word_over_bytes");
}

TEST_F(Racecheck, KernelsOfAStreamAreInOrder) {
  const DeviceArray<int> data(std::vector<int>(2048, 0));
  simt::launch(only_the_first_of_a_block, 8, 32, 0, nullptr, data.data());
  simt::launch(only_the_first_of_a_block, 8, 32, 0, nullptr, data.data());
  EXPECT_EQ(error_of_device(), "");
}

__global__ void barrier_in_a_branch(int* data) {
  if (threadIdx.x < 16) {
    __syncthreads();  // [branch]
  }
  data[threadIdx.x] = 1;
}

TEST_F(Synccheck, ABarrierInABranch) {
  const DeviceArray<int> data(32);
  simt::launch(barrier_in_a_branch, 1, 32, 0, nullptr, data.data());
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("divergent barrier"),
                                       HasSubstr("at the barrier " + line_marked(__FILE__, "branch")),
                                       HasSubstr("in kernel (anonymous namespace)::barrier_in_a_branch")));
}

}  // namespace
