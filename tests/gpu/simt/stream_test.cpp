// Streams and events: work runs late, in any order that the program allows.
#include <set>

#include "tests/gpu/simt/simt_test.h"

namespace {

using namespace simt_test;

struct Streams : Simt {
  Streams() {
    cudaStreamCreate(&a);
    cudaStreamCreate(&b);
    cudaEventCreate(&event);
  }
  ~Streams() override {
    cudaDeviceReset();
    cudaEventDestroy(event);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
  }
  cudaStream_t a = nullptr;
  cudaStream_t b = nullptr;
  cudaEvent_t event = nullptr;
};

__global__ void append(int* log, int value) {
  log[1 + log[0]++] = value;
}

__global__ void increment(int* value) {
  ++*value;
}

/// The values that `run` appends, under many seeds.
template <class Run>
std::set<std::vector<int>> orders(int count, Run run) {
  std::set<std::vector<int>> all;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<int> log({0, -1, -1, -1, -1});
    cudaDeviceSynchronize();
    run(log.data());
    cudaDeviceSynchronize();
    const std::vector<int> values = log.values();
    all.emplace(values.begin() + 1, values.begin() + 1 + count);
  }
  return all;
}

using Orders = std::set<std::vector<int>>;

TEST_F(Streams, AStreamKeepsItsOrder) {
  EXPECT_EQ(orders(3,
                   [&](int* log) {
                     for (const int value : {1, 2, 3}) {
                       simt::launch(append, 1, 1, 0, a, log, value);
                     }
                   }),
            (Orders{{1, 2, 3}}));
}

TEST_F(Streams, TwoStreamsHaveEveryOrder) {
  EXPECT_EQ(orders(3,
                   [&](int* log) {
                     simt::launch(append, 1, 1, 0, a, log, 1);
                     simt::launch(append, 1, 1, 0, a, log, 2);
                     simt::launch(append, 1, 1, 0, b, log, 3);
                   }),
            (Orders{{1, 2, 3}, {1, 3, 2}, {3, 1, 2}}));
}

TEST_F(Streams, AnEventHoldsAStreamUp) {
  EXPECT_EQ(orders(3,
                   [&](int* log) {
                     simt::launch(append, 1, 1, 0, a, log, 1);
                     cudaEventRecord(event, a);
                     simt::launch(append, 1, 1, 0, a, log, 2);
                     cudaStreamWaitEvent(b, event);
                     simt::launch(append, 1, 1, 0, b, log, 3);
                   }),
            (Orders{{1, 2, 3}, {1, 3, 2}}));
}

TEST_F(Streams, AWaitIsForTheRecordingBeforeIt) {
  EXPECT_EQ(orders(2,
                   [&](int* log) {
                     cudaEventRecord(event, a);
                     cudaStreamWaitEvent(b, event);
                     simt::launch(append, 1, 1, 0, a, log, 1);
                     cudaEventRecord(event, a);
                     simt::launch(append, 1, 1, 0, b, log, 2);
                   }),
            (Orders{{1, 2}, {2, 1}}));
}

TEST_F(Streams, TheDefaultStreamWaitsForOthersAndHoldsThemUp) {
  EXPECT_EQ(orders(3,
                   [&](int* log) {
                     simt::launch(append, 1, 1, 0, a, log, 1);
                     simt::launch(append, 1, 1, 0, nullptr, log, 2);
                     simt::launch(append, 1, 1, 0, b, log, 3);
                   }),
            (Orders{{1, 2, 3}}));
}

TEST_F(Streams, ANonBlockingStreamDoesNotKnowTheDefaultStream) {
  cudaStream_t free_stream = nullptr;
  cudaStreamCreateWithFlags(&free_stream, cudaStreamNonBlocking);
  EXPECT_EQ(orders(2,
                   [&](int* log) {
                     simt::launch(append, 1, 1, 0, nullptr, log, 1);
                     simt::launch(append, 1, 1, 0, free_stream, log, 2);
                   }),
            (Orders{{1, 2}, {2, 1}}));
  cudaStreamDestroy(free_stream);
}

TEST_F(Streams, TheDefaultStreamDoesNotKnowANonBlockingStream) {
  cudaStream_t free_stream = nullptr;
  cudaStreamCreateWithFlags(&free_stream, cudaStreamNonBlocking);
  EXPECT_EQ(orders(2,
                   [&](int* log) {
                     simt::launch(append, 1, 1, 0, free_stream, log, 1);
                     simt::launch(append, 1, 1, 0, nullptr, log, 2);
                   }),
            (Orders{{1, 2}, {2, 1}}));
  cudaStreamDestroy(free_stream);
}

// Waiting for one stream may or may not let the other's work run: whoever relies on it is found by the seed.
TEST_F(Streams, WaitingForAStreamIsNotWaitingForTheOthers) {
  int* pinned = nullptr;
  cudaMallocHost(&pinned, 2 * sizeof(int));
  int unfinished = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    simt::set_seed(seed);
    const DeviceArray<int> ones({1, 1});
    cudaDeviceSynchronize();
    pinned[0] = pinned[1] = 0;
    cudaMemcpyAsync(pinned, ones.data(), sizeof(int), cudaMemcpyDeviceToHost, a);
    cudaMemcpyAsync(pinned + 1, ones.data() + 1, sizeof(int), cudaMemcpyDeviceToHost, b);
    cudaStreamSynchronize(a);
    EXPECT_EQ(pinned[0], 1);
    unfinished += pinned[1] == 0;
    cudaStreamSynchronize(b);
    EXPECT_EQ(pinned[1], 1);
  }
  EXPECT_GT(unfinished, 0);
  EXPECT_LT(unfinished, 20);
  cudaFreeHost(pinned);
}

