// Shuffles, votes, __syncwarp and __activemask.
#include <cuda_bf16.h>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Warp : Simt {};

constexpr unsigned all = 0xffffffffU;

enum class Kind { shfl, up, down, exchange };

__global__ void shuffle(Kind kind, int argument, int width, int* out) {
  const int lane = static_cast<int>(threadIdx.x);
  const auto delta = static_cast<unsigned>(argument);
  out[lane] = kind == Kind::shfl   ? __shfl_sync(all, lane, argument, width)
              : kind == Kind::up   ? __shfl_up_sync(all, lane, delta, width)
              : kind == Kind::down ? __shfl_down_sync(all, lane, delta, width)
                                   : __shfl_xor_sync(all, lane, argument, width);
}

/// The table of the CUDA programming guide, one lane at a time.
int expected_lane(Kind kind, int lane, int argument, int width) {
  const int begin = lane / width * width;
  const int last = begin + width - 1;
  switch (kind) {
    case Kind::shfl:
      return begin + (argument % width + width) % width;
    case Kind::up:
      return lane - argument < begin ? lane : lane - argument;
    case Kind::down:
      return lane + argument > last ? lane : lane + argument;
    case Kind::exchange:
      return (lane ^ argument) > last ? lane : lane ^ argument;
  }
  return -1;
}

TEST_F(Warp, ShufflesReadTheLaneThatCudaSays) {
  for (const Kind kind : {Kind::shfl, Kind::up, Kind::down, Kind::exchange}) {
    for (const int width : {1, 2, 4, 8, 16, 32}) {
      for (const int argument : {0, 1, 2, 3, 5, 8, 16, 17, 31}) {
        const DeviceArray<int> out(32);
        simt::launch(shuffle, 1, 32, 0, nullptr, kind, argument, width, out.data());
        const std::vector<int> values = out.values();
        for (int lane = 0; lane < 32; ++lane) {
          EXPECT_EQ(values[static_cast<std::size_t>(lane)], expected_lane(kind, lane, argument, width))
              << static_cast<int>(kind) << " width " << width << " argument " << argument << " lane " << lane;
        }
      }
    }
  }
}

__global__ void shuffle_types(double* sums) {
  const unsigned lane = threadIdx.x;
  double sum = static_cast<double>(__shfl_sync(all, 0.5F + static_cast<float>(lane), 3));
  sum += __shfl_sync(all, 0.25 * lane, 4);
  sum += static_cast<double>(__shfl_sync(all, 1ULL << 40 << lane, 2));
  sum +=
      static_cast<double>(static_cast<float>(__shfl_sync(all, __nv_bfloat16(static_cast<float>(lane)), 7)));
  sums[lane] = sum;
}

TEST_F(Warp, ShufflesCarryEveryType) {
  const DeviceArray<double> sums(32);
  simt::launch(shuffle_types, 1, 32, 0, nullptr, sums.data());
  EXPECT_EQ(sums.values(), std::vector<double>(32, 3.5 + 1.0 + 4398046511104.0 + 7.0));
}

__global__ void sum_of_warps(const float* in, float* out) {
  float value = in[threadIdx.x];
  for (int offset = 16; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(all, value, offset);
  }
  out[threadIdx.x] = value;
}

TEST_F(Warp, AReductionDoesNotDependOnTheSeed) {
  std::vector<float> in(96);
  for (std::size_t i = 0; i < in.size(); ++i) {
    in[i] = 1.0F / static_cast<float>(i + 1);
  }
  std::vector<std::vector<float>> results;
  for (std::uint64_t seed = 0; seed < 16; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<float> input(in);
    const DeviceArray<float> out(96);
    simt::launch(sum_of_warps, 1, 96, 0, nullptr, input.data(), out.data());
    results.push_back(out.values());
    EXPECT_EQ(results.back(), results.front());
  }
  EXPECT_EQ(results[0][0], results[0][31]);
  EXPECT_NE(results[0][31], results[0][32]);
}

