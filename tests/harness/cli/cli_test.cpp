// What the other commands print and write: help, params and the store.
#include <nlohmann/json.hpp>
#include <regex>
#include <utility>

#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kDenseOfCli = "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61]";

class Help : public ProgramTest, public testing::WithParamInterface<std::vector<std::string>> {};

TEST_P(Help, HasAnExampleOfTheCommand) {
  std::vector<std::string> words = GetParam();
  std::string command = "forgecheck";
  for (const std::string& word : words) command += " " + word;
  words.emplace_back("--help");
  const Outcome outcome = run(words);
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(outcome.out, HasSubstr("Example:\n  " + command));
}

INSTANTIATE_TEST_SUITE_P(
    All, Help,
    testing::Values(std::vector<std::string>{"verify"}, std::vector<std::string>{"run"},
                    std::vector<std::string>{"params"}, std::vector<std::string>{"taps"},
                    std::vector<std::string>{"generate"}, std::vector<std::string>{"bisect"},
                    std::vector<std::string>{"compare"}, std::vector<std::string>{"backends"},
                    std::vector<std::string>{"golden"}, std::vector<std::string>{"golden", "list"},
                    std::vector<std::string>{"golden", "show"}, std::vector<std::string>{"golden", "check"},
                    std::vector<std::string>{"golden", "manifest"},
                    std::vector<std::string>{"golden", "record"}, std::vector<std::string>{"report"},
                    std::vector<std::string>{"report", "merge"}, std::vector<std::string>{"judge"},
                    std::vector<std::string>{"manual"}, std::vector<std::string>{"bench"},
                    std::vector<std::string>{"completion"}));

using Program = ProgramTest;

TEST_F(Program, ListsItsCommandsAndItsVersion) {
  const Outcome help = run({"--help"});
  EXPECT_EQ(help.status, 0);
  for (const std::string command :
       {"verify", "run", "params", "taps", "generate", "bisect", "judge", "compare", "backends", "bench",
        "golden", "report", "manual", "completion"}) {
    EXPECT_THAT(help.out, HasSubstr("\n  " + command + " "));
  }
  const Outcome version = run({"--version"});
  EXPECT_EQ(version.status, 0);
  EXPECT_TRUE(std::regex_match(version.out, std::regex("forgecheck \\d+\\.\\d+\\.\\d+\n"))) << version.out;
}

TEST_F(Program, SaysWhyABackendIsUnavailable) {
  setenv("CUDA_VISIBLE_DEVICES", "", 1);  // no device, whatever the machine has
  const Outcome outcome = run({"backends"});
  unsetenv("CUDA_VISIBLE_DEVICES");
  EXPECT_TRUE(
      std::regex_search(outcome.out, std::regex("\ngpu:cuda +CUDA kernels on a GPU \\[unavailable: .+\\]\n")))
      << outcome.out;
}

TEST_F(Program, ListsTheBackends) {
  const Outcome outcome = run({"backends"});
  EXPECT_EQ(outcome.status, 0);
  for (const std::string name :
       {"reference", "reference:f64", "cpu:permuted", "cpu:openblas", "cpu:onednn"}) {
    EXPECT_THAT(outcome.out, HasSubstr(name + " "));
  }
}

/// Tensors, and parameters with buffers, in the model's line of totals:
/// "dense: 291 tensors, 8,030,261,248 parameters and 12 buffer elements, ...".
std::pair<std::size_t, std::int64_t> model_total(const std::string& text) {
  const std::string line =
      std::regex_replace(text.substr(0, text.find('\n')), std::regex("(\\d),(?=\\d)"), "$1");
  const std::regex total("\\w+: (\\d+) tensors, (\\d+) parameters(?: and (\\d+) buffer elements)?,.*");
  std::smatch found;
  if (!std::regex_match(line, found, total)) return {};
  return {std::stoull(found[1]), std::stoll(found[2]) + (found[3].matched ? std::stoll(found[3]) : 0)};
}

TEST_F(Program, ParamsOfEveryUpstreamConfigurationAddUpToItsTotal) {
  const std::filesystem::path folder = FORGECHECK_SOURCE_DIR "/tests/data/configs";
  const auto expected = nlohmann::json::parse(file_text(folder / "params.json"));
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".toml") continue;
    const std::string name = entry.path().filename().string();
    SCOPED_TRACE(name);
    const Outcome outcome = run({"params", entry.path().string(), "--total"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    ASSERT_TRUE(expected.contains(name));
    EXPECT_EQ(model_total(outcome.out), std::pair(expected[name]["tensors"].get<std::size_t>(),
                                                  expected[name]["parameters"].get<std::int64_t>()))
        << outcome.out;
    ++count;
  }
  EXPECT_EQ(count, expected.size());
}

TEST_F(Program, ParamsListsEachParameterWithItsShapeKindScaleAndOffset) {
  const Outcome outcome = run({"params", golden_path("checkpoints/kempnerforge_dense/config.toml")});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_TRUE(std::regex_search(
      outcome.out,
      std::regex("layers\\.3\\.attention\\.k_proj\\.weight +32x64 +2,048  linear +0\\.216506  0\n")))
      << outcome.out;
  EXPECT_TRUE(std::regex_search(outcome.out, std::regex("\nnorm\\.weight +64 +64  norm_weight +0\\.25 +1\n")))
      << outcome.out;
}

