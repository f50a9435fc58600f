// What `calibrate` measures on random models: the shares that right implementations use, and the smallest
// change that is caught.
#include "harness/fuzz/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "harness/backend/backend.h"
#include "harness/fuzz/random_case.h"
#include "harness/tap/tap_kind.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

const std::string kModelOfCalibration =
    "dim=16,n_layers=1,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=";

void ignore(const std::string&) {}

Calibration calibrated(std::uint64_t seed, std::int64_t runs, std::int64_t samples = 0) {
  return calibrate({.runs = runs, .seed = seed, .samples = samples, .traces = {}}, ignore);
}

std::string text_of(const Calibration& calibration) {
  std::ostringstream text;
  write_calibration(text, calibration);
  return text.str();
}

TEST(Calibrate, RightImplementationsPass) {
  std::string done;
  const auto note = [&](const std::string& text) { done = text; };
  const Calibration calibration = calibrate({.runs = 6, .seed = 0, .samples = 0, .traces = {}}, note);
  EXPECT_EQ(done, "[6/6] random models");
  EXPECT_EQ(calibration.comparisons, 6 * 8);
  EXPECT_THAT(calibration.failures, testing::IsEmpty());
  EXPECT_EQ(text_of(calibration), text_of(calibrated(0, 6)));
}

TEST(Calibrate, NothingIsChangedWithoutSamples) {
  EXPECT_THAT(calibrated(34, 1).sensitivity, testing::IsEmpty());
}

/// Of each type and kind of tap: how many there were, and the largest share.
using Shares = std::map<std::pair<Dtype, std::string>, std::pair<std::int64_t, double>>;

Shares shares_of(const Calibration& calibration) {
  Shares shares;
  for (const auto& [key, usage] : calibration.usage) shares[key] = {usage.taps, usage.largest};
  return shares;
}

TEST(Calibrate, TheSharesAreThoseOfFourImplementationsInTwoTypesOnEveryModel) {
  constexpr std::uint64_t kSeed = 4;
  Shares expected;
  for (const std::uint64_t seed : {kSeed, kSeed + 1}) {
    for (const Dtype type : {Dtype::f32, Dtype::bf16}) {
      Case definition = random_case(seed);
      definition.dtype = type;
      const Problem problem = seeded_problem(definition);
      for (const std::string name : {"reference", "cpu:permuted", "cpu:openblas", "cpu:onednn"}) {
        const Trace trace = make_backend(name)->run(problem, {});
        for (const TapResult& tap : judge(problem, trace, type, name == "reference").taps) {
          auto& [taps, largest] = expected[{type, tap_family(tap.name, definition.architecture)}];
          ++taps;
          largest = std::max(largest, tap.used);
        }
      }
    }
  }
  EXPECT_EQ(shares_of(calibrated(kSeed, 2)), expected);
}

TEST(Calibrate, TheLargestShareNamesItsImplementationItsTapAndItsCase) {
  for (const auto& [key, usage] : calibrated(4, 1).usage) {
    if (usage.largest == 0) {
      EXPECT_EQ(usage.worst, "");
      continue;
    }
    const std::size_t of = usage.worst.find(" of "), on = usage.worst.find(" on ");
    ASSERT_NE(on, std::string::npos) << usage.worst;
    const std::string tap = usage.worst.substr(0, of);
    const auto backend = make_backend(usage.worst.substr(of + 4, on - of - 4));
    const Case definition = parse_case_text(usage.worst.substr(on + 4));
    EXPECT_EQ(definition.dtype, key.first) << usage.worst;
    EXPECT_EQ(tap_family(tap, definition.architecture), key.second);
    const Problem problem = seeded_problem(definition);
    const Judgement judgement =
        judge(problem, backend->run(problem, {}), key.first, backend->is_plain_reference());
    const auto found = std::ranges::find(judgement.taps, tap, &TapResult::name);
    ASSERT_NE(found, judgement.taps.end());
    EXPECT_EQ(found->used, usage.largest) << usage.worst;
  }
}

