// JUnit XML, read back with a parser as CI systems read it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pugixml.hpp>

#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class JunitReport : public testing::Test {
 protected:
  pugi::xml_node parse(const Report& report) {
    text_ = written(write_junit_report, report);
    const pugi::xml_parse_result parsed = document_.load_buffer(text_.data(), text_.size());
    EXPECT_TRUE(parsed) << parsed.description() << "\n" << text_;
    return document_.child("testsuites");
  }
  /// The one case of a report with one result.
  pugi::xml_node parse_case(const Result& result) {
    return parse({{}, {result}}).child("testsuite").child("testcase");
  }

  std::string text_;
  pugi::xml_document document_;
};

std::string attribute(const pugi::xml_node& node, const char* name) {
  return node.attribute(name).as_string("(none)");
}

TEST_F(JunitReport, CountsAllAndEachCandidate) {
  Result crashed = result_with(Verdict::crashed);
  crashed.candidate = "plugin:./x.so";
  const pugi::xml_node root = parse({{},
                                     {result_with(Verdict::match), result_with(Verdict::mismatch), crashed,
                                      result_with(Verdict::unsupported), result_with(Verdict::untrusted),
                                      result_with(Verdict::rejected), result_with(Verdict::undecided)}});
  EXPECT_EQ(attribute(root, "name"), "forgecheck");
  EXPECT_EQ(attribute(root, "tests"), "7");
  EXPECT_EQ(attribute(root, "failures"), "3");
  EXPECT_EQ(attribute(root, "errors"), "1");
  EXPECT_EQ(attribute(root, "skipped"), "1");
  EXPECT_EQ(attribute(root, "time"), "1.750000");
  const pugi::xml_node first = root.first_child(), second = first.next_sibling();
  EXPECT_EQ(attribute(first, "name"), "cpu:openblas");
  EXPECT_EQ(attribute(first, "tests"), "6");
  EXPECT_EQ(attribute(first, "errors"), "0");
  EXPECT_EQ(attribute(second, "name"), "plugin:./x.so");
  EXPECT_EQ(attribute(second, "tests"), "1");
  EXPECT_EQ(attribute(second, "errors"), "1");
  EXPECT_FALSE(second.next_sibling());
}

TEST_F(JunitReport, ACaseHasItsClassItsNameAndItsTime) {
  const pugi::xml_node test = parse_case(result_with(Verdict::match));
  EXPECT_EQ(attribute(test, "classname"), "cpu:openblas.kempnerforge.dense");
  EXPECT_EQ(attribute(test, "name"), "mha");
  EXPECT_EQ(attribute(test, "file"), "kempnerforge/dense/mha.safetensors");
  EXPECT_EQ(attribute(test, "time"), "0.250000");
  EXPECT_FALSE(test.first_child()) << "a match says no more";
}

TEST_F(JunitReport, WithoutAFolderOrAFileTheClassIsTheCandidate) {
  Result result = result_with(Verdict::match);
  result.file = "mha.safetensors";
  EXPECT_EQ(attribute(parse_case(result), "classname"), "cpu:openblas");
  result.file.clear();
  const pugi::xml_node test = parse_case(result);
  EXPECT_EQ(attribute(test, "classname"), "cpu:openblas");
  EXPECT_EQ(attribute(test, "name"), "dense/batch=2,text_len=8/seed=0");
  EXPECT_EQ(attribute(test, "file"), "(none)");
}

TEST_F(JunitReport, AFailureSaysWhatTheTerminalSays) {
  for (const Verdict verdict : {Verdict::mismatch, Verdict::untrusted, Verdict::rejected}) {
    Result result = full_result();
    result.judgement.verdict = verdict;
    const pugi::xml_node failure = parse_case(result).child("failure");
    EXPECT_EQ(attribute(failure, "type"), to_string(verdict));
    EXPECT_EQ(attribute(failure, "message"), "layers.0.mlp is nan");
    EXPECT_THAT(failure.text().as_string(),
                AllOf(HasSubstr("first divergence: layers.0.mlp"), HasSubstr("hint: a constant factor"),
                      HasSubstr("repeat: forgecheck verify --filter kempnerforge/dense/mha")));
  }
}

TEST_F(JunitReport, ACrashIsAnErrorAndWhatIsNotSupportedIsSkipped) {
  Result result = result_with(Verdict::crashed);
  result.judgement.message = "signal 11";
  const pugi::xml_node error = parse_case(result).child("error");
  EXPECT_EQ(attribute(error, "type"), "crashed");
  EXPECT_EQ(attribute(error, "message"), "signal 11");
  result.judgement.verdict = Verdict::unsupported;
  EXPECT_EQ(attribute(parse_case(result).child("skipped"), "message"), "signal 11");
}

TEST_F(JunitReport, UndecidedChoicesPassAndAreListed) {
  Result result = result_with(Verdict::undecided);
  result.judgement.undecided = full_result().judgement.undecided;
  const pugi::xml_node test = parse_case(result);
  EXPECT_FALSE(test.child("failure"));
  EXPECT_STREQ(test.child("system-out").text().as_string(),
               "undecided: layers.0.mlp.router.indices of token 4, margin 1e-09, bound 1e-07\n");
}

TEST_F(JunitReport, NotesPassAndAreListed) {
  const pugi::xml_node test = parse_case(noted_result({"image_mask is true everywhere", "another"}));
  EXPECT_FALSE(test.child("failure"));
  EXPECT_STREQ(test.child("system-out").text().as_string(),
               "note: image_mask is true everywhere\nnote: another\n");
}

TEST_F(JunitReport, EveryTextIsValidXml) {
  Result result = result_with(Verdict::crashed);
  std::string every;
  for (int byte = 0; byte < 256; ++byte) every += static_cast<char>(byte);
  result.judgement.message = "<&\"']]> " + every;
  result.candidate = "plugin:./<\x01\xfe>.so";
  const pugi::xml_node error = parse_case(result).child("error");
  EXPECT_THAT(attribute(error, "message"), AllOf(HasSubstr("<&\"']]> \\x00\\x01"), HasSubstr("\\xfe\\xff")));
  EXPECT_THAT(error.text().as_string(), HasSubstr("<&\"']]> \\x00\\x01"));
  EXPECT_EQ(attribute(document_.child("testsuites").child("testsuite"), "name"), "plugin:./<\\x01\\xfe>.so");
  for (const char c : text_) {
    EXPECT_TRUE(c == '\n' || c == '\t' || (c >= 0x20 && c < 0x7f)) << static_cast<int>(c);
  }
  EXPECT_EQ(text_.find("&#x"), std::string::npos) << "no reference to a character that XML has not";
  for (const char* reference : {"&#0;", "&#1;", "&#27;"}) EXPECT_EQ(text_.find(reference), std::string::npos);
}

TEST_F(JunitReport, AReportAboutNothingIsADocumentToo) {
  EXPECT_EQ(attribute(parse({}), "tests"), "0");
}

// `compare`: the trace itself is the candidate.
TEST_F(JunitReport, AComparedFileIsItsOwnClassAndName) {
  Result result = result_with(Verdict::match);
  result.file = result.candidate = "runs/mine.safetensors";
  const pugi::xml_node test = parse_case(result);
  EXPECT_EQ(attribute(test, "classname"), "runs/mine.safetensors");
  EXPECT_EQ(attribute(test, "name"), "runs/mine.safetensors");
  EXPECT_EQ(attribute(test, "file"), "runs/mine.safetensors");
}

}  // namespace
}  // namespace forgecheck
