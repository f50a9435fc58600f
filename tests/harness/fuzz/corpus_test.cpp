#include "harness/fuzz/corpus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

constexpr const char* kLineOfCorpus = "dense[dim=8,n_layers=1,n_heads=2,vocab_size=5,max_seq_len=16]/seed=1";

class Corpus : public testing::Test {
 protected:
  Finding finding() const {
    Finding result{
        "a: mismatch at mlp", kLineOfCorpus, "", {"a", Verdict::mismatch, 2.0, "off by 3\nand 4"}, 1};
    return result;
  }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(directory_.path() / name) << text;
  }
  TemporaryDirectory directory_;
};

TEST_F(Corpus, AFindingIsSavedAndReadBack) {
  const std::filesystem::path folder = directory_.path() / "new" / "found";
  save_finding(folder, finding());
  const std::vector<SavedCase> saved = read_corpus(folder);
  ASSERT_EQ(saved.size(), 1U);
  EXPECT_EQ(saved[0].line, kLineOfCorpus);
  EXPECT_EQ(saved[0].path, corpus_path(folder, finding()));
  EXPECT_THAT(saved[0].path.filename().string(), testing::MatchesRegex("mismatch-[0-9a-f]{16}\\.case"));
}

/// Made small it takes the place of what was found first; another cause has a file of its own.
TEST_F(Corpus, OneFileForEachCause) {
  Finding small = finding();
  save_finding(directory_.path(), small);
  small.smallest = "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,max_seq_len=16]/batch=1,text_len=1/seed=0";
  save_finding(directory_.path(), small);
  ASSERT_EQ(read_corpus(directory_.path()).size(), 1U);
  EXPECT_EQ(read_corpus(directory_.path())[0].line, small.smallest);
  Finding other = finding();
  other.cause = "a: mismatch at attention";
  save_finding(directory_.path(), other);
  EXPECT_EQ(read_corpus(directory_.path()).size(), 2U);
}

TEST_F(Corpus, TheFileSaysWhatWasFound) {
  Finding small = finding();
  small.smallest = "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,max_seq_len=16]/seed=0";
  save_finding(directory_.path(), small);
  std::ifstream file(corpus_path(directory_.path(), small));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(text, "# cause: a: mismatch at mlp\n# message: off by 3\n#   and 4\n# found as: " +
                      std::string(kLineOfCorpus) + "\n" + small.smallest + "\n");
}

TEST_F(Corpus, FilesAreReadInTheOrderOfTheirNamesAndOthersAreLeftAlone) {
  write("b.case", "# second\nline b\n");
  write("a.case", "\nline a\n");
  write("notes.txt", "no case");
  const std::vector<SavedCase> saved = read_corpus(directory_.path());
  ASSERT_EQ(saved.size(), 2U);
  EXPECT_EQ(saved[0].line, "line a");
  EXPECT_EQ(saved[1].line, "line b");
  EXPECT_TRUE(read_corpus(directory_.path() / "missing").empty());
}

TEST_F(Corpus, AFileHasExactlyOneCase) {
  write("none.case", "# nothing\n");
  write("two.case", "a\nb\n");
  for (const auto& [name, what] : {std::pair{"none.case", "has no case"},
                                   {"two.case", "has more than one case"},
                                   {"missing.case", "cannot be read"}}) {
    try {
      (void)read_saved_case(directory_.path() / name);
      ADD_FAILURE() << name;
    } catch (const FormatError& error) {
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr(name), testing::HasSubstr(what)));
    }
  }
}

}  // namespace
}  // namespace forgecheck