__global__ void vote(unsigned* out) {
  const bool odd = threadIdx.x % 2 == 1;
  const unsigned ballot = __ballot_sync(all, odd);
  const int any = __any_sync(all, threadIdx.x == 5);
  const int every = __all_sync(all, threadIdx.x < 32);
  const int not_every = __all_sync(all, threadIdx.x < 31);
  const int none = __any_sync(all, threadIdx.x > 31);
  out[threadIdx.x] = any && every && !not_every && !none ? ballot : 0;
}

TEST_F(Warp, VotesCountTheLanes) {
  const DeviceArray<unsigned> out(32);
  simt::launch(vote, 1, 32, 0, nullptr, out.data());
  EXPECT_EQ(out.values(), std::vector<unsigned>(32, 0xaaaaaaaaU));
}

__global__ void halves(int* out) {
  const unsigned lane = threadIdx.x;
  const unsigned mask = lane < 16 ? 0x0000ffffU : 0xffff0000U;
  if (lane < 16) {
    out[lane] = __shfl_sync(mask, static_cast<int>(lane), 3);
  } else {
    out[lane] = __shfl_sync(mask, static_cast<int>(lane), 19);
  }
}

TEST_F(Warp, PartsOfAWarpGoTheirOwnWays) {
  const DeviceArray<int> out(32);
  simt::launch(halves, 1, 32, 0, nullptr, out.data());
  std::vector<int> expected(32, 3);
  std::fill(expected.begin() + 16, expected.end(), 19);
  EXPECT_EQ(out.values(), expected);
}

__global__ void active(unsigned* out) {
  if (threadIdx.x < 5) {
    out[threadIdx.x] = __activemask();
  } else {
    out[threadIdx.x] = __activemask();
  }
}

TEST_F(Warp, ActiveMaskNamesTheLanesOfTheSameBranch) {
  const DeviceArray<unsigned> out(8);
  simt::launch(active, 1, 8, 0, nullptr, out.data());
  EXPECT_EQ(out.values(), (std::vector<unsigned>{0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0xe0, 0xe0, 0xe0}));
}

__global__ void half_of_the_lanes_end(unsigned* out) {
  if (threadIdx.x >= 16) {
    return;
  }
  out[threadIdx.x] = __ballot_sync(all, 1);
}

TEST_F(Warp, LanesThatEndAreNoLongerWaitedFor) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<unsigned> out(16);
    simt::launch(half_of_the_lanes_end, 1, 32, 0, nullptr, out.data());
    EXPECT_EQ(out.values(), std::vector<unsigned>(16, 0xffffU));
  }
}

__global__ void exchange_through_memory(int* data) {
  const unsigned lane = threadIdx.x;
  const int mine = data[lane] * 10;
  __syncwarp();
  data[lane ^ 1] = mine;
}

TEST_F(Warp, SyncwarpHoldsTheLanesTogether) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<int> data({1, 2, 3, 4});
    simt::launch(exchange_through_memory, 1, 4, 0, nullptr, data.data());
    EXPECT_EQ(data.values(), (std::vector<int>{20, 10, 40, 30}));
  }
}

constexpr int line_of_inactive = __LINE__ + 3;
__global__ void read_inactive(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_sync(0x0000ffffU, 1, 16);
  }
}

TEST_F(Warp, ReadingAnInactiveLaneIsAnError) {
  const DeviceArray<int> out(16);
  simt::launch(read_inactive, 1, 32, 0, nullptr, out.data());
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("inactive lane: the shuffle at " + line_of(__FILE__, line_of_inactive) +
                              " reads lane 16, which does not take part (mask 0xffff)"),
                    HasSubstr("in kernel (anonymous namespace)::read_inactive")));
}

__global__ void read_past_the_block(int* out) {
  out[threadIdx.x] = __shfl_down_sync(all, static_cast<int>(threadIdx.x), 1);
}

