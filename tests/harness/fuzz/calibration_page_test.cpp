// Recordings of other implementations in the calibration, and the page that it writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "harness/fuzz/calibration.h"
#include "harness/golden/golden_file.h"
#include "tests/harness/io/temporary_directory.h"
#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

std::string written(const Calibration& calibration) {
  std::ostringstream text;
  write_calibration(text, calibration);
  return text.str();
}

// ---- recordings ----

const std::string kModel =
    "dense[dim=16,n_layers=1,n_heads=2,vocab_size=31,max_seq_len=32]/batch=1,text_len=3";

/// A folder "others" of recordings that "kempnerforge" made.
class Recorded : public testing::Test {
 protected:
  void record(const std::string& name, const Problem& problem, const Trace& trace) const {
    const std::filesystem::path path = folder() / (name + ".safetensors");
    std::filesystem::create_directories(path.parent_path());
    const nlohmann::json producer = {{"backend", "kempnerforge"}, {"version", "1"}};
    write_golden(path, problem, trace, {"kempnerforge", "1", producer});
  }

  Calibration calibrated() {
    CalibrationOptions options;
    options.runs = 0;
    options.traces = {folder() / ""};
    return calibrate(options, [this](const std::string& text) { progress_.push_back(text); });
  }

  std::filesystem::path folder() const { return directory_.path() / "others"; }

  const TemporaryDirectory directory_;
  std::vector<std::string> progress_;
};

/// The trace with every logit moved by a share of itself.
Trace off_by(const Trace& trace, double share) {
  Tensor<double> logits = trace.at("logits").to<double>();
  for (double& value : logits.data) value *= 1 + share;
  return with_tap(trace, "logits", Array::from(logits).cast(trace.at("logits").dtype()));
}

TEST_F(Recorded, AreCountedByVerdictWithTheLargestShareAndItsRecording) {
  std::vector<double> used;
  for (const std::string seed : {"1", "2", "3"}) {
    const Problem problem = small_problem(kModel + "/seed=" + seed);
    const Trace trace = run_permuted(problem, Dtype::f32);
    record("right/" + seed, problem, trace);
    used.push_back(judge(problem, trace, Dtype::f32, false).used);
  }
  const Calibration calibration = calibrated();
  ASSERT_EQ(calibration.recordings.size(), 1U);
  const auto& [source, recordings] = *calibration.recordings.begin();
  EXPECT_EQ(source, "others: kempnerforge, float32");
  EXPECT_THAT(recordings.verdicts, ElementsAre(Pair(Verdict::match, 3)));
  const auto largest = std::ranges::max_element(used);
  EXPECT_GT(*largest, 0);
  EXPECT_EQ(recordings.largest, *largest);
  EXPECT_EQ(recordings.worst, "right/" + std::to_string(largest - used.begin() + 1));
  EXPECT_THAT(calibration.failures, ElementsAre());
  EXPECT_THAT(progress_, ElementsAre(HasSubstr("others/right/1.safetensors"), HasSubstr("right/2"),
                                     HasSubstr("right/3")));
}

TEST_F(Recorded, AMismatchIsAFailureWithItsFileAndItsMessage) {
  const Problem problem = small_problem(kModel);
  record("a", problem, off_by(run_permuted(problem, Dtype::f32), 0.01));
  const Calibration calibration = calibrated();
  EXPECT_THAT(calibration.recordings.begin()->second.verdicts, ElementsAre(Pair(Verdict::mismatch, 1)));
  EXPECT_THAT(calibration.failures, ElementsAre(HasSubstr("others/a.safetensors: logits is ")));
}

TEST_F(Recorded, AVacuousTraceIsNoFailure) {
  const Problem problem = small_problem(kModel);
  record("a", problem, with_tap(run_permuted(problem, Dtype::f32), "logits", nullptr));
  const Calibration calibration = calibrated();
  EXPECT_THAT(calibration.recordings.begin()->second.verdicts, ElementsAre(Pair(Verdict::untrusted, 1)));
  EXPECT_THAT(calibration.failures, ElementsAre());
}

/// A float32 case that was computed in float64, and is off by what float32 would lose.
TEST_F(Recorded, AreJudgedInTheTypeThatTheyWereComputedIn) {
  const Problem problem = small_problem(kModel);
  const Trace trace = run_permuted(problem, Dtype::f64);
  record("right", problem, trace);
  record("wrong", problem, off_by(trace, 1e-8));
  const Calibration calibration = calibrated();
  ASSERT_EQ(calibration.recordings.size(), 1U);
  EXPECT_EQ(calibration.recordings.begin()->first, "others: kempnerforge, float64");
  EXPECT_THAT(calibration.recordings.begin()->second.verdicts,
              ElementsAre(Pair(Verdict::match, 1), Pair(Verdict::mismatch, 1)));
  EXPECT_THAT(calibration.failures, ElementsAre(HasSubstr("wrong.safetensors")));
}

