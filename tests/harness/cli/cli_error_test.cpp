// Bad input of every kind: one line on stderr that names what is wrong, and exit status 2.
#include "harness/io/safetensors.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

const std::string kDense = "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61]";

using CommandLine = ProgramTest;

TEST_F(CommandLine, AnUnknownSubcommandIsNamed) {
  expect_refused({"verfy"}, {"verfy"});
  expect_refused({"golden", "lst"}, {"lst"});
}

TEST_F(CommandLine, WithoutASubcommandItAsksForOne) {
  expect_refused({}, {"subcommand is required"});
  expect_refused({"golden"}, {"subcommand is required"});
}

TEST_F(CommandLine, AnUnknownFlagIsNamed) {
  for (const std::string command : {"verify", "run", "params", "generate", "bisect", "compare", "backends"}) {
    SCOPED_TRACE(command);
    expect_refused({command, "--no-such-flag"}, {});
  }
  expect_refused({"run", kDense, "--no-such-flag"}, {"--no-such-flag"});
  expect_refused({"golden", "check", "--no-such-flag"}, {"--no-such-flag"});
}

TEST_F(CommandLine, AMissingArgumentIsNamed) {
  expect_refused({"run"}, {"CASE"});
  expect_refused({"params"}, {"CONFIG"});
  expect_refused({"compare", "only_one.safetensors"}, {"B"});
  expect_refused({"golden", "show"}, {"NAME"});
  expect_refused({"generate", "--config", "c.toml", "--tokens", "1", "-n", "1"}, {"--checkpoint"});
}

using BadFile = ProgramTest;

TEST_F(BadFile, AMissingFileIsNamed) {
  expect_refused({"params", "absent.toml"}, {"absent.toml"});
  expect_refused({"run", "absent.safetensors"}, {"absent.safetensors"});
  expect_refused({"compare", golden_path("kempnerforge/dense/mha.safetensors"), "absent.safetensors"},
                 {"absent.safetensors"});
  expect_refused({"golden", "record", "--cases", "absent.txt"}, {"absent.txt"});
  expect_refused({"verify", "--golden", "absent"}, {"--golden absent"});
  expect_refused({"golden", "check", "--golden", "absent"}, {"--golden absent"});
}

TEST_F(BadFile, AnotherSyntaxThanTomlIsNamedWithItsLine) {
  write("broken.toml", "[model]\ndim = 64\nn_layers = = 3\n");
  expect_refused({"params", "broken.toml"}, {"broken.toml:3:"});
}

TEST_F(BadFile, AnUnknownKeyIsNamedWithItsLineAndTheNearestOne) {
  write("key.toml", "[model]\ndim = 64\nn_layer = 3\n");
  expect_refused({"params", "key.toml"}, {"key.toml:3:", "n_layer = 3", "did you mean n_layers?"});
}

TEST_F(BadFile, AValueOutOfRangeIsNamed) {
  write("heads.toml", "[model]\ndim = 64\nn_layers = 1\nn_heads = 5\nvocab_size = 61\n");
  expect_refused({"params", "heads.toml"}, {"n_heads", "5"});
  write("type.toml", "[model]\ndim = \"wide\"\n");
  expect_refused({"params", "type.toml"}, {"type.toml:2", "dim", "wide"});
}

TEST_F(BadFile, ACutSafetensorsFileIsNamed) {
  const std::string whole = file_text(golden_path("kempnerforge/dense/mha.safetensors"));
  for (const std::size_t length : {std::size_t{0}, std::size_t{5}, std::size_t{500}, whole.size() - 1}) {
    SCOPED_TRACE(length);
    write("cut.safetensors", whole.substr(0, length));
    expect_refused({"run", "cut.safetensors"}, {"cut.safetensors: "});
    expect_refused({"compare", "cut.safetensors", golden_path("kempnerforge/dense/mha.safetensors")},
                   {"cut.safetensors: "});
  }
}

TEST_F(BadFile, AHostileHeaderLengthIsNamed) {
  write("hostile.safetensors", "\xff\xff\xff\xff\xff\xff\xff\x7f{}");
  expect_refused({"run", "hostile.safetensors"},
                 {"hostile.safetensors: ", "header length", "9223372036854775807"});
}

TEST_F(BadFile, ASafetensorsFileThatIsNoGoldenIsNamed) {
  const std::string model = golden_path("checkpoints/kempnerforge_dense/model.safetensors");
  expect_refused({"run", model}, {"model.safetensors", "forgecheck"});
}

