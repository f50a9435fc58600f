// The folder of goldens: which files are found, and that the manifest notices every change.
#include "harness/golden/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "harness/golden/golden_file.h"
#include "harness/io/safetensors.h"
#include "harness/io/sha256.h"
#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Json = nlohmann::json;

// ---- patterns ----

struct Glob {
  const char* pattern;
  const char* name;
  bool matches;
};

void PrintTo(const Glob& glob, std::ostream* out) {
  *out << '"' << glob.pattern << "\" on \"" << glob.name << '"';
}

class GlobMatch : public testing::TestWithParam<Glob> {};

TEST_P(GlobMatch, Agrees) {
  EXPECT_EQ(glob_match(GetParam().pattern, GetParam().name), GetParam().matches);
}

const Glob kGlobs[] = {
    {"", "", true},          {"", "a", false},         {"a", "", false},          {"abc", "abc", true},
    {"abc", "abd", false},   {"abc", "abcd", false},   {"bc", "abc", false},      {"*", "", true},
    {"*", "a/b", true},      {"**", "abc", true},      {"?", "", false},          {"?", "a", true},
    {"?", "ab", false},      {"a?c", "abc", true},     {"a?c", "ac", false},      {"a*", "a", true},
    {"a*c", "abbbc", true},  {"a*c", "abcd", false},   {"*c", "abc", true},       {"*b*", "abc", true},
    {"*x*", "abc", false},   {"a*b*c", "a1b2c", true}, {"a*b*c", "a1c2b", false}, {"*aab", "aaaab", true},
    {"*?", "", false},       {"*?", "a", true},        {"a*?c", "ac", false},     {"moe/*", "moe/top2", true},
    {"moe/*", "moe", false}, {"a.c", "abc", false},    {"[a]", "a", false},       {"a*", "A", false},
    {"*a", "*ba", true},     {"*", "*x", true},
};
INSTANTIATE_TEST_SUITE_P(All, GlobMatch, testing::ValuesIn(kGlobs));

TEST(GlobMatch, ManyStarsTakeNoTime) {
  const std::string name(2000, 'a');
  EXPECT_FALSE(glob_match("*a*a*a*a*a*a*a*a*a*a*b", name));
}

// ---- the folder ----

class Store : public testing::Test {
 protected:
  void put(const std::string& name, float value, const std::string& metadata = "") const {
    const std::filesystem::path path = folder_.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::map<std::string, std::string> texts;
    if (!metadata.empty()) texts.emplace("forgecheck", metadata);
    write_safetensors(path, {{"a", Array::from(Tensor<float>({1}, {value}))}}, texts);
  }
  std::vector<std::string> names(const std::string& filter) const {
    std::vector<std::string> found;
    for (const GoldenEntry& entry : find_goldens(folder_.path(), filter)) found.push_back(entry.name);
    return found;
  }
  /// The line of manifest.json for a file.
  Json line(const std::string& path) const {
    std::ifstream file(folder_.path() / "manifest.json");
    const Json manifest = Json::parse(file);
    for (const Json& row : manifest.at("files")) {
      if (row.at("path") == path) return row;
    }
    return nullptr;
  }
  std::vector<std::string> problems() const { return check_manifest(folder_.path()); }
  std::string refusal(const std::string& manifest) const {
    folder_.write("manifest.json", manifest);
    try {
      check_manifest(folder_.path());
    } catch (const FormatError& error) {
      return error.what();
    }
    return "(accepted)";
  }

  TemporaryDirectory folder_;
};

TEST_F(Store, FindsGoldensByNameInOrderAndNoWeights) {
  put("moe/top2.safetensors", 1);
  put("dense/mha.safetensors", 2);
  put("dense/model.safetensors", 3);
  put("dense/model-00001-of-00002.safetensors", 4);
  put("dense/small_model.safetensors", 5);
  put("models/mha.safetensors", 6);
  folder_.write("dense/readme.txt", "no golden");
  folder_.write("x.safetensors.tmp.1.0", "half written");
  EXPECT_THAT(names(""), ElementsAre("dense/mha", "dense/small_model", "models/mha", "moe/top2"));
}

TEST_F(Store, AFilterIsAPartOrAPatternOfTheWholeName) {
  put("moe/top2.safetensors", 1);
  put("moe/top1.safetensors", 1);
  put("dense/mha.safetensors", 2);
  EXPECT_THAT(names("moe"), ElementsAre("moe/top1", "moe/top2"));
  EXPECT_THAT(names("top"), ElementsAre("moe/top1", "moe/top2"));
  EXPECT_THAT(names("moe/top1"), ElementsAre("moe/top1"));
  EXPECT_THAT(names("moe/*2"), ElementsAre("moe/top2"));
  EXPECT_THAT(names("top?"), IsEmpty());
  EXPECT_THAT(names("moe/top?"), ElementsAre("moe/top1", "moe/top2"));
  EXPECT_THAT(names("*/m?a"), ElementsAre("dense/mha"));
  EXPECT_THAT(names("gradients"), IsEmpty());
}

