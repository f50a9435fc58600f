// What the judging commands find, print and write.
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "tests/harness/cli/judging_program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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

const char* const kSmallConfig =
    "[model]\ndim = 32\nn_layers = 3\nn_heads = 4\nvocab_size = 50\nmax_seq_len = 64\nqk_norm = true\n";

TEST_F(Verify, AConfigurationIsJudgedOnEveryBackendThatIsAsked) {
  std::ofstream(at("small.toml")) << kSmallConfig;
  const Outcome outcome = run({"verify", "--config", "small.toml", "--tokens", "17", "--layers", "2",
                               "--backend", "cpu:openblas", "--backend", "reference", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("small.toml, 2 traces in "));
  const json found = report("r.json");
  ASSERT_EQ(found["results"].size(), 2U);
  EXPECT_EQ(found["results"][0]["candidate"], "cpu:openblas");
  const std::string line = found["results"][0]["case"];
  EXPECT_THAT(line,
              AllOf(HasSubstr("n_layers=2"), HasSubstr("qk_norm=true"), HasSubstr("batch=1,text_len=17")));
  EXPECT_EQ(found["results"][0]["repeat"], "forgecheck replay '" + line + "' --backend cpu:openblas");
  EXPECT_EQ(run({"replay", line, "--backend", "cpu:openblas"}).status, 0);
  EXPECT_EQ(run({"verify", "--config", "small.toml", "--tokens", "9", "--dtype", "bfloat16", "--backend",
                 "reference", "--json", "b.json"})
                .status,
            0);
  EXPECT_THAT(report("b.json")["results"][0]["case"], AllOf(HasSubstr("n_layers=3"), HasSubstr("bfloat16")));
}

TEST_F(Verify, AConfigurationThatDoesNotFitIsRefused) {
  std::ofstream(at("small.toml")) << kSmallConfig;
  const auto refusal = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"verify", "--backend", "reference"});
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 2) << outcome.out;
    return outcome.err;
  };
  EXPECT_THAT(refusal({"--config", "small.toml", "--layers", "4"}),
              HasSubstr("--layers 4: small.toml has 3"));
  EXPECT_THAT(refusal({"--config", "small.toml", "--tokens", "65"}),
              HasSubstr("--tokens 65: small.toml has max_seq_len = 64"));
  EXPECT_THAT(refusal({"--config", "small.toml", "--shard", "1/2"}), HasSubstr("excludes"));
  EXPECT_THAT(refusal({"--layers", "1"}), HasSubstr("--config"));
  EXPECT_THAT(refusal({"--config", "none.toml"}), HasSubstr("none.toml"));
  const Outcome recording = run({"verify", "--config", "small.toml", "--backend", "golden"});
  EXPECT_EQ(recording.status, 2);
  EXPECT_THAT(recording.err, HasSubstr("a configuration has no recording"));
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
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("rejected: m.safetensors on golden\n  " + message + "\n  repeat: "),
            HasSubstr("3 goldens, 5 traces"), HasSubstr(": 4 match, 1 rejected\n"),
            HasSubstr("::error file=store/m.safetensors,title=rejected%3A m.safetensors on golden::")));
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
  const auto [shape, expected] = write_reshaped("store/m.safetensors");
  const Outcome outcome = run({"verify", "--golden", "store", "--backend", "golden"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("\n  " + kTampered + " has shape " + shape + ", expected " + expected +
                                     "\n  first divergence: " + kTampered));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("error:")));
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("made here")));
}

// The error is a thousandth of what float32 may lose, and far more than float64 does.
TEST_F(Verify, ARecordingInFloat64IsJudgedInFloat64) {
  const std::string dense = "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=5/seed=7";
  write("cases.txt", "one " + dense + "\n");
  std::filesystem::create_directory(at("store"));
  ASSERT_EQ(run({"golden", "record", "--golden", "store", "--cases", "cases.txt", "--out", "store"}).status,
            0);
  const std::vector<std::string> words = {"verify",    "--golden", "store",  "--backend", "reference",
                                          "--backend", "golden",   "--json", "r.json"};
  EXPECT_EQ(run(words).status, 0);
  SafetensorsFile file = read_safetensors(at("store/one.safetensors"));
  Array& tap = file.tensors.at("expected.layers.0.mlp");
  Tensor<double> values = tap.to<double>();
  values[3] += 1e-10;
  tap = Array::from(values);
  write_safetensors(at("store/one.safetensors"), file.tensors, file.metadata);
  EXPECT_EQ(run(words).status, 1);
  const json results = report("r.json")["results"];
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0]["verdict"], "mismatch");
  EXPECT_EQ(results[0]["first_divergence"]["tap"], "layers.0.mlp");
  EXPECT_EQ(results[0]["producer"], "reference:f64");
  EXPECT_EQ(results[0]["dtype"], "float32") << "the type of the case";
  EXPECT_EQ(results[1]["verdict"], "match");
}

TEST_F(Verify, GradientsAreListedAndNotJudged) {
  const Outcome outcome = run({"verify", "--filter", "kempnerforge/gradients/moe_softmax", "--backend",
                               "reference", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              HasSubstr("\n1 not judged, kempnerforge/gradients: gradients are not supported yet\n"));
  EXPECT_EQ(report("r.json")["summary"], (json{{"unsupported", 1}}));
}

TEST_F(Verify, OfManyFailuresTheFirstTenAreShownInFull) {
  write_reshaped("store/0.safetensors");
  for (int i = 1; i < 12; ++i) {
    std::filesystem::copy_file(at("store/0.safetensors"), at("store/" + std::to_string(i) + ".safetensors"));
  }
  const Outcome outcome = run({"verify", "--golden", "store", "--backend", "golden"});
  EXPECT_EQ(outcome.status, 1);
  std::size_t full = 0, all = 0;
  std::istringstream lines(outcome.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("  first divergence: ")) ++full;
    if (line.starts_with("  repeat: ")) ++all;
  }
  EXPECT_EQ(full, 10U);
  EXPECT_EQ(all, 12U);
}

}  // namespace
}  // namespace forgecheck
