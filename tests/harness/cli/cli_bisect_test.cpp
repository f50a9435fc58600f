// The command that finds the module to blame.
#include <nlohmann/json.hpp>

#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using nlohmann::json;
using testing::HasSubstr;

using BisectCommand = ProgramTest;

const std::string kCase = "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=4]/text_len=5/seed=7";

TEST_F(BisectCommand, ARightBackendTakesOneStep) {
  const Outcome outcome = run({"bisect", kCase, "--backend", "cpu:openblas", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(" on cpu:openblas\noutputs, choices and state (5 taps): all right\n"));
  const json found = json::parse(file_text(at("r.json")));
  ASSERT_EQ(found["results"].size(), 1U);
  EXPECT_EQ(found["results"][0]["verdict"], "match");
  EXPECT_EQ(found["results"][0]["candidate"], "cpu:openblas");
  EXPECT_EQ(found["results"][0]["repeat"], "forgecheck bisect '" + kCase + "' --backend cpu:openblas");
}

TEST_F(BisectCommand, TakesAGoldenFile) {
  const Outcome outcome =
      run({"bisect", golden_path("kempnerforge/dense/mha.safetensors"), "--backend", "reference"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("all right"));
}

TEST_F(BisectCommand, ABackendThatRefusesTheCaseIsAFailure) {
  const Outcome outcome =
      run({"bisect", golden_path("kempnerforge/gradients/dense.safetensors"), "--backend", "reference"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("gradients are not supported yet"));
}

TEST_F(BisectCommand, BadUsageIsRefused) {
  expect_refused({"bisect", kCase}, {"--backend"});
  expect_refused({"bisect", "--backend", "reference"}, {"CASE"});
  expect_refused({"bisect", kCase, "--backend", "nothing"}, {"backend \"nothing\""});
  expect_refused({"bisect", "dense[dim=3]", "--backend", "reference"}, {"dim"});
  expect_refused({"bisect", kCase, "--backend", "reference", "--json", "missing/r.json"},
                 {"--json", "missing"});
}

}  // namespace
}  // namespace forgecheck
