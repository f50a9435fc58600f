// Runs that must agree to the bit: how often, in which orders, and what is refused. The orders are the
// emulator's, and a device's compiler does not see the kernel.
#ifdef FORGECHECK_SIMT
#include "harness/backend/repeated_runs.h"

#include <cuda_runtime.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "reference/error.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

Trace trace_of(const std::string& name, const Tensor<std::int64_t>& value) {
  Trace trace;
  trace.add(name, Array::from(value));
  return trace;
}

TEST(RepeatedRuns, EachHasAScheduleOfItsOwnFromTheFirstOn) {
  simt::set_seed(7);
  std::vector<std::uint64_t> seeds;
  run_repeatedly(16, [&] {
    seeds.push_back(simt::seed());
    return trace_of("logits", Tensor<std::int64_t>({3}, {1, 2, 3}));
  });
  EXPECT_EQ(seeds.size(), 16U);
  EXPECT_EQ(seeds.front(), 7U);
  EXPECT_EQ(std::set(seeds.begin(), seeds.end()).size(), 16U);
  EXPECT_EQ(simt::seed(), 7U) << "the next case begins with the same schedule";
  simt::set_seed(0);
}

TEST(RepeatedRuns, OneRunIsOneRunAndItsTraceIsReturned) {
  int runs = 0;
  const Trace trace = run_repeatedly(1, [&] {
    ++runs;
    return trace_of("logits", Tensor<std::int64_t>({1}, {runs}));
  });
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(trace.at("logits").to_int64()[0], 1);
}

TEST(RepeatedRuns, TheScheduleIsBackAfterAFailureToo) {
  const auto fail = [runs = 0]() mutable -> Trace {
    if (++runs == 3) throw BackendError("the third");
    return trace_of("logits", Tensor<std::int64_t>({1}));
  };
  EXPECT_THAT([&] { run_repeatedly(4, fail); }, ThrowsMessage<BackendError>("the third"));
  EXPECT_EQ(simt::seed(), 0U);
}

/// A run whose last one has another trace than the ones before.
std::function<Trace()> changed_at_last(const Trace& usual, const Trace& last) {
  return [=, runs = 0]() mutable { return ++runs == 3 ? last : usual; };
}

TEST(RepeatedRuns, AnotherBitShapeTypeOrTapIsRefused) {
  Trace usual = trace_of("norm", Tensor<std::int64_t>({2}, {1, 2}));
  const Tensor<float> zero({2}, {0.0F, 0.0F});
  usual.add("logits", Array::from(zero));
  const auto with = [](const Array& logits) {
    Trace trace = trace_of("norm", Tensor<std::int64_t>({2}, {1, 2}));
    trace.add("logits", logits);
    return trace;
  };
  const std::shared_ptr<const std::byte> eight_bytes(new std::byte[8]{}, std::default_delete<std::byte[]>());
  Trace more = with(Array::from(zero));
  more.add("logits.staged", Array::from(zero));
  EXPECT_EQ(run_repeatedly(3, changed_at_last(usual, with(Array::from(zero)))).entries().size(), 2U);
  for (const auto& [last, tap] : {std::pair(with(Array::from(Tensor<float>({2}, {0.0F, -0.0F}))), "logits"),
                                  {with(Array::from(Tensor<float>({2, 1}))), "logits"},
                                  {with(Array(Dtype::i32, {2}, eight_bytes)), "logits"},
                                  {trace_of("norm", Tensor<std::int64_t>({2}, {1, 2})), "logits"},
                                  {more, "logits.staged"}}) {
    EXPECT_THAT([&] { run_repeatedly(3, changed_at_last(usual, last)); },
                ThrowsMessage<BackendError>(
                    StartsWith(std::string(tap) + " is not the same in run 0 and run 2: it depends")));
  }
}

/// Every thread writes its number to the same place: the last one stays.
__global__ void write_number(std::int64_t* out) {
  *out = static_cast<std::int64_t>(threadIdx.x);
}

/// What a kernel leaves in one number.
Trace run_kernel(void (*kernel)(std::int64_t*)) {
  std::int64_t* device = nullptr;
  Tensor<std::int64_t> value({1});
  EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&device), sizeof(std::int64_t)), cudaSuccess);
  EXPECT_EQ(simt::launch(kernel, 1, 64, 0, nullptr, device), cudaSuccess);
  EXPECT_EQ(cudaMemcpy(value.data.data(), device, sizeof(std::int64_t), cudaMemcpyDeviceToHost), cudaSuccess);
  EXPECT_EQ(cudaFree(device), cudaSuccess);
  return trace_of("logits", value);
}

TEST(RepeatedRuns, AKernelWhoseResultDependsOnTheOrderIsRefused) {
  EXPECT_THAT([] { run_repeatedly(16, [] { return run_kernel(write_number); }); },
              ThrowsMessage<BackendError>(StartsWith("logits is not the same in run 0 and run ")));
}

/// One thread writes: no order shows.
__global__ void write_one(std::int64_t* out) {
  if (threadIdx.x == 5) *out = 41;
}

TEST(RepeatedRuns, AKernelWhoseResultDoesNotDependOnTheOrderIsNot) {
  EXPECT_EQ(run_repeatedly(16, [] { return run_kernel(write_one); }).at("logits").to_int64()[0], 41);
}

}  // namespace
}  // namespace forgecheck
#endif
