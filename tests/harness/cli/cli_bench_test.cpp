// forgecheck bench: rows, ratios, and what it writes.
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>

#include "harness/backend/gpu_backend.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const std::string kBenchCase = "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61]/batch=2,text_len=4";

using Bench = ProgramTest;

TEST_F(Bench, EveryBackendHasARowAndTheRivalARatio) {
  const Outcome outcome = run({"bench", kBenchCase, "--backend", "reference", "--backend", "cpu:openblas",
                               "--against", "cpu:onednn", "--rounds", "2", "--runs", "1"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("8 tokens a run"));
  EXPECT_THAT(outcome.out, ContainsRegex("  reference +[0-9.]+ .*[0-9.]+ x cpu:onednn\n"));
  EXPECT_THAT(outcome.out, ContainsRegex("  cpu:openblas +[0-9.]+ .*[0-9.]+ x cpu:onednn\n"));
  EXPECT_THAT(outcome.out, ContainsRegex("  cpu:onednn +[0-9.]+ +[^x\n]*\n"));
  EXPECT_THAT(outcome.out, ContainsRegex("  judging a trace +[0-9.]+ "));
}

TEST_F(Bench, CasesOfTheSuiteGoByTheirNames) {
  const Outcome outcome =
      run({"bench", "tiny", "--backend", "reference", "--rounds", "1", "--runs", "1", "--no-judging"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("tiny: "), HasSubstr("18 tokens a run"), Not(HasSubstr("judging"))));
}

TEST_F(Bench, AProgramThatFailsIsARowWithItsReason) {
  const Outcome outcome = run({"bench", kBenchCase, "--backend", "reference", "--against",
                               "exec:echo no >&2; exit 3", "--rounds", "1", "--runs", "1", "--no-judging"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("exec:echo no"), HasSubstr("exit"), Not(HasSubstr(" x exec"))));
}

TEST_F(Bench, LongCommandsAreToldApartByTheirEnds) {
  const std::string command = "exec:echo " + std::string(70, 'a') + " >&2; exit 3; ";
  const Outcome failed = run({"bench", kBenchCase, "--backend", command + "--one", "--backend",
                              command + "--two", "--rounds", "1", "--runs", "1", "--no-judging"});
  EXPECT_THAT(failed.out, ContainsRegex("\n  \\.\\.\\.a+ >&2; exit 3; --one "));
  EXPECT_THAT(failed.out, ContainsRegex("\n  \\.\\.\\.a+ >&2; exit 3; --two "));
  const std::string worker = "exec:" + program() + " worker ";
  const Outcome outcome =
      run({"bench", kBenchCase, "--backend", "reference", "--against", worker + "--backend reference",
           "--against", worker + "--backend cpu:openblas", "--rounds", "1", "--runs", "1", "--no-judging"});
  EXPECT_THAT(
      outcome.out,
      ContainsRegex("  reference .* x [^\n]*--backend reference  .* x [^\n]*--backend cpu:openblas\n"));
}

TEST_F(Bench, WritesItsMeasurements) {
  const std::string path = at("bench.json").string();
  const Outcome outcome =
      run({"bench", kBenchCase, "--backend", "cpu:openblas", "--rounds", "2", "--runs", "3", "--json", path});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto report = nlohmann::json::parse(std::ifstream(path));
  EXPECT_EQ(report.at("schema"), 1);
  const auto& measured = report.at("cases").at(0);
  EXPECT_EQ(measured.at("tokens"), 8);
  EXPECT_EQ(measured.at("definition"), kBenchCase);
  EXPECT_GT(measured.at("judged_per_second"), 0);
  const auto& row = measured.at("backends").at(0);
  EXPECT_EQ(row.at("backend"), "cpu:openblas");
  EXPECT_EQ(row.at("runs"), 6);
  EXPECT_EQ(row.at("with_loading"), false);
  EXPECT_LE(row.at("seconds").at("lower_quartile"), row.at("seconds").at("median"));
  EXPECT_LE(row.at("seconds").at("median"), row.at("seconds").at("upper_quartile"));
  EXPECT_NEAR(row.at("tokens_per_second"), 8 / row.at("seconds").at("median").get<double>(), 1e-6);
  EXPECT_GT(row.at("peak_bytes"), 1 << 20);
}

TEST_F(Bench, ADevicesRunIsShownByKernel) {
  if (!simt_unavailable().empty()) GTEST_SKIP() << simt_unavailable();
  const std::string path = at("bench.json").string();
  const Outcome outcome = run({"bench", kBenchCase, "--backend", "gpu:simt", "--backend", "reference",
                               "--rounds", "1", "--runs", "1", "--no-judging", "--json", path});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              ContainsRegex("\n  gpu:simt by kernel, one run\n +[a-zA-Z_]+ +[0-9.]+ ms +[0-9.]+ % +"
                            "[0-9]+ launches\n"));
  EXPECT_THAT(outcome.out, ContainsRegex("\n    cublasGemmEx +[0-9.]+ ms +[0-9.]+ % +8 launches\n"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("reference by kernel")));
  const std::regex share("([0-9.]+) %");
  double shares = 0;
  for (std::sregex_iterator i(outcome.out.begin(), outcome.out.end(), share), end; i != end; ++i) {
    shares += std::stod((*i)[1]);
  }
  EXPECT_NEAR(shares, 100, 1);
  const auto report = nlohmann::json::parse(std::ifstream(path));
  const auto& backends = report.at("cases").at(0).at("backends");
  double last = std::numeric_limits<double>::infinity();
  std::int64_t products = 0;
  for (const auto& kernel : backends.at(0).at("kernels")) {
    const double milliseconds = kernel.at("milliseconds");
    EXPECT_LE(milliseconds, last);
    last = milliseconds;
    if (kernel.at("name") == "cublasGemmEx") products = kernel.at("launches");
  }
  EXPECT_EQ(products, 8);
  EXPECT_FALSE(backends.at(1).contains("kernels"));
}

TEST_F(Bench, BadInputIsRefused) {
  expect_refused({"bench", "tinny"}, {"tinny"});
  expect_refused({"bench", "tiny", "--rounds", "0"}, {"--rounds"});
  expect_refused({"bench", "tiny", "--runs", "0"}, {"--runs"});
  expect_refused({"bench", "tiny", "--backend", "cpu:nothing"}, {"cpu:nothing"});
  expect_refused({"bench", "tiny", "--json", "/no/such/folder/b.json"}, {"--json", "/no/such/folder"});
}

}  // namespace
}  // namespace forgecheck