/// One sample of every kind of tap with a tolerance, unless its row is zero. A float32 value that is off by a
/// thousandth is caught wherever it is.
TEST(Calibrate, SmallErrorsAreCaught) {
  const Calibration calibration = calibrated(34, 1, 1);
  for (const auto& [key, usage] : calibration.usage) {
    const bool counted = key.second.ends_with("indices") || key.second.ends_with("expert_counts");
    const bool zero = key.second == "aux_loss" || key.second == "z_loss";
    const auto samples = calibration.sensitivity.find(key);
    ASSERT_EQ(samples == calibration.sensitivity.end(), counted) << key.second;
    if (counted) continue;
    ASSERT_EQ(samples->second.size(), zero ? 0U : 1U) << key.second;
    if (zero) continue;
    EXPECT_GT(samples->second[0], 0x1p-24) << key.second;
    EXPECT_LT(samples->second[0], key.first == Dtype::f32 ? 1e-3 : 1.0) << key.second;
  }
}

// ---- the smallest change that is caught ----

/// Whether the judge finds the tap wrong with element `at` moved by `relative` times its row's size.
bool is_caught(const Problem& problem, const Trace& trace, const std::string& name, std::int64_t at,
               double relative) {
  Tensor<double> values = trace.at(name).to<double>();
  values[at] += relative * root_mean_square(values.row(at / values.width()));
  const Array changed = Array::from(values).cast(trace.at(name).dtype());
  const Judgement judgement =
      judge(problem, with_tap(trace, name, changed), problem.definition.dtype, false, Detail::verdicts);
  return std::ranges::find(judgement.taps, name, &TapResult::name)->verdict == Verdict::mismatch;
}

TEST(SmallestCaught, IsTheFirstStepThatIsCaughtInBothDirectionsAtTheTapItself) {
  int one_sided = 0;
  for (const std::string type : {"", "/bfloat16"}) {
    const Problem problem =
        small_problem("dense[" + kModelOfCalibration + "24]/batch=1,text_len=3/seed=3" + type);
    const Dtype dtype = problem.definition.dtype;
    const Trace trace = run_permuted(problem, dtype);
    const std::string name = "layers.0.attention.v_proj";
    for (const std::int64_t at : {0, 5, 17, 30, 47}) {
      const double smallest = smallest_caught(problem, trace, name, at, dtype);
      ASSERT_TRUE(std::isfinite(smallest));
      EXPECT_TRUE(is_caught(problem, trace, name, at, smallest));
      EXPECT_TRUE(is_caught(problem, trace, name, at, -smallest));
      const double before = smallest / std::sqrt(2.0);
      const int caught =
          is_caught(problem, trace, name, at, before) + is_caught(problem, trace, name, at, -before);
      EXPECT_LT(caught, 2) << at;
      one_sided += caught;
    }
  }
  EXPECT_GT(one_sided, 0) << "no element tells one direction from both";
}

/// One hidden unit: a change of it that its own roundings cover moves every output by as much, and the
/// outputs are rounded once.
TEST(SmallestCaught, AChangeThatShowsAtALaterTapOnlyIsNotCaught) {
  const Problem problem =
      small_problem("dense[" + kModelOfCalibration + "1]/batch=1,text_len=3/seed=3/bfloat16");
  const Trace trace = run_permuted(problem, Dtype::bf16);
  const std::string name = "layers.0.mlp.hidden";
  const double smallest = smallest_caught(problem, trace, name, 0, Dtype::bf16);
  Tensor<double> values = trace.at(name).to<double>();
  values[0] += smallest / std::sqrt(2.0) * std::abs(values[0]);
  const Trace changed = with_tap(trace, name, Array::from(values).cast(Dtype::bf16));
  const Judgement judgement = judge(problem, changed, Dtype::bf16, false, Detail::verdicts);
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  EXPECT_EQ(judgement.first_divergence->tap, "layers.0.mlp");
}

TEST(SmallestCaught, IsInfiniteInARowThatIsZero) {
  const Problem problem =
      small_problem("dense[" + kModelOfCalibration + "1,activation=relu]/batch=2,text_len=9/seed=3");
  const Trace trace = run_permuted(problem, Dtype::f32);
  const std::string name = "layers.0.mlp.hidden";
  const Tensor<double> values = trace.at(name).to<double>();  // (2, 9, 1)
  const auto zero = std::ranges::find(values.data, 0.0);
  ASSERT_NE(zero, values.data.end());
  EXPECT_EQ(smallest_caught(problem, trace, name, zero - values.data.begin(), Dtype::f32), HUGE_VAL);
}

}  // namespace
}  // namespace forgecheck