TEST_F(BadFile, AReportThatCannotBeWrittenIsNamed) {
  const Outcome outcome =
      run({"verify", "--filter", "kempnerforge/dense/mha", "--json", "absent/report.json"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_THAT(outcome.err, HasSubstr("absent/report.json"));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
}

class BadGenerate : public ProgramTest {
 protected:
  static std::vector<std::string> generate(const std::vector<std::string>& more,
                                           const std::string& tokens = "1,2,3") {
    const std::string folder = golden_path("checkpoints/kempnerforge_dense");
    std::vector<std::string> words{"generate", "--checkpoint", folder, "--config", folder + "/config.toml",
                                   "--tokens", tokens,         "-n",   "4"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// Generates from a copy of the checkpoint in which one tensor has another shape, or is missing.
  void expect_refused_with(const std::string& tensor, const Shape& shape,
                           const std::vector<std::string>& parts) {
    const std::string folder = golden_path("checkpoints/kempnerforge_dense");
    SafetensorsFile file = read_safetensors(folder + "/model.safetensors");
    ASSERT_EQ(file.tensors.erase(tensor), 1U);
    if (!shape.empty()) file.tensors.emplace(tensor, Array::from(Tensor<float>(shape)));
    write_safetensors(at("model.safetensors"), file.tensors, file.metadata);
    expect_refused({"generate", "--checkpoint", "model.safetensors", "--config", folder + "/config.toml",
                    "--tokens", "1", "-n", "2"},
                   parts);
  }
};

TEST_F(BadGenerate, AWrongShapeIsNamedWithBothShapes) {
  expect_refused_with("layers.1.attention.k_proj.weight", {64, 32},
                      {"model.safetensors", "layers.1.attention.k_proj.weight", "64x32", "32x64"});
}

TEST_F(BadGenerate, AMissingParameterIsNamed) {
  expect_refused_with("layers.2.mlp_norm.weight", {}, {"model.safetensors", "layers.2.mlp_norm.weight"});
}

TEST_F(BadGenerate, TokensThatAreNoneAreNamed) {
  expect_refused(generate({}, "1,x,3"), {"--tokens", "x"});
  expect_refused(generate({}, "1,256"), {"tokens", "256"});
  expect_refused(generate({}, "1,2.5"), {"--tokens", "2.5"});
}

TEST_F(BadGenerate, AnEmptyTokenIsNamed) {
  for (const std::string tokens : {"1,,3", "1,", ",1", ""}) {
    SCOPED_TRACE(tokens);
    expect_refused(generate({}, tokens), {"--tokens"});
  }
}

TEST_F(BadGenerate, ANegativeTokenIsNamed) {
  std::vector<std::string> words = generate({});
  words[5] = "--tokens=-2,5";
  words.erase(words.begin() + 6);
  expect_refused(words, {"tokens", "-2"});
}

TEST_F(BadGenerate, ANegativeEosTokenIsNamed) {
  expect_refused(generate({"--eos-token-id", "-2"}), {"--eos-token-id", "-2"});
}

TEST_F(BadGenerate, SamplingOptionsOutOfRangeAreNamed) {
  expect_refused(generate({"--top-p", "2"}), {"top_p", "2"});
  expect_refused(generate({"--top-p", "0"}), {"top_p", "0"});
  expect_refused(generate({"--top-k", "-1"}), {"top_k", "-1"});
  expect_refused(generate({"--temperature", "-1"}), {"temperature", "-1"});
  expect_refused(generate({"--temperature", "nan"}), {"temperature", "nan"});
}

TEST_F(BadGenerate, AnUnknownTypeOrBackendIsNamed) {
  expect_refused(generate({"--dtype", "float16"}), {"--dtype", "float16"});
  expect_refused(generate({"--backend", "cpu:magic"}), {"cpu:magic"});
}

TEST_F(BadGenerate, MoreTokensThanTheModelHasPlacesForAreRefused) {
  std::vector<std::string> words = generate({});
  words.back() = "254";
  expect_refused(words, {"254", "max_seq_len = 256"});
  words.back() = "-3";
  expect_refused(words, {"max_new_tokens", "-3"});
}

using BadCase = ProgramTest;

TEST_F(BadCase, AnUnknownBackendIsNamedWithThoseThereAre) {
  expect_refused({"run", kDense, "--backend", "cpu:magic"},
                 {"\"cpu:magic\"", "reference:f64", "cpu:openblas"});
  expect_refused({"verify", "--backend", "cpu:magic"}, {"\"cpu:magic\""});
  expect_refused({"verify", "--gpu-runs", "0"}, {"--gpu-runs", "0"});
  expect_refused({"golden", "record", "--backend", "cpu:magic"}, {"\"cpu:magic\""});
}

TEST_F(CommandLine, CalibrateNamesANumberThatItCannotUse) {
  expect_refused({"calibrate", "--runs", "0"}, {"--runs 0"});
  expect_refused({"calibrate", "--samples", "-1"}, {"--samples -1"});
  expect_refused({"calibrate", "--seed", "x"}, {"--seed x"});
  expect_refused({"calibrate", "--traces", "no_such_folder"}, {"--traces no_such_folder", "folder"});
  expect_refused({"calibrate", "--save", "/no/such/folder/c.md"}, {"--save", "/no/such/folder"});
}

TEST_F(CommandLine, RandomRecordingsNameWhatTheyCannotUse) {
  expect_refused({"golden", "record", "--random", "0", "--out", "recorded"}, {"--random 0"});
  expect_refused({"golden", "record", "--random", "2"}, {"--random 2", "--out"});
  expect_refused({"golden", "record", "--random", "2", "--out", "recorded", "--dtype", "float16"},
                 {"--dtype float16", "bfloat16"});
  expect_refused({"golden", "record", "--random", "2", "--out", "recorded", "--seed", "-1"}, {"--seed -1"});
}

// Without a visible device "gpu:cuda" is unavailable on every machine.
TEST_F(CommandLine, AnUnavailableBackendIsStatusThree) {
  setenv("CUDA_VISIBLE_DEVICES", "", 1);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"verify"}, {"run", kDense}, {"bisect", kDense}}) {
    std::vector<std::string> arguments = words;
    arguments.insert(arguments.end(), {"--backend", "gpu:cuda"});
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 3) << words[0];
    EXPECT_THAT(outcome.err, HasSubstr("backend gpu:cuda is unavailable: "));
  }
  unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST_F(BadCase, AnUnknownFieldIsNamedWithTheNearestOne) {
  expect_refused({"run", "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61,dimm=3]"},
                 {"model.dimm = 3", "did you mean dim?"});
  expect_refused({"run", kDense + "/seeed=1"}, {"seeed=1"});
}

TEST_F(BadCase, ABadValueIsNamed) {
  expect_refused({"run", "dense[dim=x]"}, {"model.dim", "x"});
  expect_refused({"run", "dense[dim=32,n_layers=1,n_heads=5,vocab_size=61]"}, {"n_heads", "5"});
  expect_refused({"run", "sparse[dim=32]"}, {"sparse"});
}

using BadGolden = ProgramTest;

TEST_F(BadGolden, AFilterThatMatchesNothingIsNamed) {
  expect_refused({"verify", "--filter", "no_such_golden"}, {"--filter \"no_such_golden\""});
  std::filesystem::create_directory(at("empty"));
  expect_refused({"verify", "--golden", "empty"}, {"--golden empty: there is no golden file in it"});
  expect_refused({"golden", "record", "--filter", "no_such_case", "--out", "recorded"},
                 {"--filter \"no_such_case\""});
}

TEST_F(BadGolden, ANameOfSeveralOrOfNoneIsRefused) {
  expect_refused({"golden", "show", "mha"}, {"\"mha\"", "2 goldens have such a name"});
  expect_refused({"golden", "show", "no_such_golden"}, {"\"no_such_golden\"", "0 goldens"});
}

TEST_F(BadGolden, ABadLineOfACaseListIsNamedAndNothingIsWritten) {
  write("cases.txt", "# two cases\ngood " + kDense + "\nbad dense[dim=x]\n");
  expect_refused({"golden", "record", "--cases", "cases.txt", "--out", "recorded"},
                 {"cases.txt:3: ", "dim", "x"});
  EXPECT_FALSE(std::filesystem::exists(at("recorded")));
}

TEST_F(BadGolden, ANameThatLeavesTheFolderOrIsThereTwiceIsRefused) {
  write("cases.txt", "../escape " + kDense + "\n");
  expect_refused({"golden", "record", "--cases", "cases.txt", "--out", "recorded"},
                 {"cases.txt:1: ", "../escape"});
  write("cases.txt", "one " + kDense + "\none " + kDense + "\n");
  expect_refused({"golden", "record", "--cases", "cases.txt", "--out", "recorded"}, {"cases.txt:2: ", "one"});
  write("cases.txt", "alone\n");
  expect_refused({"golden", "record", "--cases", "cases.txt", "--out", "recorded"},
                 {"cases.txt:1: ", "alone"});
  EXPECT_FALSE(std::filesystem::exists(at("recorded")));
}

}  // namespace
}  // namespace forgecheck
