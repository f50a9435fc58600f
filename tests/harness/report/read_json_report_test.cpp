// The way back from the JSON form, and the refusal of everything else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "reference/error.h"
#include "reference/numbers.h"
#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using Json = nlohmann::json;

TEST(ReadJsonReport, EveryFieldComesBack) {
  const Report report = read_back(written(write_json_report, {{"forgecheck", "verify"}, {full_result()}}));
  EXPECT_EQ(report.command, (std::vector<std::string>{"forgecheck", "verify"}));
  ASSERT_EQ(report.results.size(), 1U);
  const Result& result = report.results[0];
  const Result expected = full_result();
  EXPECT_EQ(result.case_line, expected.case_line);
  EXPECT_EQ(result.file, expected.file);
  EXPECT_EQ(result.candidate, expected.candidate);
  EXPECT_EQ(result.oracle, expected.oracle);
  EXPECT_EQ(result.repeat, expected.repeat);
  EXPECT_EQ(result.seconds, expected.seconds);
  EXPECT_EQ(result.dtype, expected.dtype);
  EXPECT_EQ(result.producer, expected.producer);
  EXPECT_EQ(result.judgement.verdict, Verdict::mismatch);
  EXPECT_EQ(result.judgement.used, kInfinity);
  EXPECT_EQ(result.judgement.message, expected.judgement.message);
  EXPECT_EQ(result.judgement.notes, expected.judgement.notes);

  ASSERT_EQ(result.judgement.taps.size(), 2U);
  const TapResult& tap = result.judgement.taps[1];
  EXPECT_EQ(tap.name, "layers.0.mlp");
  EXPECT_EQ(tap.verdict, Verdict::mismatch);
  EXPECT_EQ(tap.error, kInfinity);
  EXPECT_EQ(tap.tolerance, 2e-7);
  EXPECT_EQ(tap.used, kInfinity);
  EXPECT_EQ(tap.message, "is nan");
  EXPECT_EQ(tap.local, 0.5);
  EXPECT_EQ(tap.inherited, 3e-8);

  ASSERT_EQ(result.judgement.undecided.size(), 1U);
  const UndecidedChoice& choice = result.judgement.undecided[0];
  EXPECT_EQ(choice.tap, "layers.0.mlp.router.indices");
  EXPECT_EQ(choice.row, 4);
  EXPECT_EQ(choice.candidate, (std::vector<std::int64_t>{0, 3}));
  EXPECT_EQ(choice.oracle, (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(choice.margin, 1e-9);
  EXPECT_EQ(choice.bound, 1e-7);
}

TEST(ReadJsonReport, TheFirstDivergenceComesBack) {
  const Report report = read_back(written(write_json_report, {{}, {full_result()}}));
  const Result result = full_result();
  const FirstDivergence& expected = *result.judgement.first_divergence;
  ASSERT_TRUE(report.results.at(0).judgement.first_divergence.has_value());
  const FirstDivergence& first = *report.results[0].judgement.first_divergence;
  EXPECT_EQ(first.tap, expected.tap);
  EXPECT_EQ(first.after, expected.after);
  EXPECT_EQ(first.between, expected.between);
  EXPECT_EQ(first.local_error, kInfinity);
  EXPECT_EQ(first.inherited_error, -kInfinity);
  EXPECT_TRUE(std::isnan(first.tolerance));
  EXPECT_EQ(first.operation.formula, expected.operation.formula);
  EXPECT_EQ(first.operation.source, expected.operation.source);
  EXPECT_EQ(first.operation.upstream, expected.operation.upstream);
  ASSERT_TRUE(first.worst.has_value());
  EXPECT_EQ(first.worst->index, expected.worst->index);
  EXPECT_EQ(first.worst->candidate, expected.worst->candidate);
  EXPECT_EQ(first.worst->oracle, expected.worst->oracle);
  EXPECT_EQ(first.hint, expected.hint);
  EXPECT_EQ(first.note, expected.note);
  EXPECT_EQ(first.histogram, expected.histogram);
  EXPECT_EQ(first.map.rows, 2);
  EXPECT_EQ(first.map.columns, 3);
  EXPECT_EQ(first.map.cell_height, 4);
  EXPECT_EQ(first.map.cell_width, 16);
  EXPECT_EQ(first.map.shares, expected.map.shares);
}

TEST(ReadJsonReport, WrittenAgainItIsTheSameToTheByte) {
  Report report = {{"forgecheck"}, {full_result()}};
  for (const Verdict verdict : kVerdicts) report.results.push_back(result_with(verdict));
  const std::string text = written(write_json_report, report);
  EXPECT_EQ(written(write_json_report, read_back(text)), text);
  EXPECT_EQ(read_back(written(write_json_report, {})).results.size(), 0U);
}

/// A change of a good document, and parts of the message that refuses it.
struct Refusal {
  std::string pointer;  // of the value to change
  std::string value;    // JSON, or "" to take it away
  std::string message;  // after "<path>: "
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.pointer << " = " << refusal.value;
}

class RefusedReport : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedReport, NamesTheFileAndTheField) {
  Json json = json_of({{"forgecheck"}, {full_result()}});
  const Json::json_pointer pointer(GetParam().pointer);
  if (GetParam().value.empty()) {
    json.at(pointer.parent_pointer()).erase(pointer.back());
  } else {
    json[pointer] = Json::parse(GetParam().value);
  }
  try {
    read_back(json.dump());
    ADD_FAILURE() << "read";
  } catch (const FormatError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/r.json: " + GetParam().message));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Fields, RefusedReport,
    testing::Values(
        Refusal{"/schema", "2", "schema: is 2, of a newer forgecheck; this one reads 1"},
        Refusal{"/schema", "", "schema: is missing"},
        Refusal{"/tool/name", "\"other\"", "tool.name: expected one of forgecheck, got \"other\""},
        Refusal{"/tool/version", "1", "tool.version: expected a text, got 1"},
        Refusal{"/command", "\"x\"", "command: expected a list, got \"x\""},
        Refusal{"/extra", "1", "extra: unknown field, expected one of schema, tool, command"},
        Refusal{"/results", "{}", "results: expected a list, got {}"},
        Refusal{"/results/0", "7", "results[0]: expected an object, got 7"},
        Refusal{"/results/0/verdict", "\"mtch\"", "results[0].verdict: expected one of match, undecided"},
        Refusal{"/results/0/verdict", "", "results[0].verdict: is missing"},
        Refusal{"/results/0/case", "null", "results[0].case: expected a text, got null"},
        Refusal{"/results/0/used", "\"much\"",
                "results[0].used: expected a number, \"inf\", \"-inf\" or \"nan\", got \"much\""},
        Refusal{"/results/0/seconds", "true",
                "results[0].seconds: expected a number, \"inf\", \"-inf\" or \"nan\", got true"},
        Refusal{"/results/0/surprise", "[]", "results[0].surprise: unknown field"},
        Refusal{"/results/0/taps", "", "results[0].taps: is missing"},
        Refusal{"/results/0/taps/1/name", "", "results[0].taps[1].name: is missing"},
        Refusal{"/results/0/taps/1/eror", "1", "results[0].taps[1].eror: unknown field, did you mean error?"},
        Refusal{"/results/0/undecided/0/token", "1.5",
                "results[0].undecided[0].token: expected an integer below 2^63, got 1.5"},
        Refusal{"/results/0/undecided/0/oracle/1", "\"x\"",
                "results[0].undecided[0].oracle[1]: expected an integer below 2^63, got \"x\""},
        Refusal{"/results/0/undecided/0/token", "18446744073709551615",
                "results[0].undecided[0].token: expected an integer below 2^63, got 18446744073709551615"},
        Refusal{"/results/0/first_divergence", "[]",
                "results[0].first_divergence: expected an object, got []"},
        Refusal{"/results/0/first_divergence/between/0", "3",
                "results[0].first_divergence.between[0]: expected a text, got 3"},
        Refusal{"/results/0/first_divergence/operation/formul", "\"\"",
                "results[0].first_divergence.operation.formul: unknown field, did you mean formula?"},
        Refusal{"/results/0/first_divergence/worst/index", "",
                "results[0].first_divergence.worst.index: is missing"},
        Refusal{"/results/0/first_divergence/histogram/edges/1", "0.5",
                "results[0].first_divergence.histogram.edges: expected this version's edges"},
        Refusal{"/results/0/first_divergence/histogram/counts", "[1, 2]",
                "results[0].first_divergence.histogram.counts: expected 7 counts, got [1,2]"},
        Refusal{"/results/0/first_divergence/histogram/counts/0", "-1",
                "results[0].first_divergence.histogram.counts[0]: expected an integer from 0 to 2^63 - 1, "
                "got -1"},
        Refusal{"/results/0/first_divergence/map/rows", "9223372036854775807",
                "results[0].first_divergence.map.shares: expected rows * columns shares"},
        Refusal{"/results/0/first_divergence/map/columns", "2",
                "results[0].first_divergence.map.shares: expected rows * columns shares, got "
                "[0.0,0.1,0.3333333333333333,1e+300,\"inf\",5e-324]"},
        Refusal{"/results/0/first_divergence/map/shares", "[0, 0, 0, 0, 0, 0, 0]",
                "results[0].first_divergence.map.shares: expected rows * columns shares"},
        Refusal{"/results/0/first_divergence/map/columns", "0",
                "results[0].first_divergence.map.columns: expected an integer from 1 to 2^63 - 1, got 0"},
        Refusal{"/summary/mismatch", "2", "summary.mismatch: expected 1 as in the results, got 2"},
        Refusal{"/summary/mismatch", "", "summary.mismatch: is missing"},
        Refusal{"/summary/match", "1", "summary.match: expected 0 as in the results, got 1"},
        Refusal{"/summary/matches", "0", "summary.matches: unknown field, did you mean match?"}));

TEST(ReadJsonReport, AFileThatIsNoReportIsNamed) {
  const TemporaryDirectory directory;
  const std::string whole = written(write_json_report, {{}, {full_result()}});
  for (const std::string& text : {std::string("[1, 2]"), std::string("\"text\""), std::string("null")}) {
    EXPECT_THAT([&] { read_back(text); },
                testing::ThrowsMessage<FormatError>(HasSubstr("/r.json: expected an object, got ")))
        << text;
  }
  for (const std::string& text : {std::string(), std::string("{"), whole.substr(0, whole.size() / 2),
                                  std::string("{\"schema\": \"\xff\"}")}) {
    EXPECT_THAT([&] { read_back(text); }, testing::ThrowsMessage<FormatError>(
                                              HasSubstr("/r.json: is not valid JSON: parse error at line ")))
        << text.size();
  }
  EXPECT_THAT([&] { read_back(std::string(100000, '[')); },
              testing::ThrowsMessage<FormatError>(HasSubstr("/r.json: is nested more than 64 levels deep")));
  EXPECT_THAT([&] { read_json_report(directory.path() / "absent.json"); },
              testing::ThrowsMessage<FormatError>(HasSubstr("absent.json")));
}

TEST(ReadJsonReport, ANumberThatNoDoubleHoldsIsNamedWithItsPath) {
  std::string text = written(write_json_report, {{}, {full_result()}});
  const std::string seconds = "\"seconds\": 0.25";
  ASSERT_NE(text.find(seconds), std::string::npos) << text;
  text.replace(text.find(seconds), seconds.size(), "\"seconds\": 1e999");
  EXPECT_THAT([&] { read_back(text); }, testing::ThrowsMessage<FormatError>(testing::EndsWith(
                                            "/r.json: results[0].seconds: the number 1e999 is too large")));
}

TEST(ReadJsonReport, AKeyThatIsThereTwiceIsNamed) {
  EXPECT_THAT([&] { read_back(R"({"schema": 1, "schema": 1})"); },
              testing::ThrowsMessage<FormatError>(testing::EndsWith("/r.json: schema: is given twice")));
}

}  // namespace
}  // namespace forgecheck
