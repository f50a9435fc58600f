#include "harness/fuzz/calibration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace forgecheck {
namespace {

std::string written(const Calibration& calibration) {
  std::ostringstream text;
  write_calibration(text, calibration);
  return text.str();
}

/// A float32 value that is off by a thousandth is caught wherever it is.
TEST(Calibrate, RightImplementationsPassAndSmallErrorsAreCaught) {
  CalibrationOptions options;
  options.runs = 6;
  options.samples = 1;
  std::string done;
  const Calibration calibration = calibrate(options, [&](const std::string& text) { done = text; });
  EXPECT_EQ(done, "[6/6] random models");
  EXPECT_EQ(calibration.comparisons, 6 * 8);
  EXPECT_THAT(calibration.failures, testing::IsEmpty());
  ASSERT_TRUE(calibration.sensitivity.contains({Dtype::f32, "logits"}));
  for (const auto& [key, samples] : calibration.sensitivity) {
    for (const double smallest : samples) {
      EXPECT_GT(smallest, 0x1p-24) << key.second;
      EXPECT_LT(smallest, key.first == Dtype::f32 ? 1e-3 : 1.0) << key.second;
    }
  }
  EXPECT_EQ(written(calibration), written(calibrate(options, [](const std::string&) {})));
}

TEST(WriteCalibration, NamesEveryFailure) {
  Calibration calibration;
  calibration.comparisons = 8;
  calibration.failures = {"cpu:openblas on dense[dim=2]: logits is 1"};
  const std::string text = written(calibration);
  EXPECT_THAT(text, testing::HasSubstr("1 failed"));
  EXPECT_THAT(text, testing::HasSubstr("- failed: cpu:openblas on dense[dim=2]: logits is 1"));
}

}  // namespace
}  // namespace forgecheck
