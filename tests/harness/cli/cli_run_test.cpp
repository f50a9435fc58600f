// What `run` and `generate` compute and print.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "harness/backend/backend.h"
#include "harness/io/checkpoint.h"
#include "harness/io/safetensors.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kDenseOfCliRun = "dense[dim=32,n_layers=1,n_heads=4,vocab_size=61]";

using Program = ProgramTest;

/// Numbers as `generate` reads and prints them.
std::string joined(const Tensor<std::int64_t>& row, std::int64_t begin, std::int64_t end) {
  std::string text;
  for (std::int64_t i = begin; i < end; ++i) text += (i == begin ? "" : ",") + std::to_string(row[i]);
  return text;
}

class Generate : public ProgramTest, public testing::WithParamInterface<std::string> {};

TEST_P(Generate, ContinuesAPromptAsUpstreamDoes) {
  const std::string folder = golden_path("checkpoints/" + GetParam());
  const SafetensorsFile golden = read_safetensors(folder + "/greedy.safetensors");
  const Tensor<std::int64_t> prompt = golden.tensors.at("input.tokens").to_int64();
  const Tensor<std::int64_t> expected = golden.tensors.at("expected.tokens").to_int64();
  const std::int64_t length = prompt.shape[1], whole = expected.shape[1];
  const Outcome outcome = run({"generate", "--checkpoint", folder, "--config", folder + "/config.toml",
                               "--tokens", joined(prompt, 0, length), "-n", std::to_string(whole - length)});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.out, joined(expected, length, whole) + "\n");
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, Generate, testing::Values("kempnerforge_dense", "kempnerforge_moe"));

TEST_F(Program, GenerateDrawsTheSameTokensFromTheSameSeed) {
  const std::string folder = golden_path("checkpoints/kempnerforge_dense");
  const auto sample = [&](const std::string& seed) {
    return run({"generate", "--checkpoint", folder, "--config", folder + "/config.toml", "--tokens", "1,2,3",
                "-n", "24", "--temperature", "2", "--seed", seed})
        .out;
  };
  const std::string first = sample("1");
  EXPECT_EQ(std::count(first.begin(), first.end(), ','), 23) << first;
  EXPECT_EQ(sample("1"), first);
  EXPECT_NE(sample("2"), first);
}

TEST_F(Program, GenerateComputesInTheTypeAskedFor) {
  const std::string folder = golden_path("checkpoints/kempnerforge_dense");
  Problem problem;
  Case& definition = problem.definition;
  definition.architecture = load_config(folder + "/config.toml");
  definition.run = RunKind::generate;
  definition.seed = 1;
  definition.generate.max_new_tokens = 24;
  definition.generate.sampling.temperature = 2;
  problem.parameters = load_parameters(folder, definition.architecture);
  problem.inputs.tokens = Array::from(Tensor<std::int64_t>({1, 3}, {1, 2, 3}));
  std::set<std::string> all;
  for (const auto& [name, dtype] : {std::pair("float32", Dtype::f32), {"bfloat16", Dtype::bf16}}) {
    definition.dtype = dtype;
    const Tensor<std::int64_t> tokens = make_backend("reference")->run(problem, {}).at("tokens").to_int64();
    const Outcome outcome =
        run({"generate", "--checkpoint", folder, "--config", folder + "/config.toml", "--tokens", "1,2,3",
             "-n", "24", "--temperature", "2", "--seed", "1", "--dtype", name});
    EXPECT_EQ(outcome.out, joined(tokens, 3, 27) + "\n") << name;
    all.insert(outcome.out);
  }
  EXPECT_EQ(all.size(), 2U) << "the types must not choose the same tokens here";
}

TEST_F(Program, GenerateStopsAtTheEndToken) {
  const std::string folder = golden_path("checkpoints/kempnerforge_dense");
  const auto generate = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words = {"generate", "--checkpoint", folder, "--config", folder + "/config.toml",
                                      "--tokens", "1,2,3",        "-n",   "6"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  };
  const std::string all = generate({}).out, first = all.substr(0, all.find(','));
  EXPECT_EQ(generate({"--eos-token-id", first}).out, first + "\n");
  EXPECT_EQ(generate({"--eos-token-id", "255"}).status, 0) << "the last of the vocabulary";
  EXPECT_EQ(generate({"--eos-token-id", "256"}).status, 2);
}

