// `forgecheck golden diff`: what moved between two folders, or since a revision of git.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "harness/golden/golden_file.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kChangedModel =
    "dense[dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32]/batch=2,text_len=5/seed=";

class DiffCommand : public ProgramTest {
 protected:
  void SetUp() override {
    write("cases.txt", "one " + kChangedModel + "1\ntwo " + kChangedModel + "2\n");
    ASSERT_EQ(
        run({"golden", "record", "--cases", "cases.txt", "--out", "old", "--backend", "reference"}).status,
        0);
    std::filesystem::copy(at("old"), at("new"), std::filesystem::copy_options::recursive);
  }
  /// Adds `error` to element 3 of a tap of new/one.
  void move_tap(const std::string& tap, float error) const {
    Golden golden = read_golden(at("new/one.safetensors"), "one");
    load_weights(golden);
    Trace moved;
    for (const auto& [name, value] : golden.expected.entries()) {
      Tensor<float> values = value.to<float>();
      if (name == tap) values[3] += error;
      moved.add(name, name == tap ? Array::from(values) : value);
    }
    write_golden(at("new/one.safetensors"), golden.problem, moved, golden.producer);
  }
};

TEST_F(DiffCommand, OneLineWhereNothingMoved) {
  const Outcome same = run({"golden", "diff", "old", "new"});
  EXPECT_EQ(same.status, 0) << same.err;
  EXPECT_EQ(same.out, "nothing moved\n");
}

TEST_F(DiffCommand, AChangeIsMeasuredInTolerances) {
  move_tap("layers.1.mlp", 3e-7F);
  const Outcome within = run({"golden", "diff", "old", "new"});
  EXPECT_EQ(within.status, 1);
  EXPECT_THAT(within.out, AllOf(HasSubstr("within    one: 1 of "), HasSubstr(" taps moved, by at most "),
                                HasSubstr("% of a tolerance\n1 golden differ\n")));
  move_tap("layers.1.mlp", 0.25F);
  const Outcome beyond = run({"golden", "diff", "old", "new", "--json", "r.json", "--html", "r.html"});
  EXPECT_EQ(beyond.status, 1);
  EXPECT_THAT(beyond.out,
              AllOf(HasSubstr("moved     one: 1 of "), HasSubstr("; first layers.1.mlp moved by "),
                    HasSubstr(" on its own inputs, tolerance ")));
  const nlohmann::json report = nlohmann::json::parse(file_text(at("r.json")));
  ASSERT_EQ(report["results"].size(), 1U);
  EXPECT_EQ(report["results"][0]["file"], "one.safetensors");
  EXPECT_EQ(report["results"][0]["verdict"], "mismatch");
  EXPECT_THAT(file_text(at("r.html")), HasSubstr("layers.1.mlp"));
  EXPECT_EQ(run({"golden", "diff", "old", "new", "--filter", "two"}).out, "nothing moved\n");
}

TEST_F(DiffCommand, NewGoneAndRenamedGoldensAndAnotherCase) {
  std::filesystem::rename(at("new/two.safetensors"), at("new/zwei.safetensors"));
  EXPECT_EQ(run({"golden", "diff", "old", "new"}).out, "renamed   zwei, was two\n1 golden differ\n");
  ASSERT_EQ(run({"golden", "record", kChangedModel + "3", "--name", "three", "--out", "new"}).status, 0);
  std::filesystem::remove(at("new/zwei.safetensors"));
  EXPECT_EQ(run({"golden", "diff", "old", "new"}).out, "new       three\ngone      two\n2 goldens differ\n");
  std::filesystem::copy(at("new/three.safetensors"), at("new/two.safetensors"));
  EXPECT_THAT(run({"golden", "diff", "old", "new"}).out,
              HasSubstr("case      two is another case; it was " + kChangedModel + "2\n"));
}

TEST_F(DiffCommand, AFileThatDiffersInItsProducerAloneHasNoTapThatMoved) {
  ASSERT_EQ(run({"golden", "record", kChangedModel + "1", "--name", "one", "--out", "new", "--backend",
                 "cpu:permuted", "--taps", "logits"})
                .status,
            1);  // it would change
  Golden golden = read_golden(at("new/one.safetensors"), "one");
  load_weights(golden);
  golden.producer.json["version"] = "9";
  write_golden(at("new/one.safetensors"), golden.problem, golden.expected, golden.producer);
  EXPECT_THAT(run({"golden", "diff", "old", "new"}).out,
              HasSubstr("file      one: every tap is as it was\n"));
}

TEST_F(DiffCommand, ACaseThatCannotBeJudgedIsOneResultAmongTheOthers) {
  const std::string gradients = "kempnerforge/gradients/";
  std::string name;
  for (const auto& entry : std::filesystem::directory_iterator(golden_path(gradients))) {
    if (entry.path().extension() == ".safetensors") name = entry.path().stem().string();
  }
  const std::string file = name + ".safetensors";
  std::filesystem::copy_file(golden_path(gradients + file), at("old/" + file));
  Golden golden = read_golden(at("old/" + file), name);
  golden.producer.json["version"] = "9";
  write_golden(at("new/" + file), golden.problem, golden.expected, golden.producer);
  move_tap("logits", 0.25F);
  const Outcome output = run({"golden", "diff", "old", "new"});
  EXPECT_EQ(output.status, 1) << output.err;
  EXPECT_THAT(output.out, AllOf(HasSubstr("changed   " + name + " "), HasSubstr("moved     one: 1 of ")));
}

TEST_F(DiffCommand, ARevisionOfGitIsAFolderToo) {
  const std::string git = "git -c user.name=a -c user.email=a@b";
  ASSERT_EQ(run_under("git init -q . && git add old && " + git + " commit -q -m 1",
                      {"golden", "diff", "HEAD", "old"})
                .out,
            "nothing moved\n");
  std::filesystem::remove(at("old/two.safetensors"));
  EXPECT_EQ(run({"golden", "diff", "HEAD", "old"}).out, "gone      two\n1 golden differ\n");
  EXPECT_EQ(run({"golden", "diff", "old"}).out, "gone      two\n1 golden differ\n");
  expect_refused({"golden", "diff", "nonsense", "old"},
                 {"golden diff nonsense: is no folder, and git has no revision"});
  expect_refused({"golden", "diff", "HEAD", "absent"}, {"golden diff absent: is not a folder"});
}

}  // namespace
}  // namespace forgecheck
