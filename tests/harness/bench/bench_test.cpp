// What a measurement is: its turns, its quartiles, its tokens and its memory.
#include "harness/bench/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/backend/gpu_backend.h"
#include "harness/backend/reference_run.h"
#include "harness/backend/timed.h"
#include "harness/bench/peak_memory.h"
#include "harness/bench/suite.h"
#include "harness/case/case.h"
#include "harness/case/seeded.h"
#include "harness/verdict/judge.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;

const std::string kTinyModel = "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61]";

TEST(Bench, QuartilesLieBetweenTheSortedTimes) {
  const Quartiles one = quartiles_of({3});
  EXPECT_EQ(one.lower, 3);
  EXPECT_EQ(one.median, 3);
  EXPECT_EQ(one.upper, 3);
  const Quartiles four = quartiles_of({4, 1, 3, 2});
  EXPECT_EQ(four.lower, 1.75);
  EXPECT_EQ(four.median, 2.5);
  EXPECT_EQ(four.upper, 3.25);
  EXPECT_EQ(quartiles_of({5, 9, 7}).median, 7);
}

TEST(Bench, TokensAreThoseOfAllSequencesOrTheNewOnes) {
  const auto tokens = [](const std::string& run) {
    return tokens_of(seeded_problem(parse_case_text(kTinyModel + run)));
  };
  EXPECT_EQ(tokens("/batch=3,text_len=5"), 15);
  EXPECT_EQ(tokens("/batch=3,text_len=5/decode=4+1"), 15);
  EXPECT_EQ(tokens("/batch=3,text_len=5/generate=7"), 21);
}

TEST(Bench, TheFirstRunDoesNotCount) {
  int calls = 0;
  const std::vector<double> seconds = timed(3, [&] { ++calls; });
  EXPECT_EQ(calls, 4);
  ASSERT_EQ(seconds.size(), 3U);
  for (const double time : seconds) EXPECT_GE(time, 0);
}

/// Says when it is asked, and in which of its calls it fails.
class Recorded : public Backend {
 public:
  Recorded(std::string name, std::string& calls, std::string refused = "", std::string failure = "")
      : name_(std::move(name)), calls_(calls), refused_(std::move(refused)), failure_(std::move(failure)) {}
  std::string name() const override { return name_; }
  std::string refusal(const Case&) const override { return refused_; }
  Dtype precision(const Case& definition) const override { return definition.dtype; }
  Trace run(const Problem&, const TapFilter&) override { return {}; }
  RunTimes time(const Problem&, int runs) override {
    calls_ += name_ + std::to_string(runs) + " ";
    if (!failure_.empty()) throw BackendError(failure_);
    return {std::vector<double>(static_cast<std::size_t>(runs), 1.0),
            name_ == "b",
            {{"attention", runs, static_cast<double>(calls_.size())}}};
  }

 private:
  std::string name_;
  std::string& calls_;
  std::string refused_, failure_;
};

TEST(Bench, BackendsTakeTurnsInAlternatingOrder) {
  const Problem problem = seeded_problem(parse_case_text(kTinyModel + "/text_len=3"));
  std::string calls;
  std::vector<std::unique_ptr<Backend>> backends;
  for (const char* const name : {"a", "b", "c"}) backends.push_back(std::make_unique<Recorded>(name, calls));
  const std::vector<Measurement> rows = measure(problem, backends, 3, 2);
  EXPECT_EQ(calls, "a2 b2 c2 c2 b2 a2 a2 b2 c2 ");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[2].backend, "c");
  EXPECT_EQ(rows[2].times.seconds.size(), 6U);
  ASSERT_EQ(rows[2].times.kernels.size(), 1U) << "those of the last round";
  EXPECT_EQ(rows[2].times.kernels[0].milliseconds, static_cast<double>(calls.size()));
  EXPECT_TRUE(rows[1].times.with_loading);
  EXPECT_FALSE(rows[2].times.with_loading);
  EXPECT_GT(rows[0].peak_bytes, 1 << 20);
}

TEST(Bench, WhoRefusesOrFailsHasNoTimes) {
  const Problem problem = seeded_problem(parse_case_text(kTinyModel + "/text_len=3"));
  std::string calls;
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(std::make_unique<Recorded>("refuses", calls, "too large"));
  backends.push_back(std::make_unique<Recorded>("fails", calls, "", "out of memory"));
  backends.push_back(std::make_unique<Recorded>("exec:right", calls));
  const std::vector<Measurement> rows = measure(problem, backends, 2, 1);
  EXPECT_EQ(calls, "fails1 exec:right1 exec:right1 ") << "and is not asked again";
  EXPECT_EQ(rows[0].refusal, "too large");
  EXPECT_EQ(rows[1].refusal, "out of memory");
  EXPECT_EQ(rows[2].refusal, "");
  EXPECT_EQ(rows[2].peak_bytes, -1) << "a program's memory is not this one's";
}

