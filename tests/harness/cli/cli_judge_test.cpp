// `judge`, and `run` of a checkpoint.
#include <nlohmann/json.hpp>

#include "harness/io/safetensors.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kCheckpoint = golden_path("checkpoints/hf_qwen3");

class Judge : public ProgramTest {
 protected:
  /// The recorded float32 trace without metadata, changed.
  template <class Change>
  void write_trace(const std::string& name, const Change& change,
                   const std::string& of = "golden.safetensors") const {
    SafetensorsFile file = read_safetensors(kCheckpoint + "/" + of);
    change(file.tensors);
    write_safetensors(at(name), file.tensors, {});
  }
  static void scale(Array& tap, float factor) {
    Tensor<float> values = tap.to<float>();
    for (float& value : values.data) value *= factor;
    tap = Array::from(values);
  }
};

TEST_F(Judge, ATraceOfAnyProgramIsJudgedByTheCheckpoint) {
  write_trace("right.safetensors", [](const auto&) {});
  const Outcome right = run({"judge", "--checkpoint", kCheckpoint, "--trace", "right.safetensors"});
  EXPECT_EQ(right.status, 0) << right.out << right.err;
  EXPECT_THAT(right.out, StartsWith("right.safetensors: match, 31 taps, worst tolerance used: "));
  write_trace("wrong.safetensors",
              [](auto& tensors) { scale(tensors.at("expected.layers.1.attention.context"), 1.01F); });
  const Outcome wrong = run({"judge", "--checkpoint", kCheckpoint + "/model.safetensors", "--trace",
                             "wrong.safetensors", "--json", "r.json"});
  EXPECT_EQ(wrong.status, 1) << wrong.out;
  const json result = json::parse(file_text(at("r.json")))["results"][0];
  EXPECT_EQ(result["verdict"], "mismatch");
  EXPECT_EQ(result["first_divergence"]["tap"], "layers.1.attention.context");
  EXPECT_EQ(result["repeat"],
            "forgecheck judge --checkpoint " + kCheckpoint + "/model.safetensors --trace wrong.safetensors");
}

TEST_F(Judge, TensorsWithoutAPrefixAreTaps) {
  const SafetensorsFile file = read_safetensors(kCheckpoint + "/golden.safetensors");
  write_safetensors(
      at("plain.safetensors"),
      {{"logits", file.tensors.at("expected.logits")}, {"input.tokens", file.tensors.at("input.tokens")}},
      {});
  EXPECT_THAT(run({"judge", "--checkpoint", kCheckpoint, "--trace", "plain.safetensors"}).out,
              StartsWith("plain.safetensors: match, 1 tap, "));
}

// The weights are bfloat16 in both, the arithmetic is not.
TEST_F(Judge, TheTypeIsThatOfTheTapsUnlessOneIsGiven) {
  write_trace(
      "bf16.safetensors", [](const auto&) {}, "bfloat16.safetensors");
  EXPECT_EQ(run({"judge", "--checkpoint", kCheckpoint, "--trace", "bf16.safetensors"}).status, 0);
  const Outcome narrow =
      run({"judge", "--checkpoint", kCheckpoint, "--trace", "bf16.safetensors", "--dtype", "float32"});
  EXPECT_EQ(narrow.status, 1);
  EXPECT_THAT(narrow.out, HasSubstr(" --dtype float32\n"));
  write_trace("f32.safetensors", [](const auto&) {});
  EXPECT_EQ(
      run({"judge", "--checkpoint", kCheckpoint, "--trace", "f32.safetensors", "--dtype", "float32"}).status,
      0);
}

TEST_F(Judge, TokensMayBeGivenWhereTheTraceHasNone) {
  const Outcome saved =
      run({"run", "--checkpoint", kCheckpoint, "--tokens", "5,17,3", "--save", "mine.safetensors"});
  ASSERT_EQ(saved.status, 0) << saved.err;
  SafetensorsFile file = read_safetensors(at("mine.safetensors"));
  ASSERT_EQ(file.tensors.erase("input.tokens"), 1U);
  write_safetensors(at("mine.safetensors"), file.tensors, {});
  const std::vector<std::string> words = {"judge", "--checkpoint", kCheckpoint, "--trace",
                                          "mine.safetensors"};
  expect_refused(words, {"mine.safetensors: has no tensor input.tokens: give --tokens"});
  const auto with = [&](const std::string& tokens) {
    std::vector<std::string> more = words;
    more.insert(more.end(), {"--tokens", tokens});
    return run(more);
  };
  EXPECT_EQ(with("5,17,3").status, 0);
  EXPECT_EQ(with("5,16,3").status, 1);
  EXPECT_THAT(with("5,16,3").out, HasSubstr(" --tokens 5,16,3\n"));
}