TEST_F(Recorded, GradientsAreLeftOut) {
  CalibrationOptions options;
  options.runs = 0;
  options.traces = {FORGECHECK_SOURCE_DIR "/golden/kempnerforge/gradients"};
  EXPECT_THAT(calibrate(options, [](const std::string&) {}).recordings, testing::IsEmpty());
}

// ---- the page ----

TEST(WriteCalibration, NamesEveryFailure) {
  Calibration calibration;
  calibration.comparisons = 8;
  calibration.failures = {"cpu:openblas on dense[dim=2]: logits is 1"};
  const std::string text = written(calibration);
  EXPECT_THAT(text, HasSubstr("1 failed"));
  EXPECT_THAT(text, HasSubstr("- failed: cpu:openblas on dense[dim=2]: logits is 1"));
}

TEST(WriteCalibration, IsThePage) {
  Calibration calibration;
  calibration.options = {.runs = 3, .seed = 5, .samples = 4, .traces = {}};
  calibration.comparisons = 24;
  calibration.undecided = {{Dtype::bf16, 2}};
  calibration.usage = {
      {{Dtype::f32, "logits"}, {9, 0.25, "logits of reference on A"}},
      {{Dtype::f32, "tokens"}, {1, 0, ""}},
      {{Dtype::bf16, "mlp"}, {6, 0.5, "layers.0.mlp of cpu:onednn on B"}},
  };
  calibration.sensitivity = {
      {{Dtype::f32, "logits"}, {8e-6, 2e-6, 4e-6, 3e-6}},
      {{Dtype::bf16, "mlp"}, {}},
  };
  calibration.recordings = {
      {"others: kempnerforge, float32",
       {{{Verdict::match, 7}, {Verdict::undecided, 1}, {Verdict::untrusted, 3}}, 0.9, "mot/a"}}};
  const std::string explained =
      ". Used: the largest share of its tolerance that a right implementation used. Caught: the smallest\n"
      "change of one value, relative to the root mean square of its row, that is a mismatch at that tap:\n"
      "median and largest of the samples; none of what must be equal, and where nothing was sampled.\n\n"
      "| tap | taps | used | caught, median | caught, largest | samples |\n"
      "|---|---|---|---|---|---|\n";
  EXPECT_EQ(
      written(calibration),
      "# Calibration of the tolerances\n\n"
      "Written by `forgecheck calibrate --runs 3 --seed 5 --samples 4`; docs/tolerances.md says what it "
      "means.\n\n"
      "24 comparisons of right implementations (reference, cpu:permuted, cpu:openblas, cpu:onednn) on 3 "
      "random models, in float32 and bfloat16: 0 failed.\n"
      "Undecided in float32: 0.\n"
      "Undecided in bfloat16: 2.\n\n"
      "## float32\n\n"
      "kappa = 4" +
          explained +
          "| logits | 9 | 0.25 | 4e-06 | 8e-06 | 4 |\n"
          "| tokens | 1 | 0 | - | - | 0 |\n\n"
          "## bfloat16\n\n"
          "kappa = 2" +
          explained +
          "| mlp | 6 | 0.5 | - | - | 0 |\n\n"
          "## Recordings of other implementations\n\n"
          "| source | match | undecided | mismatch | untrusted | used | by |\n"
          "|---|---|---|---|---|---|---|\n"
          "| others: kempnerforge, float32 | 7 | 1 | 0 | 3 | 0.9 | mot/a |\n\n"
          "## The largest shares\n\n"
          "- 0.5: bfloat16 layers.0.mlp of cpu:onednn on B\n"
          "- 0.25: float32 logits of reference on A\n");
}

TEST(WriteCalibration, ListsTheTenLargestShares) {
  Calibration calibration;
  for (int i = 1; i <= 12; ++i) {
    const std::string tap = "tap" + std::to_string(i);
    calibration.usage[{Dtype::f32, tap}] = {1, i / 16.0, tap + " of reference on A"};
  }
  const std::string text = written(calibration);
  EXPECT_THAT(text, HasSubstr("largest shares\n\n- 0.75: float32 tap12 of reference on A\n- 0.69: "));
  EXPECT_THAT(text, testing::EndsWith("- 0.19: float32 tap3 of reference on A\n"));
}

}  // namespace
}  // namespace forgecheck