TEST_F(Store, AMissingFolderIsAFormatError) {
  EXPECT_THROW(find_goldens(folder_.path() / "gone", ""), FormatError);
  EXPECT_THROW(check_manifest(folder_.path() / "gone"), FormatError);
}

// ---- the manifest ----

TEST_F(Store, AFreshManifestFindsNothingWrong) {
  put("dense/mha.safetensors", 1, R"({"producer": {"backend": "b", "version": "1"}})");
  put("dense/model.safetensors", 2);
  write_manifest(folder_.path(), "2026-01-02");
  EXPECT_THAT(problems(), IsEmpty());
  const Json golden = line("dense/mha.safetensors");
  EXPECT_EQ(golden.at("sha256"), sha256_file(folder_.path() / "dense/mha.safetensors"));
  EXPECT_EQ(golden.at("producer").at("backend"), "b");
  EXPECT_EQ(golden.at("date"), "2026-01-02");
  EXPECT_TRUE(line("dense/model.safetensors").at("producer").is_null());
}

TEST_F(Store, AChangedFileIsReported) {
  put("a.safetensors", 1);
  put("b.safetensors", 2);
  write_manifest(folder_.path(), "2026-01-02");
  put("a.safetensors", 1.0000001F);
  EXPECT_THAT(problems(), ElementsAre(StartsWith("a.safetensors: has sha256 ")));
}

TEST_F(Store, ChangedWeightsAreReported) {
  put("model.safetensors", 1);
  write_manifest(folder_.path(), "2026-01-02");
  put("model.safetensors", 2);
  EXPECT_THAT(problems(), ElementsAre(StartsWith("model.safetensors: has sha256 ")));
}

TEST_F(Store, AMissingFileIsReported) {
  put("a.safetensors", 1);
  put("b.safetensors", 2);
  write_manifest(folder_.path(), "2026-01-02");
  std::filesystem::remove(folder_.path() / "b.safetensors");
  EXPECT_THAT(problems(), ElementsAre(StartsWith("b.safetensors: is in the manifest")));
}

TEST_F(Store, AnUnlistedFileIsReported) {
  put("a.safetensors", 1);
  write_manifest(folder_.path(), "2026-01-02");
  put("sub/c.safetensors", 1);
  EXPECT_THAT(problems(), ElementsAre(StartsWith("sub/c.safetensors: is not in the manifest")));
}

TEST_F(Store, AMovedFileIsReportedTwice) {
  put("a.safetensors", 1);
  write_manifest(folder_.path(), "2026-01-02");
  std::filesystem::rename(folder_.path() / "a.safetensors", folder_.path() / "z.safetensors");
  EXPECT_EQ(problems().size(), 2U);
}

TEST_F(Store, AnUnchangedFileKeepsItsDate) {
  put("a.safetensors", 1);
  put("b.safetensors", 2);
  write_manifest(folder_.path(), "2026-01-02");
  put("b.safetensors", 3);
  put("c.safetensors", 4);
  write_manifest(folder_.path(), "2026-03-04");
  EXPECT_THAT(problems(), IsEmpty());
  EXPECT_EQ(line("a.safetensors").at("date"), "2026-01-02");
  EXPECT_EQ(line("b.safetensors").at("date"), "2026-03-04");
  EXPECT_EQ(line("c.safetensors").at("date"), "2026-03-04");
}

TEST_F(Store, TheManifestIsTheSameBytesAndLeavesNothingBeside) {
  put("a.safetensors", 1);
  write_manifest(folder_.path(), "2026-01-02");
  const std::string before = sha256_file(folder_.path() / "manifest.json");
  write_manifest(folder_.path(), "2026-03-04");
  EXPECT_EQ(sha256_file(folder_.path() / "manifest.json"), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 2);
}

