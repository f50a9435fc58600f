// `report merge`.
#include "tests/harness/cli/reporting_program.h"

namespace forgecheck {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

using ReportMerge = ReportingProgram;

TEST_F(ReportMerge, PutsShardsIntoOneReport) {
  write_traces();
  compare("same.safetensors", "1.json");
  compare("it's b.safetensors", "2.json");
  const Outcome outcome = run(
      {"report", "merge", "1.json", "2.json", "--json", "m.json", "--junit", "m.xml", "--html", "m.html"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_THAT(outcome.out, StartsWith("mismatch: it's b.safetensors\n"));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("\n  repeat: forgecheck compare a.safetensors "),
                                 EndsWith("\n2 reports, 2 results: 1 match, 1 mismatch\n")));
  EXPECT_EQ(report("m.json")["summary"], (json{{"match", 1}, {"mismatch", 1}}));
  EXPECT_EQ(report("m.json")["command"][1], "report");
  EXPECT_THAT(file_text(at("m.xml")), HasSubstr("tests=\"2\""));
  EXPECT_THAT(file_text(at("m.html")), HasSubstr("same.safetensors"));
}

TEST_F(ReportMerge, OfSuccessesIsASuccess) {
  write_traces();
  compare("same.safetensors", "1.json");
  const Outcome outcome = run({"report", "merge", "1.json", "1.json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, EndsWith("\n1 result was in several reports\n2 reports, 1 result: 1 match\n"));
}

TEST_F(ReportMerge, SaysWhereTwoVerdictsStandAgainstEachOther) {
  write_traces();
  compare("same.safetensors", "1.json");
  json other = report("1.json");
  other["results"][0]["verdict"] = "mismatch";
  other["summary"] = {{"mismatch", 1}};
  write("2.json", other.dump());
  const Outcome outcome = run({"report", "merge", "2.json", "1.json", "--json", "m.json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("\ntwo verdicts: same.safetensors: match in 1.json, "
                                     "mismatch in 2.json\n"));
  EXPECT_EQ(report("m.json")["results"].size(), 2U);
}

TEST_F(ReportMerge, IsTheSameWhateverTheOrder) {
  write_traces();
  compare("same.safetensors", "1.json");
  compare("it's b.safetensors", "2.json");
  const Outcome first = run({"report", "merge", "1.json", "2.json", "--junit", "x"});
  const std::string junit = file_text(at("x"));
  const Outcome second = run({"report", "merge", "2.json", "1.json", "--junit", "x"});
  EXPECT_EQ(first.out, second.out);
  EXPECT_EQ(file_text(at("x")), junit);
}

TEST_F(ReportMerge, ReportsAboutNothingAreAFailure) {
  write("empty.json", R"({"schema": 1, "tool": {"name": "forgecheck", "version": "0"}, "command": [],
                          "results": [], "summary": {}})");
  const Outcome outcome = run({"report", "merge", "empty.json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "1 report, 0 results: nothing was judged\n");
}

TEST_F(ReportMerge, ABadReportIsNamedWithItsField) {
  write_traces();
  compare("same.safetensors", "1.json");
  json bad = report("1.json");
  bad["results"][0]["taps"][0]["used"] = "plenty";
  write("bad.json", bad.dump());
  expect_refused({"report", "merge", "1.json", "bad.json"},
                 {"bad.json: results[0].taps[0].used: expected a number"});
  write("cut.json", bad.dump().substr(0, 200));
  expect_refused({"report", "merge", "cut.json"}, {"cut.json: is not valid JSON"});
  expect_refused({"report", "merge", "absent.json"}, {"absent.json"});
  expect_refused({"report", "merge"}, {"REPORT"});
  expect_refused({"report"}, {"subcommand is required"});
  expect_refused({"report", "mrge"}, {"mrge", "did you mean merge?"});
}

TEST_F(ReportMerge, OfManyFailuresTheFirstAreShownInFullAndAllRepeatCommands) {
  write_traces();
  compare("it's b.safetensors", "1.json");
  json many = report("1.json");
  many["results"][0]["first_divergence"] = {
      {"tap", "logits"}, {"local_error", 0.5}, {"inherited_error", 0}, {"tolerance", 1e-6}};
  for (int i = 0; i < 14; ++i) {
    many["results"].push_back(many["results"][0]);
    many["results"].back()["file"] = "trace" + std::to_string(i);
    many["results"].back()["repeat"] = "forgecheck again " + std::to_string(i);
  }
  many["summary"]["mismatch"] = 15;
  write("many.json", many.dump());
  const Outcome outcome = run({"report", "merge", "many.json"});
  EXPECT_EQ(outcome.status, 1);
  for (int i = 0; i < 14; ++i) {
    EXPECT_THAT(outcome.out, HasSubstr("\n  repeat: forgecheck again " + std::to_string(i) + "\n"));
  }
  std::size_t full = 0;
  const std::string label = "first divergence: ";
  for (std::size_t at = outcome.out.find(label); at != std::string::npos;
       at = outcome.out.find(label, at + 1)) {
    ++full;
  }
  EXPECT_EQ(full, 10U);
}

}  // namespace
}  // namespace forgecheck
