// The report in its two forms, and the exit status that it means.
#include "harness/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using Json = nlohmann::json;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Result result_with(Verdict verdict) {
  Result result;
  result.case_line = "dense/batch=2,text_len=8/seed=0";
  result.file = "kempnerforge/dense/mha.safetensors";
  result.candidate = "cpu:openblas";
  result.judgement.verdict = verdict;
  result.repeat = "forgecheck verify --filter kempnerforge/dense/mha";
  result.seconds = 0.25;
  return result;
}

/// A mismatch with everything that a report can say.
Result full_result() {
  Result result = result_with(Verdict::mismatch);
  Judgement& judgement = result.judgement;
  judgement.used = kInfinity;
  judgement.message = "layers.0.mlp is nan";
  judgement.taps = {{"norm", Verdict::match, 1e-7, 1e-6, 0.1, ""},
                    {"layers.0.mlp", Verdict::mismatch, kInfinity, 2e-7, kInfinity, "is nan"}};
  judgement.undecided = {{"layers.0.mlp.router.indices", 4, {0, 3}, {0, 2}, 1e-9, 1e-7}};
  FirstDivergence& first = judgement.first_divergence.emplace();
  first.tap = "layers.0.mlp";
  first.local_error = kInfinity;
  first.inherited_error = -kInfinity;
  first.tolerance = std::nan("");
  return result;
}

class JsonReport : public testing::Test {
 protected:
  Json written(const Report& report) const {
    const std::filesystem::path path = directory_.path() / "report.json";
    write_json_report(path, report);
    std::ifstream file(path);
    return Json::parse(file);
  }
  TemporaryDirectory directory_;
};

TEST_F(JsonReport, HasTheFieldsOfTheDesign) {
  const Json json = written({{"forgecheck", "verify", "--json", "x"}, {full_result()}});
  EXPECT_EQ(json.at("schema"), 1);
  EXPECT_EQ(json.at("tool").at("name"), "forgecheck");
  EXPECT_FALSE(json.at("tool").at("version").get<std::string>().empty());
  EXPECT_EQ(json.at("command"), Json({"forgecheck", "verify", "--json", "x"}));
  ASSERT_EQ(json.at("results").size(), 1U);
  const Json& result = json.at("results").at(0);
  EXPECT_EQ(result.at("case"), "dense/batch=2,text_len=8/seed=0");
  EXPECT_EQ(result.at("file"), "kempnerforge/dense/mha.safetensors");
  EXPECT_EQ(result.at("candidate"), "cpu:openblas");
  EXPECT_EQ(result.at("oracle"), "reference:f64");
  EXPECT_EQ(result.at("verdict"), "mismatch");
  EXPECT_EQ(result.at("message"), "layers.0.mlp is nan");
  EXPECT_EQ(result.at("repeat"), "forgecheck verify --filter kempnerforge/dense/mha");
  EXPECT_EQ(result.at("seconds"), 0.25);
}

TEST_F(JsonReport, TapsStandInOrderWithTheirErrors) {
  const Json taps = written({{}, {full_result()}}).at("results").at(0).at("taps");
  ASSERT_EQ(taps.size(), 2U);
  EXPECT_EQ(taps.at(0).at("name"), "norm");
  EXPECT_EQ(taps.at(0).at("verdict"), "match");
  EXPECT_EQ(taps.at(0).at("error"), 1e-7);
  EXPECT_EQ(taps.at(0).at("tolerance"), 1e-6);
  EXPECT_EQ(taps.at(0).at("used"), 0.1);
  EXPECT_EQ(taps.at(1).at("name"), "layers.0.mlp");
  EXPECT_EQ(taps.at(1).at("message"), "is nan");
}

TEST_F(JsonReport, ValuesWithoutANumberAreTexts) {
  const Json result = written({{}, {full_result()}}).at("results").at(0);
  EXPECT_EQ(result.at("used"), "inf");
  EXPECT_EQ(result.at("taps").at(1).at("error"), "inf");
  EXPECT_EQ(result.at("first_divergence").at("local_error"), "inf");
  EXPECT_EQ(result.at("first_divergence").at("inherited_error"), "-inf");
  EXPECT_EQ(result.at("first_divergence").at("tolerance"), "nan");
}

TEST_F(JsonReport, UndecidedChoicesAreGivenInFull) {
  const Json undecided = written({{}, {full_result()}}).at("results").at(0).at("undecided");
  EXPECT_EQ(undecided, Json::parse(R"([{"tap": "layers.0.mlp.router.indices", "token": 4, "candidate": [0, 3],
                                        "oracle": [0, 2], "margin": 1e-9, "bound": 1e-7}])"));
}