TEST_F(Store, AManifestThatIsNoneIsRefusedWithThePathOfTheField) {
  const std::string path = (folder_.path() / "manifest.json").string();
  EXPECT_THROW(check_manifest(folder_.path()), FormatError);
  const std::pair<const char*, const char*> manifests[] = {
      {"", "is not valid JSON: "},
      {"{", "is not valid JSON: "},
      {"[]", "expected an object, got []"},
      {"{}", "files: is missing"},
      {R"({"files": {}})", "files: expected a list, got {}"},
      {R"({"schema": 2, "files": [], "new": 3})", "schema: is 2, of a newer forgecheck; this one reads 1"},
      {R"({"schema": -1, "files": []})", "schema: expected 1, got -1"},
      {R"({"file": []})", "file: unknown field, did you mean files?"},
      {R"({"files": [3]})", "files[0]: expected an object, got 3"},
      {R"({"files": [{}]})", "files[0].sha256: is missing"},
      {R"({"files": [{"path": "a", "sha256": 3}]})", "files[0].sha256: expected a text, got 3"},
      {R"({"files": [{"sha256": "a"}]})", "files[0].path: is missing"},
      {R"({"files": [{"path": "a", "sha265": "b"}]})",
       "files[0].sha265: unknown field, did you mean sha256?"},
      {R"({"files": [{"path": "a", "sha256": "b"}, {"path": "a", "sha256": "c"}]})",
       "files[1].path: is given twice"},
  };
  for (const auto& [manifest, message] : manifests) {
    EXPECT_THAT(refusal(manifest), StartsWith(path + ": " + message)) << manifest;
  }
  EXPECT_THROW(write_manifest(folder_.path(), "2026-01-02"), FormatError);
}

// ---- symbolic links ----

TEST_F(Store, ALinkThatLeadsNowhereIsListedAndItsReaderSaysWhatIsWrong) {
  put("a.safetensors", 1);
  write_manifest(folder_.path(), "2026-01-02");
  std::filesystem::create_symlink("gone", folder_.path() / "dangling.safetensors");
  std::filesystem::create_symlink("loop.safetensors", folder_.path() / "loop.safetensors");
  EXPECT_THAT(names(""), ElementsAre("a", "dangling", "loop"));
  EXPECT_THAT([&] { read_golden(folder_.path() / "dangling.safetensors", "dangling"); },
              testing::ThrowsMessage<FormatError>(
                  HasSubstr("dangling.safetensors: cannot be opened: No such file or directory")));
  EXPECT_THAT([&] { read_golden(folder_.path() / "loop.safetensors", "loop"); },
              testing::ThrowsMessage<FormatError>(
                  HasSubstr("loop.safetensors: cannot be opened: Too many levels of symbolic links")));
}

TEST_F(Store, AListedLinkThatLeadsNowhereIsOneLineOfTheCheck) {
  put("a.safetensors", 1);
  put("b.safetensors", 2);
  write_manifest(folder_.path(), "2026-01-02");
  std::filesystem::remove(folder_.path() / "a.safetensors");
  std::filesystem::create_symlink("gone", folder_.path() / "a.safetensors");
  EXPECT_THAT(problems(), ElementsAre(HasSubstr("a.safetensors: cannot be opened")));
}

TEST_F(Store, ALinkToAFileIsFollowed) {
  put("a.safetensors", 1);
  std::filesystem::create_symlink("a.safetensors", folder_.path() / "b.safetensors");
  EXPECT_THAT(names(""), ElementsAre("a", "b"));
}

TEST_F(Store, ALinkWhoseFilesWouldBeLeftOutIsNamed) {
  put("a.safetensors", 1);
  std::filesystem::create_symlink("gone", folder_.path() / "family");
  EXPECT_THAT([&] { names(""); }, testing::ThrowsMessage<FormatError>(
                                      HasSubstr("family: is a symbolic link whose target is missing")));
  std::filesystem::remove(folder_.path() / "family");
  std::filesystem::create_symlink("/", folder_.path() / "family");
  EXPECT_THAT([&] { names(""); },
              testing::ThrowsMessage<FormatError>(HasSubstr("family: is a symbolic link to a")));
  std::filesystem::remove(folder_.path() / "family");
  std::filesystem::create_symlink("family", folder_.path() / "family");
  EXPECT_THAT([&] { names(""); }, testing::ThrowsMessage<FormatError>(
                                      HasSubstr("family: is a symbolic link whose target is missing")));
}

TEST_F(Store, AFolderThatIsALinkIsRead) {
  put("a.safetensors", 1);
  const TemporaryDirectory other;
  std::filesystem::create_symlink(folder_.path(), other.path() / "link");
  EXPECT_EQ(find_goldens(other.path() / "link", "").size(), 1U);
}

TEST(Manifest, ADateThatIsNoText) {
  TemporaryDirectory directory;
  directory.write("manifest.json", R"({"files": [{"path": "a", "sha256": "b", "date": 3}]})");
  EXPECT_THROW(check_manifest(directory.path()), FormatError);
}

}  // namespace
}  // namespace forgecheck