/// Fails in its second round.
class FailsLater : public Recorded {
 public:
  explicit FailsLater(std::string& calls) : Recorded("later", calls) {}
  RunTimes time(const Problem& problem, int runs) override {
    if (++rounds_ == 2) throw BackendError("out of memory");
    return Recorded::time(problem, runs);
  }

 private:
  int rounds_ = 0;
};

TEST(Bench, WhoFailsLaterHasNoTimesEither) {
  const Problem problem = seeded_problem(parse_case_text(kTinyModel + "/text_len=3"));
  std::string calls;
  std::vector<std::unique_ptr<Backend>> backends;
  backends.push_back(std::make_unique<FailsLater>(calls));
  const std::vector<Measurement> rows = measure(problem, backends, 3, 1);
  EXPECT_EQ(rows[0].refusal, "out of memory");
  EXPECT_THAT(rows[0].times.seconds, testing::IsEmpty());
  EXPECT_THAT(rows[0].times.kernels, testing::IsEmpty());
}

TEST(Bench, TheReferenceIsTimedOnLoadedWeights) {
  const Problem problem = seeded_problem(parse_case_text(kTinyModel + "/text_len=3"));
  for (const char* const name : {"reference", "reference:f64", "cpu:openblas", "cpu:onednn"}) {
    const RunTimes times = make_backend(name)->time(problem, 2);
    EXPECT_EQ(times.seconds.size(), 2U) << name;
    EXPECT_FALSE(times.with_loading) << name;
  }
  EXPECT_THROW(time_reference(problem, Dtype::f64, {.library = linalg::Library::onednn}, 1), BackendError);
  EXPECT_THROW(time_reference(problem, Dtype::f16, kPlain, 1), ConfigError);
}

TEST(Bench, ADeviceIsTimedOnLoadedWeightsAndByKernel) {
  const Problem problem = seeded_problem(parse_case_text(kTinyModel + "/text_len=3"));
  const bool has_emulator = simt_unavailable().empty();
  if (!has_emulator && !cuda_unavailable().empty()) GTEST_SKIP() << cuda_unavailable();
  const auto backend = make_backend(has_emulator ? "gpu:simt" : "gpu:cuda");
  const RunTimes times = backend->time(problem, 2);
  EXPECT_EQ(times.seconds.size(), 2U);
  EXPECT_FALSE(times.with_loading);
  std::map<std::string, std::int64_t> launches;
  for (const gpu::KernelTime& kernel : times.kernels) launches[kernel.name] = kernel.launches;
  // Of one run, whatever was timed before it: q, k, v, o, three of the feed-forward layer, and the output.
  EXPECT_EQ(launches["cublasGemmEx"], 8);
  EXPECT_EQ(launches["attention"], 1);
  EXPECT_THAT(make_backend("reference")->time(problem, 1).kernels, testing::IsEmpty());
}

TEST(Bench, ARightTraceIsJudged) {
  for (const char* const dtype : {"", "/bfloat16"}) {
    const Problem problem = seeded_problem(parse_case_text(kTinyModel + "/text_len=3/seed=5" + dtype));
    const Trace trace = right_trace(problem);
    EXPECT_EQ(judge(problem, trace, problem.definition.dtype, false).verdict, Verdict::match) << dtype;
    Tracer plain;
    run_reference(problem, problem.definition.dtype, kPlain, plain);
    EXPECT_FALSE(std::ranges::equal(trace.at("logits").bytes(), plain.trace().at("logits").bytes())) << dtype;
    EXPECT_EQ(time_judging(problem, trace, 2).size(), 2U);
  }
}

TEST(Bench, MemoryIsThatSinceTheStart) {
  const auto touched = [](std::size_t size) {
    const std::vector<char> block(size, 'x');
    return block[size / 2];
  };
  const std::size_t large = std::size_t{200} << 20;
  EXPECT_EQ(touched(large), 'x');
  const PeakMemory after;
  const std::int64_t before = after.bytes();
  EXPECT_EQ(touched(large), 'x');
  EXPECT_GT(after.bytes(), before + (150 << 20));
  EXPECT_EQ(after.bytes() % 1024, 0) << "the system counts in KiB";
  EXPECT_LT(PeakMemory().bytes(), after.bytes() + (100 << 20));
}

TEST(Bench, TheSuiteHasModelsOfTheSizesInTheirNames) {
  const auto parameters = [](const std::string& name) {
    for (const BenchCase& known : bench_suite()) {
      if (known.name != name) continue;
      double count = 0;
      for (const ParameterInfo& info : all_parameters(parse_case_text(known.definition).architecture)) {
        count += static_cast<double>(element_count(info.shape));
      }
      return count / 1e6;
    }
    return 0.0;
  };
  EXPECT_NEAR(parameters("dense-20m"), 20, 2);
  EXPECT_NEAR(parameters("dense-110m"), 110, 25);
  EXPECT_LT(parameters("tiny"), 0.1);
}

}  // namespace
}  // namespace forgecheck