TEST_F(Judge, WithLabelsTheLossIsJudged) {
  write_trace("loss.safetensors", [](auto& tensors) {
    tensors.emplace("input.labels", tensors.at("input.tokens"));
    tensors.emplace("expected.loss.cross_entropy", Array::from(Tensor<float>(Shape{}, {1.0F})));
  });
  const Outcome outcome = run({"judge", "--checkpoint", kCheckpoint, "--trace", "loss.safetensors"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("first divergence: loss.cross_entropy"));
}

TEST_F(Judge, WhatCannotBeJudgedIsNamed) {
  const std::vector<std::string> words = {"judge", "--checkpoint", kCheckpoint, "--trace"};
  const auto refused = [&](const std::string& trace, const std::vector<std::string>& parts,
                           const std::vector<std::string>& more = {}) {
    std::vector<std::string> all = words;
    all.push_back(trace);
    all.insert(all.end(), more.begin(), more.end());
    expect_refused(all, parts);
  };
  write_trace("right.safetensors", [](const auto&) {});
  refused("right.safetensors", {"--tokens: right.safetensors has input.tokens itself"}, {"--tokens", "1"});
  refused("right.safetensors", {"--dtype float16: must be float32 or bfloat16"}, {"--dtype", "float16"});
  refused("right.safetensors", {"checkpoints", "has neither config.json nor config.toml"},
          {"--config", golden_path("checkpoints")});
  refused("none.safetensors", {"none.safetensors"});
  write_trace("foreign.safetensors",
              [](auto& tensors) { tensors.emplace("input.pixels", tensors.at("input.tokens")); });
  refused("foreign.safetensors", {"foreign.safetensors: has a tensor input.pixels, which is not an input"});
  write_trace("inputs.safetensors", [](auto& tensors) {
    std::erase_if(tensors, [](const auto& item) { return item.first.starts_with("expected."); });
  });
  refused("inputs.safetensors", {"inputs.safetensors: has no tap"});
}

using RunCheckpoint = ProgramTest;

TEST_F(RunCheckpoint, ShowsTheMostLikelyNextTokens) {
  const Outcome outcome =
      run({"run", "--checkpoint", kCheckpoint, "--tokens", "1,2,3", "--save", "t.safetensors"});
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const Tensor<float> logits =
      read_safetensors(at("t.safetensors")).tensors.at("expected.logits").to<float>();
  const auto row = logits.row(logits.rows() - 1);
  std::vector<std::pair<float, std::size_t>> sorted;
  for (std::size_t i = 0; i < row.size(); ++i) sorted.emplace_back(-row[i], i);
  std::ranges::sort(sorted);
  EXPECT_THAT(outcome.out, HasSubstr("\nnext token: " + std::to_string(sorted[0].second) + " (logit "));
  EXPECT_THAT(outcome.out, HasSubstr(", " + std::to_string(sorted[4].second) + " (logit "));
}

// Beside its weights, which it names, it is a trace like any other.
TEST_F(RunCheckpoint, ASavedTraceNamesItsWeights) {
  std::filesystem::create_directory(at("store"));
  std::filesystem::copy_file(kCheckpoint + "/model.safetensors", at("store/model.safetensors"));
  ASSERT_EQ(
      run({"run", "--checkpoint", kCheckpoint, "--tokens", "1,2,3", "--save", "store/t.safetensors"}).status,
      0);
  EXPECT_THAT(run({"verify", "--golden", "store", "--backend", "golden"}).out, EndsWith(": 1 match\n"));
}

TEST_F(RunCheckpoint, TheTypeIsTheOneAskedFor) {
  const std::vector<std::string> words = {"run", "--checkpoint", kCheckpoint, "--tokens", "1,2,3"};
  EXPECT_THAT(run(words).out, HasSubstr("logits                                       float32"));
  std::vector<std::string> narrow = words;
  narrow.insert(narrow.end(), {"--dtype", "bfloat16"});
  EXPECT_THAT(run(narrow).out, AllOf(HasSubstr("/bfloat16 on"),
                                     HasSubstr("logits                                       bfloat16")));
}

TEST_F(RunCheckpoint, ACaseAndACheckpointExcludeEachOther) {
  expect_refused({"run", "--checkpoint", kCheckpoint}, {"--tokens: is needed with --checkpoint"});
  expect_refused({"run", "dense[dim=8]", "--checkpoint", kCheckpoint, "--tokens", "1"},
                 {"give either CASE or --checkpoint"});
  expect_refused({"run", "dense[dim=8]", "--tokens", "1"}, {"--tokens 1: is for --checkpoint only"});
  expect_refused({"run", "dense[dim=8]", "--config", "c.toml"},
                 {"--config c.toml: is for --checkpoint only"});
  expect_refused({"run", "dense[dim=8]", "--dtype", "bfloat16"},
                 {"--dtype bfloat16: is for --checkpoint only"});
  expect_refused({"run", "--checkpoint", kCheckpoint, "--tokens", "1,61"}, {"tokens[1] = 61"});
}

TEST_F(RunCheckpoint, AFolderWithTwoConfigurationsIsRefused) {
  write("config.json", "{}");
  write("config.toml", "");
  expect_refused({"run", "--checkpoint", at("").string(), "--tokens", "1"},
                 {"has both config.json and config.toml"});
}

}  // namespace
}  // namespace forgecheck
