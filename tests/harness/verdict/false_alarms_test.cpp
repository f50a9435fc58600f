// Traces of KempnerForge's own code, on a CPU and on an H100, that an earlier judge called wrong.
#include <gtest/gtest.h>

#include "harness/backend/reference_run.h"
#include "harness/golden/golden_file.h"
#include "harness/golden/store.h"
#include "harness/verdict/judge.h"

namespace forgecheck {
namespace {

const std::filesystem::path kFolder =
    std::filesystem::path(FORGECHECK_SOURCE_DIR) / "tests/data/false_alarms";

std::vector<std::string> false_alarms() {
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

INSTANTIATE_TEST_SUITE_P(Recorded, FalseAlarm, testing::ValuesIn(false_alarms()), [](const auto& entry) {
  std::string name = entry.param;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

// A decode does not show its choices. Sampled runs are right implementations by their definition, and these took
// no part in any spread: several taps of one may need an excuse, some of them more runs than others.
TEST(FalseAlarms, ASampledRunOfADecodeIsNone) {
  for (const std::string name : {"cpu/moe_decode_702384", "cpu/moe_decode_703977"}) {
    Golden golden = read_golden(kFolder / (name + ".safetensors"), name);
    load_weights(golden);
    for (std::uint64_t seed = 1000; seed < 1030; ++seed) {
      Tracer tracer;
      run_sampled(golden.problem, Dtype::bf16, seed, tracer);
      const Judgement judgement = judge(golden.problem, tracer.trace(), Dtype::bf16, false, Detail::verdicts);
      EXPECT_TRUE(is_success(judgement.verdict)) << name << " " << seed << " " << judgement.message;
    }
  }
}

TEST(FalseAlarms, AreSixtyTwo) {
  EXPECT_EQ(false_alarms().size(), 62U);
}

}  // namespace
}  // namespace forgecheck
