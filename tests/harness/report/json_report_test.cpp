// The JSON form: its fields.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/error.h"
#include "reference/numbers.h"
#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using Json = nlohmann::json;

TEST(JsonReport, HasTheFieldsOfTheDesign) {
  const Json json = json_of({{"forgecheck", "verify", "--json", "x"}, {full_result()}});
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

TEST(JsonReport, TapsStandInOrderWithTheirErrors) {
  const Json taps = json_of({{}, {full_result()}}).at("results").at(0).at("taps");
  EXPECT_EQ(taps, Json::parse(R"([
      {"name": "norm", "verdict": "match", "error": 1e-7, "tolerance": 1e-6, "used": 0.1},
      {"name": "layers.0.mlp", "verdict": "mismatch", "error": "inf", "tolerance": 2e-7, "used": "inf",
       "message": "is nan", "local": 0.5, "inherited": 3e-8}])"));
}

TEST(JsonReport, TheFirstDivergenceIsGivenInFull) {
  const Json first = json_of({{}, {full_result()}}).at("results").at(0).at("first_divergence");
  EXPECT_EQ(first.at("tap"), "layers.0.mlp");
  EXPECT_EQ(first.at("after"), "layers.0.mlp_norm");
  EXPECT_EQ(first.at("between"), Json({"layers.0.mlp.gate_proj", "layers.0.mlp.hidden"}));
  EXPECT_EQ(first.at("operation"), Json::parse(R"json({"formula": "down(silu(gate(x)) * up(x))",
      "source": "reference/ops/mlp.cpp", "upstream": "kempnerforge/model/mlp.py"
})json"));
  EXPECT_EQ(first.at("worst"), Json({{"index", {0, 3, 5}}, {"candidate", 1.0 / 3}, {"oracle", -0.1}}));
  EXPECT_EQ(first.at("hint"), "a constant factor of 1.41");
  EXPECT_EQ(first.at("note"), "a run of this case takes long: not every known mistake was tried");
  EXPECT_EQ(first.at("histogram"), Json::parse(R"({"edges": [0.0, 0.01, 0.1, 1.0, 10.0, 100.0],
      "counts": [1, 20, 400, 30, 2, 0, 1]})"));
  EXPECT_EQ(first.at("map").at("rows"), 2);
  EXPECT_EQ(first.at("map").at("columns"), 3);
  EXPECT_EQ(first.at("map").at("cell_height"), 4);
  EXPECT_EQ(first.at("map").at("cell_width"), 16);
  EXPECT_EQ(first.at("map").at("shares"), Json({0.0, 0.1, 1.0 / 3, 1e300, "inf", 5e-324}));
}

TEST(JsonReport, ValuesWithoutANumberAreTexts) {
  const Json result = json_of({{}, {full_result()}}).at("results").at(0);
  EXPECT_EQ(result.at("used"), "inf");
  EXPECT_EQ(result.at("first_divergence").at("local_error"), "inf");
  EXPECT_EQ(result.at("first_divergence").at("inherited_error"), "-inf");
  EXPECT_EQ(result.at("first_divergence").at("tolerance"), "nan");
}

TEST(JsonReport, TheWorstElementMayBeNoNumberAndIsReadBack) {
  Result result = full_result();
  result.judgement.first_divergence->worst = {{1}, std::numeric_limits<double>::quiet_NaN(), -kInfinity};
  const std::string text = written(write_json_report, {{}, {result}});
  EXPECT_EQ(Json::parse(text).at("results").at(0).at("first_divergence").at("worst"),
            Json({{"index", {1}}, {"candidate", "nan"}, {"oracle", "-inf"}}));
  const Report report = read_back(text);
  EXPECT_TRUE(std::isnan(report.results.at(0).judgement.first_divergence->worst->candidate));
  EXPECT_EQ(report.results.at(0).judgement.first_divergence->worst->oracle, -kInfinity);
}

TEST(JsonReport, APartOfAnErrorIsLeftOutOnlyWhereItIsNothing) {
  Result result = full_result();
  result.judgement.taps = {{"made", Verdict::mismatch, 0.5, 0.1, 5, "", 0.5, 0.0},
                           {"inherited", Verdict::mismatch, 0.5, 0.1, 5, "", 0.0, 0.5}};
  const Json taps = json_of({{}, {result}}).at("results").at(0).at("taps");
  EXPECT_EQ(taps.at(0).at("local"), 0.5);
  EXPECT_FALSE(taps.at(0).contains("inherited"));
  EXPECT_FALSE(taps.at(1).contains("local"));
  EXPECT_EQ(taps.at(1).at("inherited"), 0.5);
}

TEST(JsonReport, NotesAreAListOfTexts) {
  const Json json = json_of({{}, {noted_result({"one", "two"})}}).at("results").at(0);
  EXPECT_EQ(json.at("notes"), Json({"one", "two"}));
  EXPECT_EQ(json.at("verdict"), "match");
}

TEST(JsonReport, UndecidedChoicesAreGivenInFull) {
  const Json undecided = json_of({{}, {full_result()}}).at("results").at(0).at("undecided");
  EXPECT_EQ(undecided, Json::parse(R"([{"tap": "layers.0.mlp.router.indices", "token": 4, "candidate": [0, 3],
                                        "oracle": [0, 2], "margin": 1e-9, "bound": 1e-7}])"));
}

TEST(JsonReport, WhatThereIsNotIsNullEmptyOrLeftOut) {
  Result result = result_with(Verdict::match);
  result.file.clear();
  const Json json = json_of({{}, {result}}).at("results").at(0);
  for (const std::string key : {"file", "dtype", "producer", "notes"})
    EXPECT_FALSE(json.contains(key)) << key;
  EXPECT_TRUE(json.at("first_divergence").is_null());
  EXPECT_EQ(json.at("undecided"), Json::array());
  EXPECT_EQ(json.at("taps"), Json::array());
  EXPECT_EQ(json.at("message"), "");
  result.judgement.first_divergence.emplace();
  EXPECT_EQ(json_of({{}, {result}}).at("results").at(0).at("first_divergence").size(), 4U);
}

TEST(JsonReport, TheSummaryCountsEachVerdict) {
  const Json json = json_of({{},
                             {result_with(Verdict::match), result_with(Verdict::mismatch),
                              result_with(Verdict::match), result_with(Verdict::crashed)}});
  EXPECT_EQ(json.at("summary"), Json::parse(R"({"match": 2, "mismatch": 1, "crashed": 1})"));
  EXPECT_EQ(json_of({}).at("summary"), Json::object());
}

TEST(JsonReport, OneThatCannotBeWrittenIsAFormatErrorAndLeavesNothing) {
  const TemporaryDirectory directory;
  try {
    write_json_report(directory.path() / "gone" / "report.json", {});
    ADD_FAILURE() << "written";
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr("gone/report.json"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(JsonReport, AMessageThatIsNoUtf8IsWrittenAllTheSame) {
  Report report;
  report.results.emplace_back().judgement.message = "crashed: \xff";
  EXPECT_EQ(json_of(report).at("results").at(0).at("message"), "crashed: \xEF\xBF\xBD");
}

}  // namespace
}  // namespace forgecheck
