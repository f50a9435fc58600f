// A list of named cases is read line by line, and each case becomes the file of its name.
#include "harness/golden/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/golden/golden_file.h"
#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

const std::string kCase =
    "dense[dim=16,n_layers=1,n_heads=2,vocab_size=11,max_seq_len=16]/batch=1,text_len=4/seed=7";

class CaseList : public testing::Test {
 protected:
  std::vector<NamedCase> read(const std::string& text) const {
    return read_case_list(folder_.write("cases.txt", text));
  }
  /// What follows the path in the message; "(accepted)" without one.
  std::string rejection(const std::string& text) const {
    const std::string path = (folder_.path() / "cases.txt").string();
    try {
      read(text);
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_TRUE(message.starts_with(path)) << message;
      return message.substr(std::min(message.size(), path.size()));
    }
    return "(accepted)";
  }

  TemporaryDirectory folder_;
};

TEST_F(CaseList, LinesAreANameAndACase) {
  const std::vector<NamedCase> cases =
      read("# a comment\n\na " + kCase + "\nfamily/b-1.x_2   " + kCase + "/train\n");
  ASSERT_EQ(cases.size(), 2U);
  EXPECT_EQ(cases[0].name, "a");
  EXPECT_EQ(case_text(cases[0].definition), kCase);
  EXPECT_EQ(cases[1].name, "family/b-1.x_2");
  EXPECT_EQ(case_text(cases[1].definition), kCase + "/train");
  EXPECT_TRUE(read("").empty());
}

TEST_F(CaseList, AMissingListIsNamed) {
  EXPECT_THAT(
      [&] { read_case_list(folder_.path() / "gone.txt"); },
      testing::ThrowsMessage<FormatError>((folder_.path() / "gone.txt").string() + ": cannot be read"));
}

TEST_F(CaseList, ANameStaysInTheFolderAndIsAFilesName) {
  for (const std::string name : {"/absolute", "../above", "a/../../b", "..", "a/", "a/..", "a*", "\"a\"",
                                 "a\tb", "\xc3\xa9", "a\\b"}) {
    EXPECT_EQ(rejection("good " + kCase + "\n" + name + " " + kCase + "\n"),
              ":2: \"" + name + "\" is not a name for a file");
  }
  EXPECT_EQ(rejection(" " + kCase + "\n"), ":1: \"\" is not a name for a file");
}

TEST_F(CaseList, ALineThatIsWrongIsNamedByItsNumber) {
  EXPECT_EQ(rejection("# one\n\nalone\n"), ":3: alone has no case");
  EXPECT_EQ(rejection("alone  \n"), ":1: alone has no case");
  EXPECT_EQ(rejection("a " + kCase + "\nb dense[dim=x]\n"), ":2: model.dim = x: needs an integer");
  EXPECT_EQ(rejection("a " + kCase + "\n# between\na " + kCase + "\n"), ":3: a is there twice");
}

TEST_F(CaseList, ARecordedCaseLiesUnderItsName) {
  const std::vector<NamedCase> cases = read("family/b.1 " + kCase + "\n");
  Recording recording(folder_.path() / "out");
  recording.add(cases.at(0).name, seeded_problem(cases.at(0).definition), *make_backend("reference"), {}, "");
  recording.write();
  const std::filesystem::path path = folder_.path() / "out" / "family" / "b.1.safetensors";
  const Golden golden = read_golden(path, "b");
  EXPECT_EQ(case_text(golden.problem.definition), kCase);
  EXPECT_EQ(golden.producer.backend, "reference");
  EXPECT_EQ(golden.producer.version, FORGECHECK_VERSION);
  EXPECT_NE(golden.expected.find("logits"), nullptr);
}

}  // namespace
}  // namespace forgecheck