TEST_F(JsonReport, WhatThereIsNotIsNullEmptyOrLeftOut) {
  Result result = result_with(Verdict::match);
  result.file.clear();
  const Json json = written({{}, {result}}).at("results").at(0);
  EXPECT_FALSE(json.contains("file"));
  EXPECT_TRUE(json.at("first_divergence").is_null());
  EXPECT_EQ(json.at("undecided"), Json::array());
  EXPECT_EQ(json.at("taps"), Json::array());
  EXPECT_EQ(json.at("message"), "");
}

TEST_F(JsonReport, TheSummaryCountsEachVerdict) {
  const Json json = written({{},
                             {result_with(Verdict::match), result_with(Verdict::mismatch),
                              result_with(Verdict::match), result_with(Verdict::crashed)}});
  EXPECT_EQ(json.at("summary"), Json::parse(R"({"match": 2, "mismatch": 1, "crashed": 1})"));
  EXPECT_EQ(written({}).at("summary"), Json::object());
}

TEST_F(JsonReport, AReportThatCannotBeWrittenIsAFormatErrorAndLeavesNothing) {
  try {
    write_json_report(directory_.path() / "gone" / "report.json", {});
    ADD_FAILURE() << "written";
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr("gone/report.json"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory_.path()));
}

// ---- what it means ----

TEST(CountVerdicts, AreInTheOrderOfTheEnumerationWithoutZeros) {
  const std::vector<Result> results = {result_with(Verdict::crashed), result_with(Verdict::match),
                                       result_with(Verdict::crashed), result_with(Verdict::undecided)};
  EXPECT_THAT(count_verdicts(results), ElementsAre(Pair(Verdict::match, 1U), Pair(Verdict::undecided, 1U),
                                                   Pair(Verdict::crashed, 2U)));
  EXPECT_TRUE(count_verdicts({}).empty());
}

TEST(ExitStatus, IsZeroOnlyWhereEveryResultIsASuccess) {
  for (const Verdict verdict : {Verdict::match, Verdict::undecided, Verdict::unsupported}) {
    EXPECT_EQ(exit_status({{}, {result_with(verdict)}}), 0) << to_string(verdict);
  }
  for (const Verdict verdict : {Verdict::mismatch, Verdict::untrusted, Verdict::rejected, Verdict::crashed}) {
    EXPECT_EQ(exit_status({{}, {result_with(verdict)}}), 1) << to_string(verdict);
    EXPECT_EQ(
        exit_status({{}, {result_with(Verdict::match), result_with(verdict), result_with(Verdict::match)}}),
        1)
        << to_string(verdict);
  }
}

TEST(Verdicts, HaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const Verdict verdict : {Verdict::match, Verdict::undecided, Verdict::mismatch, Verdict::untrusted,
                                Verdict::rejected, Verdict::crashed, Verdict::unsupported}) {
    names.insert(to_string(verdict));
  }
  EXPECT_EQ(names.size(), 7U);
  EXPECT_TRUE(names.contains("match"));
}

TEST(PrintFailure, SaysWhatWhereAndHowToRepeat) {
  std::ostringstream out;
  print_failure(out, full_result());
  EXPECT_THAT(out.str(), HasSubstr("mismatch"));
  EXPECT_THAT(out.str(), HasSubstr("kempnerforge/dense/mha"));
  EXPECT_THAT(out.str(), HasSubstr("cpu:openblas"));
  EXPECT_THAT(out.str(), HasSubstr("layers.0.mlp is nan"));
  EXPECT_THAT(out.str(), HasSubstr("forgecheck verify --filter kempnerforge/dense/mha"));
  EXPECT_THAT(out.str(), testing::Not(HasSubstr("norm:")));  // a tap that is right
}

TEST(PrintFailure, ManyBrokenTapsAreCounted) {
  Result result = full_result();
  result.judgement.taps.assign(12, {"tap", Verdict::mismatch, 1.0, 0.1, 10.0, "is wrong"});
  std::ostringstream out;
  print_failure(out, result);
  EXPECT_THAT(out.str(), HasSubstr("and 7 more taps"));
}

TEST(SummaryLine, CountsEachVerdict) {
  EXPECT_THAT(summary_line({{}, {result_with(Verdict::match), result_with(Verdict::crashed)}}),
              testing::AllOf(HasSubstr("1 match"), HasSubstr("1 crashed")));
  EXPECT_EQ(summary_line({}), "nothing was judged");
}

TEST(JsonReportText, AMessageThatIsNoUtf8IsWrittenAllTheSame) {
  TemporaryDirectory directory;
  Report report;
  report.results.emplace_back().judgement.message = "crashed: \xff";
  EXPECT_NO_THROW(write_json_report(directory.path() / "r.json", report));
}

}  // namespace
}  // namespace forgecheck
