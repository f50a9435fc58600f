// What the judging commands find, print and write.
#include <cmath>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "harness/io/safetensors.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

const std::string kTampered = "layers.1.mlp";

class JudgingProgram : public ProgramTest {
 protected:
  /// A copy of a golden, in which one float of a tap is off by 1 % of its row's root mean square.
  void write_tampered(const std::string& name) const {
    SafetensorsFile file = read_safetensors(golden_path("kempnerforge/dense/mha.safetensors"));
    Array& tap = file.tensors.at("expected." + kTampered);
    Tensor<float> values = tap.to<float>();
    const std::int64_t width = values.shape.back();
    const std::int64_t row = 3 * width;
    double squares = 0;
    for (std::int64_t i = 0; i < width; ++i) squares += std::pow(static_cast<double>(values[row + i]), 2);
    values[row + 5] += static_cast<float>(0.01 * std::sqrt(squares / static_cast<double>(width)));
    tap = Array::from(values);
    std::filesystem::create_directories(at(name).parent_path());
    write_safetensors(at(name), file.tensors, file.metadata);
  }
  void copy_golden(const std::string& name) const {
    std::filesystem::create_directories(at(name).parent_path());
    std::filesystem::copy_file(golden_path("kempnerforge/dense/mha.safetensors"), at(name));
  }
  json report(const std::string& name) const { return json::parse(file_text(at(name))); }
};

std::set<std::string> keys(const json& object) {
  std::set<std::string> names;
  for (const auto& [key, value] : object.items()) names.insert(key);
  return names;
}

using Verify = JudgingProgram;

TEST_F(Verify, GoldensOfOneNameMatchOnEveryBackend) {
  const Outcome outcome = run({"verify", "--filter", "kempnerforge/dense/mha"});
  EXPECT_EQ(outcome.status, 0) << outcome.out;
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("golden (kempnerforge)"), HasSubstr("reference"),
                                 HasSubstr("goldens, "), HasSubstr(" match")));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("mismatch")));
}

