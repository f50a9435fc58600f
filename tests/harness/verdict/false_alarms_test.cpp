// Traces of KempnerForge's own code, on a CPU and on an H100, that an earlier judge called wrong.
#include <gtest/gtest.h>

#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/verdict/judge.h"

namespace forgecheck {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(FORGECHECK_SOURCE_DIR) / "tests/data/false_alarms";

std::vector<std::string> recordings() {
  std::vector<std::string> names;
  for (const GoldenEntry& entry : find_goldens(kFolder, "")) names.push_back(entry.name);
  return names;
}

class FalseAlarm : public testing::TestWithParam<std::string> {};

TEST_P(FalseAlarm, IsNoMismatch) {
  Golden golden = read_golden(kFolder / (GetParam() + ".safetensors"), GetParam());
  load_weights(golden);
  const Judgement judgement = judge(golden.problem, golden.expected, golden.type, false);
  // One of them chooses another expert by less than a bfloat16 score is good for.
  const bool tie = GetParam() == "h100/s8_text_h0017";
  EXPECT_EQ(to_string(judgement.verdict), to_string(tie ? Verdict::undecided : Verdict::match))
      << judgement.message;
}

INSTANTIATE_TEST_SUITE_P(Recorded, FalseAlarm, testing::ValuesIn(recordings()), [](const auto& entry) {
  std::string name = entry.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST(FalseAlarms, AreSixtyTwo) {
  EXPECT_EQ(recordings().size(), 62U);
}

}  // namespace
}  // namespace forgecheck
