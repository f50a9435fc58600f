// The files that judging commands write, the annotations and the notes.
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <pugixml.hpp>

#include "tests/harness/cli/reporting_program.h"

namespace forgecheck {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

using ReportFiles = ReportingProgram;

TEST_F(ReportFiles, EveryFormIsWritten) {
  const Outcome outcome = run({"verify", "--filter", "kempnerforge/dense/mha", "--backend", "reference",
                               "--json", "r.json", "--junit", "r.xml", "--html", "r.html"});
  ASSERT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_EQ(report("r.json")["results"].size(), 4U);
  pugi::xml_document document;
  ASSERT_TRUE(document.load_file(at("r.xml").c_str()));
  EXPECT_EQ(document.child("testsuites").attribute("tests").as_int(), 4);
  EXPECT_THAT(file_text(at("r.html")),
              AllOf(StartsWith("<!doctype html>"), HasSubstr("kempnerforge/dense/mha")));
}

TEST_F(ReportFiles, OneThatCannotBeWrittenIsRefusedBeforeTheWork) {
  write_traces();
  std::filesystem::create_directory(at("folder"));
  for (const std::string option : {"--json", "--junit", "--html"}) {
    SCOPED_TRACE(option);
    expect_refused({"compare", "a.safetensors", "absent.safetensors", option, "gone/r"},
                   {option, "gone/r", "the folder", "is not there"});
    expect_refused({"verify", "--filter", "no_such_golden", option, "gone/r"}, {option, "gone/r"});
    expect_refused({"report", "merge", "absent.json", option, "folder"},
                   {option, "\"folder\" is not a file name"});
    expect_refused({"report", "merge", "absent.json", option, ""}, {option});
  }
}

TEST_F(ReportFiles, TwoFormsInOneFileAreRefused) {
  write_traces();
  const std::vector<std::string> forms = {"--json", "--junit", "--html"};
  for (const std::string& first : forms) {
    for (const std::string& second : forms) {
      if (first == second) continue;
      expect_refused({"compare", "a.safetensors", "same.safetensors", first, "r", second, "./r"},
                     {"r: another report is written to the same file"});
    }
  }
  EXPECT_FALSE(std::filesystem::exists(at("r")));
}

TEST_F(ReportFiles, ADashIsStandardOutputAndTheTerminalTextGoesToStandardError) {
  write_traces();
  const std::string text = run({"compare", "a.safetensors", "it's b.safetensors"}).out;
  std::filesystem::create_symlink("/dev/stdout", at("link"));
  for (const std::string path : {"-", "/dev/stdout", "link"}) {
    SCOPED_TRACE(path);
    const Outcome outcome = run({"compare", "a.safetensors", "it's b.safetensors", "--json", path});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(json::parse(outcome.out)["summary"], (json{{"mismatch", 1}}));
    EXPECT_EQ(outcome.err, text);
  }
  EXPECT_TRUE(std::filesystem::is_symlink(at("link")));
  EXPECT_FALSE(std::filesystem::exists(at("-")));
  EXPECT_THAT(
      run({"verify", "--filter", "kempnerforge/dense/mha", "--backend", "golden", "--junit", "-"}).out,
      AllOf(StartsWith("<?xml"), EndsWith("</testsuites>\n")));
  EXPECT_THAT(run({"compare", "a.safetensors", "same.safetensors", "--html", "-"}).out,
              AllOf(StartsWith("<!doctype html>"), EndsWith("</html>\n")));
}

TEST_F(ReportFiles, AnnotationsDoNotMixWithAReportOnStandardOutput) {
  write_traces();
  setenv("GITHUB_ACTIONS", "true", 1);
  const Outcome outcome = run({"compare", "a.safetensors", "it's b.safetensors", "--json", "-"});
  EXPECT_TRUE(json::accept(outcome.out)) << outcome.out;
  EXPECT_THAT(outcome.err, HasSubstr("::error"));
}

TEST_F(ReportFiles, TwoFormsOnStandardOutputAreRefused) {
  write_traces();
  expect_refused({"compare", "a.safetensors", "same.safetensors", "--json", "-", "--junit", "/dev/stdout"},
                 {"/dev/stdout: another report is written to the same file"});
  std::filesystem::create_symlink("r.json", at("link"));
  expect_refused({"compare", "a.safetensors", "same.safetensors", "--json", "r.json", "--junit", "link"},
                 {"link: another report is written to the same file"});
}

TEST_F(ReportFiles, ALinkIntoAMissingFolderIsRefusedBeforeTheWork) {
  write_traces();
  std::filesystem::create_symlink("gone/r.json", at("link"));
  expect_refused({"compare", "a.safetensors", "absent.safetensors", "--json", "link"},
                 {"--json", "link: the folder", "gone is not there"});
}

TEST_F(ReportFiles, TheRepeatCommandIsQuotedForAShell) {
  write_traces();
  const Outcome outcome = run({"compare", "a.safetensors", "it's b.safetensors"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out,
              HasSubstr("\n  repeat: forgecheck compare a.safetensors 'it'\\''s b.safetensors'\n"));
  for (const char c : std::string(" \t!\"#$&()*;<>?[\\]^`{|}~")) {
    const std::string name = std::string("b") + c + ".safetensors";
    std::filesystem::copy_file(at("it's b.safetensors"), at(name));
    EXPECT_THAT(run({"compare", "a.safetensors", name, "--json", "r.json"}).status, 1);
    EXPECT_EQ(report("r.json")["results"][0]["repeat"], "forgecheck compare a.safetensors '" + name + "'");
  }
}

using GithubAnnotations = ReportingProgram;

TEST_F(GithubAnnotations, ArePrintedOnGithubOnly) {
  write_traces();
  EXPECT_THAT(run({"compare", "a.safetensors", "it's b.safetensors"}).out, Not(HasSubstr("::error")));
  setenv("GITHUB_ACTIONS", "false", 1);
  EXPECT_THAT(run({"compare", "a.safetensors", "it's b.safetensors"}).out, Not(HasSubstr("::error")));
  setenv("GITHUB_ACTIONS", "true", 1);
  const Outcome outcome = run({"compare", "a.safetensors", "it's b.safetensors"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out,
              HasSubstr("\n::error file=it's b.safetensors,title=mismatch%3A it's b.safetensors::"));
  EXPECT_THAT(run({"compare", "a.safetensors", "same.safetensors"}).out, Not(HasSubstr("::")));
}

/// A right trace in which every row has one document.
class Notes : public ReportingProgram {
 protected:
  void SetUp() override {
    ReportingProgram::SetUp();
    std::filesystem::create_directory(at("store"));
    const std::string model =
        "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=6/documents=2/seed=7";
    ASSERT_EQ(run({"run", model, "--save", "a.safetensors"}).status, 0);
    SafetensorsFile file = read_safetensors(at("a.safetensors"));
    Array& documents = file.tensors.at("input.doc_ids");
    documents = Array::from(Tensor<std::int64_t>(documents.shape()));
    write_safetensors(at("a.safetensors"), file.tensors, file.metadata);
    ASSERT_EQ(run({"run", "a.safetensors", "--save", "store/one.safetensors"}).status, 0);
    std::filesystem::copy_file(at("store/one.safetensors"), at("two.safetensors"));
  }
  const std::string note_ = "doc_ids has one document in every row: the trace does not test it";
};

TEST_F(Notes, AreInEveryFormAndNoFailure) {
  setenv("GITHUB_ACTIONS", "true", 1);
  const Outcome outcome = run({"bisect", "two.safetensors", "--backend", "reference", "--json", "r.json",
                               "--junit", "r.xml", "--html", "r.html"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("\nnote: " + note_ + " ("), HasSubstr("\n::notice title=note%3A ")));
  const json result = report("r.json")["results"][0];
  EXPECT_EQ(result["verdict"], "match");
  EXPECT_EQ(result["notes"], json{note_});
  EXPECT_THAT(file_text(at("r.xml")), HasSubstr("note: " + note_));
  EXPECT_THAT(file_text(at("r.html")), HasSubstr(note_));

  const Outcome merged = run({"report", "merge", "r.json", "--json", "m.json"});
  EXPECT_EQ(merged.status, 0);
  EXPECT_THAT(merged.out, HasSubstr("\nnote: " + note_));
  EXPECT_EQ(report("m.json")["results"][0]["notes"], result["notes"]);
}

TEST_F(Notes, AreFailuresUnderStrict) {
  const std::vector<std::vector<std::string>> commands = {
      {"bisect", "two.safetensors", "--backend", "reference"},
      {"compare", "two.safetensors", "store/one.safetensors"},
      {"verify", "--golden", "store", "--backend", "golden"}};
  for (std::vector<std::string> words : commands) {
    SCOPED_TRACE(words[0]);
    const Outcome usual = run(words);
    EXPECT_EQ(usual.status, 0) << usual.out;
    EXPECT_THAT(usual.out, HasSubstr("note: " + note_));
    words.insert(words.end(), {"--strict", "--json", "r.json"});
    const Outcome strict = run(words);
    EXPECT_EQ(strict.status, 1) << strict.out;
    EXPECT_THAT(strict.out, AllOf(HasSubstr("untrusted: "), HasSubstr("\n  " + note_ + "\n"),
                                  HasSubstr(" --strict\n"), Not(HasSubstr("note: "))));
    const json result = report("r.json")["results"][0];
    EXPECT_EQ(result["verdict"], "untrusted");
    EXPECT_EQ(result["message"], note_);
    EXPECT_THAT(result["repeat"].get<std::string>(), EndsWith(" --strict"));
  }
  ASSERT_EQ(run({"verify", "--golden", "store", "--backend", "golden", "--json", "r.json"}).status, 0);
  EXPECT_EQ(run({"report", "merge", "r.json"}).status, 0);
  EXPECT_EQ(run({"report", "merge", "r.json", "--strict"}).status, 1);
}

}  // namespace
}  // namespace forgecheck