TEST_F(Program, ParamsTotalsTellBuffersFromParametersAndBytesFromBoth) {
  write("moe.toml",
        "[model]\ndim = 16\nn_layers = 2\nn_heads = 2\nvocab_size = 23\nffn_hidden_dim = 32\n"
        "num_experts = 4\nmoe_router = \"sigmoid_topk\"\n");
  // 2 * 23 * 16 + 16; in each of 2 layers 2 * 16 + 4 * 16 * 16 + 4 * 16 + 4 * 3 * 16 * 32 + 4, and 4 in a buffer.
  EXPECT_THAT(run({"params", "moe.toml", "--total"}).out,
              testing::StartsWith("moe: 45 tensors, 15,288 parameters and 8 buffer elements, float64 "));
  write("wide.toml",
        "[model]\ndim = 1024\nn_layers = 1\nn_heads = 8\nvocab_size = 1048576\nffn_hidden_dim = 2816\n");
  // 2 * 2^30 + 4 * 2^20 + 3 * 1024 * 2816 + 3 * 1024
  EXPECT_EQ(run({"params", "wide.toml", "--total"}).out,
            "dense: 12 tensors, 2,160,331,776 parameters, float64 16.096 GiB, float32 8.048 GiB, "
            "bfloat16 4.024 GiB\n");
}

TEST_F(Program, RecordingTwiceGivesTheSameBytes) {
  std::filesystem::create_directory(at("store"));
  write("cases.txt", "# comment\n\none " + kDenseOfCli +
                         "\nbelow/two moe[dim=32,n_layers=1,n_heads=4,vocab_size=61," +
                         "num_experts=4]/seed=3\n");
  for (const std::string out : {"first", "second"}) {
    const Outcome outcome =
        run({"golden", "record", "--golden", "store", "--cases", "cases.txt", "--out", out});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_THAT(outcome.out, HasSubstr("2 cases recorded"));
  }
  for (const std::string name : {"one.safetensors", "below/two.safetensors"}) {
    EXPECT_EQ(file_text(at("first") / name), file_text(at("second") / name)) << name;
  }
  EXPECT_EQ(run({"verify", "--golden", "first", "--backend", "reference"}).status, 0);
}

TEST_F(Program, RandomCasesAreRecordedUnderTheirSeeds) {
  const Outcome outcome = run({"golden", "record", "--random", "3", "--seed", "41", "--dtype", "bfloat16",
                               "--out", "recorded", "--backend", "reference"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  for (const std::string seed : {"41", "42", "43"}) {
    const Outcome shown = run({"run", "recorded/bfloat16/" + seed + ".safetensors"});
    EXPECT_EQ(shown.status, 0) << shown.err;
  }
  const Outcome shown = run({"golden", "list", "--golden", "recorded"});
  EXPECT_THAT(shown.out, AllOf(HasSubstr("seed=42"), HasSubstr("/bfloat16")));
}

TEST_F(Program, CalibrateJudgesTheRecordingsOfOthers) {
  ASSERT_EQ(run({"golden", "record", "--random", "4", "--seed", "50", "--out", "others", "--backend",
                 "cpu:openblas"})
                .status,
            0);
  const Outcome right = run({"calibrate", "--runs", "0", "--traces", "others"});
  EXPECT_EQ(right.status, 0) << right.err;
  EXPECT_THAT(right.out, HasSubstr("| others: cpu:openblas, float32 | 4 | 0 | 0 | 0 |"));

  const std::string name = at("others") / "float32" / "50.safetensors";
  std::string bytes = file_text(name);
  bytes[bytes.size() - 2] = static_cast<char>(bytes[bytes.size() - 2] ^ 0x40);  // the last tap's last value
  write("others/float32/50.safetensors", bytes);
  const Outcome wrong = run({"calibrate", "--runs", "0", "--traces", "others"});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.out, AllOf(HasSubstr("| 3 | 0 | 1 | 0 |"), HasSubstr("- failed: ")));
}

TEST_F(Program, TheStoreIsCheckedAgainstItsManifest) {
  std::filesystem::create_directory(at("store"));
  write("cases.txt", "one " + kDenseOfCli + "\n");
  ASSERT_EQ(run({"golden", "record", "--golden", "store", "--cases", "cases.txt", "--out", "store"}).status,
            0);
  ASSERT_EQ(run({"golden", "manifest", "--golden", "store"}).status, 0);
  EXPECT_EQ(run({"golden", "check", "--golden", "store"}).status, 0);
  const Outcome list = run({"golden", "list", "--golden", "store"});
  EXPECT_THAT(list.out, AllOf(testing::StartsWith("one "), HasSubstr("reference:f64")));
  EXPECT_THAT(run({"golden", "show", "one", "--golden", "store"}).out, HasSubstr("logits"));

  write("store/one.safetensors", "other bytes");
  const Outcome changed = run({"golden", "check", "--golden", "store"});
  EXPECT_EQ(changed.status, 1);
  EXPECT_THAT(changed.out, HasSubstr("one.safetensors"));
}

}  // namespace
}  // namespace forgecheck
