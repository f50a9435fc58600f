// The store: what is listed and shown, where it lies, and when its manifest is written again.
#include <sstream>

#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::string kDenseOfCliGolden = "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61]";
const std::string kMha = "kempnerforge/dense/mha";

using GoldenCommand = ProgramTest;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST_F(GoldenCommand, ListShowsTheNamesOfTheFilter) {
  const std::vector<std::string> lines = lines_of(run({"golden", "list", "--filter", kMha}).out);
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_THAT(lines[0], StartsWith(kMha + " "));
  EXPECT_THAT(lines[1], StartsWith(kMha + "_default_kv_heads "));
  EXPECT_GT(lines_of(run({"golden", "list"}).out).size(), 100U);
}

TEST_F(GoldenCommand, ShowPrefersTheWholeNameToAPartOfOthers) {
  const Outcome outcome = run({"golden", "show", kMha});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("dense/mha.safetensors\n"));
}

TEST_F(GoldenCommand, TheFolderGoldenOfThisFolderComesFirst) {
  std::filesystem::create_directory(at("golden"));
  std::filesystem::copy_file(golden_path(kMha + ".safetensors"), at("golden/here.safetensors"));
  const std::vector<std::string> lines = lines_of(run({"golden", "list"}).out);
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], StartsWith("here "));
}

TEST_F(GoldenCommand, RecordingBelowAStoreWritesItsManifestAgain) {
  std::filesystem::create_directory(at("store"));
  write("cases.txt", "one " + kDenseOfCliGolden + "\n");
  ASSERT_EQ(run({"golden", "manifest", "--golden", "store"}).status, 0);
  const auto record = [&](const std::string& out) {
    return run({"golden", "record", "--golden", "store", "--cases", "cases.txt", "--out", out});
  };
  EXPECT_EQ(record("store/below").out, "1 cases recorded below store/below on reference:f64\n");
  EXPECT_EQ(run({"golden", "check", "--golden", "store"}).status, 0);
  EXPECT_THAT(file_text(at("store/manifest.json")), HasSubstr("below/one.safetensors"));

  // One that has nothing to do with it stays, and none is made where there was none.
  write("store/manifest.json", "untouched");
  EXPECT_EQ(record("storehouse").status, 0);
  EXPECT_EQ(file_text(at("store/manifest.json")), "untouched");
  EXPECT_FALSE(std::filesystem::exists(at("storehouse/manifest.json")));
}

TEST_F(GoldenCommand, WithoutAnotherFolderTheListsOwnIsWrittenTo) {
  std::filesystem::create_directory(at("store"));
  std::filesystem::create_directory(at("lists"));
  write("lists/cases.txt", "one " + kDenseOfCliGolden + "\ntwo " + kDenseOfCliGolden + "/seed=2\n");
  EXPECT_EQ(
      run({"golden", "record", "--golden", "store", "--cases", "lists/cases.txt", "--filter", "two"}).status,
      0);
  EXPECT_TRUE(std::filesystem::exists(at("lists/two.safetensors")));
  EXPECT_FALSE(std::filesystem::exists(at("lists/one.safetensors")));
}

}  // namespace
}  // namespace forgecheck