TEST_F(Warp, ALanePastTheBlockIsInactive) {
  const DeviceArray<int> out(20);
  simt::launch(read_past_the_block, 1, 20, 0, nullptr, out.data());
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("reads lane 20"), HasSubstr("by thread (19,0,0)")));
}

__global__ void leave_own_lane_out(int* out) {
  out[threadIdx.x] = __shfl_sync(0x7fffffffU, 1, 0);
}

TEST_F(Warp, TheMaskMustNameTheCaller) {
  const DeviceArray<int> out(32);
  simt::launch(leave_own_lane_out, 1, 32, 0, nullptr, out.data());
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("wrong warp mask"), HasSubstr("does not name lane 31"),
                                       HasSubstr("by thread (31,0,0)")));
}

constexpr int line_of_branch = __LINE__ + 3;
__global__ void full_mask_in_branch(int* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = __shfl_xor_sync(all, static_cast<int>(threadIdx.x), 1);
  }
  __syncthreads();
}

TEST_F(Warp, AMaskThatNamesLanesThatDoNotComeIsAnError) {
  const DeviceArray<int> out(32);
  simt::launch(full_mask_in_branch, 1, 32, 0, nullptr, out.data());
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("16 threads (the first is (0,0,0)) waiting in __shfl_xor_sync at " +
                              line_of(__FILE__, line_of_branch) + " with mask 0xffffffff"),
                    HasSubstr("16 threads (the first is (16,0,0)) waiting at the barrier")));
}

__global__ void masks_that_differ(int* out) {
  const unsigned mask = threadIdx.x == 0 ? 0x3U : 0x7U;
  out[threadIdx.x] = __shfl_sync(mask, 1, 0);
}

TEST_F(Warp, LanesThatNameDifferentMasksWaitForEver) {
  const DeviceArray<int> out(3);
  simt::launch(masks_that_differ, 1, 3, 0, nullptr, out.data());
  EXPECT_THAT(error_of_device(), AllOf(HasSubstr("wrong warp mask: no thread can go on"),
                                       HasSubstr("with mask 0x3"), HasSubstr("with mask 0x7")));
}

__global__ void vote_or_shuffle(int* out) {
  out[threadIdx.x] = threadIdx.x == 0 ? static_cast<int>(__ballot_sync(0x3U, 1)) : __shfl_sync(0x3U, 1, 0);
}

TEST_F(Warp, AVoteDoesNotMeetAShuffle) {
  const DeviceArray<int> out(2);
  simt::launch(vote_or_shuffle, 1, 2, 0, nullptr, out.data());
  EXPECT_THAT(error_of_device(),
              AllOf(HasSubstr("wrong warp mask: no thread can go on"), HasSubstr("waiting in a vote at "),
                    HasSubstr("waiting in __shfl_sync at ")));
}

__global__ void read_a_lane_that_is_not_named(int* out) {
  if (threadIdx.x < 2) {
    out[threadIdx.x] = __shfl_sync(0x3U, 1, 2);
  } else {
    out[threadIdx.x] = __shfl_sync(0xcU, 1, 2);
  }
}

// It waits in a collective of its own, or has not come yet; in no order is it read.
TEST_F(Warp, ALaneThatTheMaskDoesNotNameIsNotRead) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    clean();
    simt::set_seed(seed);
    const DeviceArray<int> out(4);
    simt::launch(read_a_lane_that_is_not_named, 1, 4, 0, nullptr, out.data());
    EXPECT_THAT(error_of_device(), HasSubstr("reads lane 2, which does not take part (mask 0x3)"));
  }
}

__global__ void odd_width(int* out) {
  out[threadIdx.x] = __shfl_sync(all, 1, 0, 12);
}

TEST_F(Warp, AWidthThatIsNoPowerOfTwoIsAnError) {
  const DeviceArray<int> out(32);
  simt::launch(odd_width, 1, 32, 0, nullptr, out.data());
  EXPECT_THAT(error_of_device(), HasSubstr("width 12"));
}

}  // namespace