TEST_F(Streams, NothingRunsBeforeSomebodyWaits) {
  const DeviceArray<int> value({0});
  cudaDeviceSynchronize();
  int* pinned = nullptr;
  cudaMallocHost(&pinned, sizeof(int));
  *pinned = -7;
  simt::launch(increment, 1, 1, 0, a, value.data());
  cudaMemcpyAsync(pinned, value.data(), sizeof(int), cudaMemcpyDeviceToHost, a);
  EXPECT_EQ(*pinned, -7);
  cudaStreamSynchronize(a);
  EXPECT_EQ(*pinned, 1);
  cudaFreeHost(pinned);
}

TEST_F(Streams, PageableMemoryIsReadAtTheCallAndPinnedMemoryLate) {
  const DeviceArray<int> to(2);
  int pageable = 1;
  int* pinned = nullptr;
  cudaMallocHost(&pinned, sizeof(int));
  *pinned = 1;
  cudaMemcpyAsync(to.data(), &pageable, sizeof(int), cudaMemcpyHostToDevice, a);
  cudaMemcpyAsync(to.data() + 1, pinned, sizeof(int), cudaMemcpyHostToDevice, a);
  pageable = 2;
  *pinned = 2;
  cudaStreamSynchronize(a);
  EXPECT_EQ(to.values(), (std::vector<int>{1, 2}));
  cudaFreeHost(pinned);
}

TEST_F(Streams, ACopyToPageableMemoryIsWaitedFor) {
  const DeviceArray<int> value({5});
  int pageable = 0;
  cudaMemcpyAsync(&pageable, value.data(), sizeof(int), cudaMemcpyDeviceToHost, a);
  EXPECT_EQ(pageable, 5);
}

TEST_F(Streams, PinnedMemoryFreedBeforeItsCopyIsAFinding) {
  const DeviceArray<int> to(1);
  int* pinned = nullptr;
  cudaMallocHost(&pinned, sizeof(int));
  cudaMemcpyAsync(to.data(), pinned, sizeof(int), cudaMemcpyHostToDevice, a);
  cudaFreeHost(pinned);
  EXPECT_THAT(error_of_device(),
              HasSubstr("use after free: pinned host memory was freed before the copy from it had run"));
}

TEST_F(Streams, MemoryIsFreedInTheOrderOfTheStream) {
  int* memory = nullptr;
  EXPECT_EQ(cudaMallocAsync(&memory, sizeof(int), a), cudaSuccess);
  cudaMemsetAsync(memory, 0, sizeof(int), a);
  simt::launch(increment, 1, 1, 0, a, memory);
  EXPECT_EQ(cudaFreeAsync(memory, a), cudaSuccess);
  EXPECT_EQ(simt::allocations().size(), 1U);
  EXPECT_EQ(cudaStreamSynchronize(a), cudaSuccess);
  EXPECT_TRUE(simt::allocations().empty());
}

TEST_F(Streams, AMissingWaitBeforeAFreeIsFoundByTheSeed) {
  int found = 0;
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    simt::set_seed(seed);
    int* memory = nullptr;
    cudaMallocAsync(&memory, sizeof(int), a);
    cudaMemsetAsync(memory, 0, sizeof(int), b);  // b does not wait for anything
    cudaFreeAsync(memory, a);
    found += error_of_device().find("use after free") != std::string::npos;
    clean();
  }
  EXPECT_GT(found, 0);
  EXPECT_LT(found, 20);
}

TEST_F(Streams, QueriesComeToAnEnd) {
  const DeviceArray<int> value({0});
  cudaDeviceSynchronize();
  int not_ready = 0;
  for (int i = 0; i < 100; ++i) {
    simt::launch(increment, 1, 1, 0, a, value.data());
    cudaEventRecord(event, a);
    while (cudaEventQuery(event) == cudaErrorNotReady) {
      ++not_ready;
    }
    EXPECT_EQ(cudaStreamQuery(a), cudaSuccess);
  }
  EXPECT_GT(not_ready, 0);
  simt::launch(increment, 1, 1, 0, a, value.data());
  while (cudaStreamQuery(a) == cudaErrorNotReady) {
  }
  EXPECT_EQ(value.values()[0], 101);
}

TEST_F(Streams, EventsMeasureTime) {
  const DeviceArray<int> value({0});
  cudaEvent_t start = nullptr;
  cudaEventCreate(&start);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, event), cudaErrorInvalidResourceHandle);
  cudaEventRecord(start, a);
  simt::launch(increment, 1, 1, 0, a, value.data());
  cudaEventRecord(event, a);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, event), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(event), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, event), cudaSuccess);
  EXPECT_GE(milliseconds, 0.0F);
  cudaEventDestroy(start);
}

TEST_F(Streams, ADestroyedStreamStillRunsItsWork) {
  const DeviceArray<int> value({0});
  cudaStream_t stream = nullptr;
  cudaStreamCreate(&stream);
  simt::launch(increment, 1, 1, 0, stream, value.data());
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
  EXPECT_EQ(value.values()[0], 1);
  EXPECT_EQ(cudaEventRecord(nullptr, a), cudaErrorInvalidResourceHandle);
}

}  // namespace