/// The line of that tap in what `run` prints.
std::string line_of(const std::string& out, const std::string& tap) {
  const std::size_t start = out.find("\n" + tap + " ") + 1;
  return out.substr(start, out.find('\n', start) - start);
}

TEST_F(Program, RunShowsTheSizeOfEachTap) {
  const Outcome outcome = run({"run", kDenseOfCliRun + "/text_len=5/seed=7", "--save", "saved.safetensors"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::size_t negative = 0;
  for (const auto& [name, array] : read_safetensors(at("saved.safetensors")).tensors) {
    if (!name.starts_with("expected.") || array.size() <= 4) continue;
    const std::vector<float> values = array.to<float>().data;
    const auto [low, high] = std::ranges::minmax(values);
    if (-low > high) ++negative;
    double squares = 0;
    for (const double x : values) squares += x * x;
    const double rms = std::sqrt(squares / static_cast<double>(values.size()));
    EXPECT_THAT(line_of(outcome.out, name.substr(9)),
                testing::EndsWith(fmt::format(" rms {:<10.4g} max {:.4g}", rms, std::max(-low, high))));
  }
  EXPECT_GT(negative, 0U) << "no tap is largest below zero";
}

TEST_F(Program, RunCountsTheValuesThatAreNotFinite) {
  const std::string embeds = kDenseOfCliRun + "/text_len=5,embeds=true/loss=cross_entropy/seed=7";
  ASSERT_EQ(run({"run", embeds, "--save", "saved.safetensors"}).status, 0);
  SafetensorsFile file = read_safetensors(at("saved.safetensors"));
  Tensor<float> values = file.tensors.at("input.inputs_embeds").to<float>();
  values[0] = std::numeric_limits<float>::quiet_NaN();
  file.tensors.at("input.inputs_embeds") = Array::from(values);
  write_safetensors(at("saved.safetensors"), file.tensors, file.metadata);
  const Outcome outcome = run({"run", "saved.safetensors"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(line_of(outcome.out, "layers.0.attention_norm"), testing::EndsWith("  32 not finite"));
  EXPECT_THAT(line_of(outcome.out, "loss.total"), testing::EndsWith(" nan  1 not finite"));
}

TEST_F(Program, RunOfACaseThatTheBackendRefusesIsAFailure) {
  for (const std::string backend : {"reference", "cpu:onednn"}) {
    const Outcome outcome = run({"run", golden_path("kempnerforge/gradients/dense.safetensors"), "--backend",
                                 backend, "--save", "saved.safetensors"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err, "forgecheck: " + backend + ": gradients are not supported yet\n");
  }
  EXPECT_FALSE(std::filesystem::exists(at("saved.safetensors")));
}

TEST_F(Program, RunShowsTheTapsAskedForAndSavesAGolden) {
  const Outcome outcome = run({"run", kDenseOfCliRun, "--backend", "cpu:openblas", "--taps", "layers.0.m*",
                               "--save", "saved.safetensors"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("on cpu:openblas\n"), HasSubstr("\nlayers.0.mlp "),
                                 testing::Not(HasSubstr("logits"))));
  const Outcome again = run({"run", "saved.safetensors"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_THAT(again.out, HasSubstr("\nlogits "));
}

TEST_F(Program, APatternThatMatchesNoTapIsRefusedWithTheNearestTaps) {
  expect_refused({"run", kDenseOfCliRun, "--taps", "zzz", "--save", "saved.safetensors"},
                 {"--taps \"zzz\": no tap of this case has such a name; the nearest are "});
  EXPECT_FALSE(std::filesystem::exists(at("saved.safetensors")));
  expect_refused({"run", kDenseOfCliRun, "--taps", "layers.0.atention.q_*"},
                 {"the nearest are layers.0.attention.q_proj, layers.0."});
  expect_refused({"run", kDenseOfCliRun, "--taps", "logit"}, {"the nearest are logits, "});
}

}  // namespace
}  // namespace forgecheck
