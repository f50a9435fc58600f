// The command that lists a case's taps.
#include <nlohmann/json.hpp>

#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string kCaseOfCliTaps = "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61]";

using Taps = ProgramTest;

TEST_F(Taps, ListsACaseWithoutRunningIt) {
  const Outcome outcome = run({"taps", kCaseOfCliTaps});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("token_embedding "));
  EXPECT_THAT(outcome.out, HasSubstr("[2, 8, 32]"));
  EXPECT_THAT(outcome.out, HasSubstr("logits of the vocabulary\n"));
  // Two thousand layers take no longer.
  const Outcome large = run({"taps", "dense[dim=32,n_layers=2000,n_heads=4,vocab_size=61]"});
  EXPECT_THAT(large.out, HasSubstr("layers.1999.mlp "));
}

TEST_F(Taps, ListsWhatAFileRecorded) {
  const Outcome outcome = run({"taps", golden_path("reference/moma/text_first_names.safetensors")});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("layers.0.mlp.experts.text.router.indices "));
}

TEST_F(Taps, WritesJsonToAFileOrToTheOutput) {
  const Outcome both = run({"taps", kCaseOfCliTaps, "--json", "taps.json"});
  EXPECT_EQ(both.status, 0) << both.err;
  EXPECT_THAT(both.out, StartsWith("token_embedding "));
  const Outcome only = run({"taps", kCaseOfCliTaps, "--json", "-"});
  EXPECT_EQ(only.out, file_text(at("taps.json")));
  EXPECT_EQ(nlohmann::json::parse(only.out)["case"], kCaseOfCliTaps + "/batch=2,text_len=8/seed=0");
}

TEST_F(Taps, PrintsThePageOfAllArchitectures) {
  EXPECT_EQ(run({"taps", "--markdown"}).out, file_text(FORGECHECK_SOURCE_DIR "/docs/taps.md"));
}

TEST_F(Taps, RefusesWhatItCannotList) {
  expect_refused({"taps"}, {"CASE"});
  expect_refused({"taps", kCaseOfCliTaps, "--markdown"}, {"--markdown", "no CASE"});
  expect_refused({"taps", "--markdown", "--json", "-"}, {"--markdown", "no --json"});
  expect_refused({"taps", "foo[dim=4]"}, {"foo"});
  expect_refused({"taps", "nothing.safetensors"}, {"nothing.safetensors"});
  expect_refused({"taps", kCaseOfCliTaps, "--json", "none/taps.json"}, {"--json", "none"});
}

}  // namespace
}  // namespace forgecheck