TEST_F(Verify, ATamperedGoldenIsAMismatchOfItsModuleAlone) {
  write_tampered("store/dense/tampered.safetensors");
  const Outcome outcome =
      run({"verify", "--golden", "store", "--backend", "cpu:openblas", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr(kTampered));
  EXPECT_THAT(outcome.out, HasSubstr("repeat: forgecheck verify --golden store --filter dense/tampered\n"));

  const json found = report("r.json");
  ASSERT_EQ(found["results"].size(), 2U);
  const json& golden = found["results"][0];
  EXPECT_EQ(golden["candidate"], "golden");
  EXPECT_EQ(golden["verdict"], "mismatch");
  EXPECT_EQ(golden["first_divergence"]["tap"], kTampered);
  EXPECT_GT(golden["first_divergence"]["local_error"], golden["first_divergence"]["tolerance"]);
  EXPECT_EQ(found["results"][1]["verdict"], "match") << "the backend was given the same case, and is right";
  EXPECT_EQ(found["summary"], (json{{"match", 1}, {"mismatch", 1}}));
}

TEST_F(Verify, TheRepeatCommandFindsTheSame) {
  write_tampered("store/dense/tampered.safetensors");
  copy_golden("store/dense/whole.safetensors");
  const std::string repeat = "repeat: forgecheck ";
  const Outcome first = run({"verify", "--golden", "store", "--backend", "reference"});
  const std::size_t start = first.out.find(repeat);
  ASSERT_NE(start, std::string::npos) << first.out;
  std::istringstream line(
      first.out.substr(start + repeat.size(), first.out.find('\n', start) - start - repeat.size()));
  const std::vector<std::string> words{std::istream_iterator<std::string>(line), {}};
  const Outcome second = run(words);
  EXPECT_EQ(second.status, 1);
  EXPECT_THAT(second.out, AllOf(HasSubstr(kTampered), HasSubstr("\n1 golden, ")));
}

TEST_F(Verify, TheReportHasTheFieldsOfTheDesign) {
  const Outcome outcome =
      run({"verify", "--filter", "kempnerforge/dense/mha", "--backend", "reference", "--json", "r.json"});
  ASSERT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  const json found = report("r.json");
  EXPECT_EQ(keys(found), (std::set<std::string>{"schema", "tool", "command", "results", "summary"}));
  EXPECT_EQ(found["schema"], 1);
  EXPECT_EQ(keys(found["tool"]), (std::set<std::string>{"name", "version"}));
  EXPECT_EQ(found["tool"]["name"], "forgecheck");
  EXPECT_EQ(found["command"].size(), 8U);
  EXPECT_EQ(found["command"][1], "verify");
  ASSERT_FALSE(found["results"].empty());
  EXPECT_EQ(found["summary"], (json{{"match", found["results"].size()}}));
  for (const json& result : found["results"]) {
    std::set<std::string> expected{"case",   "file", "candidate",        "dtype",     "oracle",  "verdict",
                                   "used",   "taps", "first_divergence", "undecided", "message", "repeat",
                                   "seconds"};
    if (result["candidate"] == "golden") expected.insert("producer");
    EXPECT_EQ(keys(result), expected);
    EXPECT_EQ(result["oracle"], "reference:f64");
    EXPECT_TRUE(result["first_divergence"].is_null());
    EXPECT_LE(result["used"], 1.0);
    ASSERT_FALSE(result["taps"].empty());
    for (const json& tap : result["taps"]) {
      for (const std::string key : {"name", "verdict", "error", "tolerance"})
        EXPECT_TRUE(tap.contains(key)) << key;
    }
  }
}

TEST_F(Verify, OnlyTheBackendsAskedForAreRun) {
  ASSERT_EQ(run({"verify", "--filter", "kempnerforge/dense/mha", "--backend", "cpu:openblas", "--backend",
                 "cpu:permuted", "--json", "r.json"})
                .status,
            0);
  std::set<std::string> candidates;
  const json found = report("r.json");
  for (const json& result : found["results"]) candidates.insert(result["candidate"]);
  EXPECT_EQ(candidates, (std::set<std::string>{"golden", "cpu:openblas", "cpu:permuted"}));
}

TEST_F(Verify, TheBackendGoldenJudgesTheRecordingAlone) {
  const Outcome outcome =
      run({"verify", "--filter", "kempnerforge/dense/mha", "--backend", "golden", "--json", "r.json"});
  ASSERT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  const json found = report("r.json");
  ASSERT_FALSE(found["results"].empty());
  for (const json& result : found["results"]) EXPECT_EQ(result["candidate"], "golden");
}

/// A store with two right goldens and some that cannot be read.
class BadFiles : public JudgingProgram {
 protected:
  void SetUp() override {
    unsetenv("GITHUB_ACTIONS");
    copy_golden("store/a.safetensors");
    copy_golden("store/z.safetensors");
  }
  void TearDown() override { unsetenv("GITHUB_ACTIONS"); }
  Outcome verify(std::vector<std::string> more) const {
    more.insert(more.begin(), {"verify", "--golden", "store", "--backend", "reference"});
    return run(more);
  }
  /// The result of that file, which must be the only one that is no match.
  json rejected(const std::string& file) const {
    json found;
    const json results = report("r.json")["results"];
    for (const json& result : results) {
      if (result["file"] == file) {
        found = result;
      } else {
        EXPECT_EQ(result["verdict"], "match") << result["file"];
      }
    }
    EXPECT_EQ(results.size(), 5U) << "two goldens, each on two candidates, and the bad one";
    EXPECT_EQ(found["verdict"], "rejected");
    EXPECT_EQ(found["candidate"], "golden");
    return found;
  }
};

TEST_F(BadFiles, ACorruptHeaderIsOneRejectedResultInEveryForm) {
  write("store/m.safetensors", "no header");
  setenv("GITHUB_ACTIONS", "true", 1);
  const Outcome outcome = verify({"--json", "r.json", "--junit", "r.xml", "--html", "r.html"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  const json result = rejected("m.safetensors");
  const std::string message = result["message"];
  EXPECT_THAT(message, testing::StartsWith("store/m.safetensors: "));
  EXPECT_EQ(result["case"], "");
  EXPECT_EQ(result["repeat"], "forgecheck verify --golden store --filter m");
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("rejected: m.safetensors on golden\n  " + message + "\n  repeat: "),
                    HasSubstr("3 goldens, 5 traces"), HasSubstr(": 4 match, 1 rejected\n"),
                    HasSubstr("::error file=m.safetensors,title=rejected%3A m.safetensors on golden::")));
  EXPECT_THAT(file_text(at("r.xml")),
              AllOf(HasSubstr("<failure type=\"rejected\""), HasSubstr("name=\"m\"")));
  EXPECT_THAT(file_text(at("r.html")), AllOf(HasSubstr("data-open=\"2\""), HasSubstr("m.safetensors")));
  EXPECT_EQ(run({"report", "merge", "r.json"}).status, 1);
}

TEST_F(BadFiles, ALinkThatLeadsNowhereOrInACircleIsOneRejectedResult) {
  for (const std::string target : {"gone.safetensors", "m.safetensors"}) {
    SCOPED_TRACE(target);
    std::filesystem::remove(at("store/m.safetensors"));
    std::filesystem::create_symlink(target, at("store/m.safetensors"));
    EXPECT_EQ(verify({"--json", "r.json"}).status, 1);
    EXPECT_THAT(rejected("m.safetensors")["message"].get<std::string>(),
                testing::StartsWith("store/m.safetensors: "));
  }
}

TEST_F(BadFiles, AFileWithoutReadPermissionIsOneRejectedResult) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read every file";
  copy_golden("store/m.safetensors");
  std::filesystem::permissions(at("store/m.safetensors"), std::filesystem::perms::none);
  EXPECT_EQ(verify({"--json", "r.json"}).status, 1);
  EXPECT_THAT(rejected("m.safetensors")["message"].get<std::string>(), HasSubstr("Permission denied"));
}

// The file is whole, but its tokens are outside the vocabulary: the oracle refuses to run.
TEST_F(BadFiles, InputsThatTheCaseRefusesAreOneRejectedResult) {
  SafetensorsFile file = read_safetensors(golden_path("kempnerforge/dense/mha.safetensors"));
  Array& tokens = file.tensors.at("input.tokens");
  Tensor<std::int64_t> values = tokens.to_int64();
  values[0] = 100000;
  tokens = Array::from(values);
  write_safetensors(at("store/m.safetensors"), file.tensors, file.metadata);
  EXPECT_EQ(verify({"--json", "r.json"}).status, 1);
  const json result = rejected("m.safetensors");
  EXPECT_THAT(result["message"].get<std::string>(),
              AllOf(testing::StartsWith("store/m.safetensors: "), HasSubstr("tokens[0] = 100000")));
  EXPECT_THAT(result["case"].get<std::string>(), testing::StartsWith("dense"));
}

TEST_F(Verify, ATapOfAnotherShapeSaysOnlyTheShapes) {
  SafetensorsFile file = read_safetensors(golden_path("kempnerforge/dense/mha.safetensors"));
  Array& tap = file.tensors.at("expected." + kTampered);
  Shape shape = tap.shape();
  const std::string expected = to_string(shape);
  shape[0] *= shape[1];
  shape.erase(shape.begin() + 1);
  tap = Array::from(tap.to<float>().reshaped(shape));
  std::filesystem::create_directory(at("store"));
  write_safetensors(at("store/m.safetensors"), file.tensors, file.metadata);
  const Outcome outcome = run({"verify", "--golden", "store", "--backend", "golden"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("\n  " + kTampered + " has shape " + to_string(shape) + ", expected " +
                                     expected + "\n  first divergence: " + kTampered));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("error:")));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("made here")));
}

using Compare = JudgingProgram;

TEST_F(Compare, AFolderIsCalledAFolder) {
  copy_golden("a.safetensors");
  std::filesystem::create_directory(at("folder"));
  const std::string what = "folder: is a folder, expected a .safetensors file";
  expect_refused({"compare", "folder", "folder"}, {what});
  expect_refused({"compare", "a.safetensors", "folder"}, {what});
  expect_refused({"compare", "folder", "a.safetensors"}, {what});
  expect_refused({"compare", "a.safetensors", "gone"}, {"gone: is not there"});
  std::filesystem::create_symlink("loop", at("loop"));
  expect_refused({"compare", "loop", "a.safetensors"}, {"loop: cannot be opened"});
}

TEST_F(Compare, AFileWithItselfSaysNothing) {
  copy_golden("a.safetensors");
  std::filesystem::create_hard_link(at("a.safetensors"), at("linked.safetensors"));
  for (const std::string other : {"a.safetensors", "./a.safetensors", "linked.safetensors"}) {
    SCOPED_TRACE(other);
    const Outcome outcome = run({"compare", "a.safetensors", other});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("untrusted"), HasSubstr("same file")));
  }
}

TEST_F(Compare, EqualCopiesBothMatchTheOracle) {
  copy_golden("a.safetensors");
  copy_golden("b.safetensors");
  const Outcome outcome = run({"compare", "a.safetensors", "b.safetensors", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("2 match"));
  EXPECT_EQ(report("r.json")["summary"], (json{{"match", 2}}));
}

TEST_F(Compare, TheOneThatIsWrongIsNamed) {
  copy_golden("a.safetensors");
  write_tampered("b.safetensors");
  const Outcome outcome = run({"compare", "a.safetensors", "b.safetensors", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("b.safetensors: mismatch"), HasSubstr(kTampered),
                                 HasSubstr("repeat: forgecheck compare a.safetensors b.safetensors")));
  const json found = report("r.json");
  EXPECT_EQ(found["results"][0]["verdict"], "match");
  EXPECT_EQ(found["results"][1]["verdict"], "mismatch");
}

TEST_F(Compare, TracesWithoutACaseAreComparedByValue) {
  const auto write_trace = [&](const std::string& name, float last) {
    write_safetensors(at(name), {{"logits", Array::from(Tensor<float>({3}, {1.0F, 2.0F, last}))}}, {});
  };
  write_trace("a.safetensors", 3.0F);
  write_trace("b.safetensors", 3.0F);
  write_trace("c.safetensors", 3.5F);
  EXPECT_EQ(run({"compare", "a.safetensors", "b.safetensors"}).status, 0);
  const Outcome outcome = run({"compare", "a.safetensors", "c.safetensors"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("logits"));
}

TEST_F(Compare, GoldensOfOtherCasesAreRefused) {
  expect_refused({"compare", golden_path("kempnerforge/dense/mha.safetensors"),
                  golden_path("kempnerforge/dense/mha_default_kv_heads.safetensors")},
                 {"mha_default_kv_heads.safetensors", "another case"});
}

}  // namespace
}  // namespace forgecheck
