// `forgecheck golden record`: what it takes, what it refuses to change, and that it is whole at any moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <set>

#include "harness/fuzz/random_draws.h"
#include "harness/golden/golden_file.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::string kRecordedModel =
    "dense[dim=8,n_layers=1,n_heads=2,vocab_size=11,max_seq_len=16]/batch=2,text_len=3/seed=";

class RecordCommand : public ProgramTest {
 protected:
  Outcome record(std::vector<std::string> more) const {
    std::vector<std::string> words = {"golden", "record"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::set<std::string> files_below(const std::string& folder) const {
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(at(folder))) {
      if (entry.is_regular_file()) files.insert(entry.path().lexically_relative(at(folder)).string());
    }
    return files;
  }
};

TEST_F(RecordCommand, TakesTypedCases) {
  const Outcome named = record({kRecordedModel + "1", "--name", "mine/one", "--out", "out"});
  EXPECT_EQ(named.status, 0) << named.err;
  EXPECT_EQ(named.out, "1 cases recorded below out on reference:f64\n");
  EXPECT_EQ(files_below("out"), std::set<std::string>{"mine/one.safetensors"});
  EXPECT_EQ(record({kRecordedModel + "1", kRecordedModel + "2", "--out", "two"}).status, 0);
  const std::set<std::string> files = files_below("two");
  EXPECT_EQ(files.size(), 2U);
  EXPECT_THAT(*files.begin(), testing::StartsWith("dense/"));
  expect_refused(
      {"golden", "record", kRecordedModel + "1", kRecordedModel + "2", "--name", "x", "--out", "out"},
      {"--name x: names one case"});
  expect_refused({"golden", "record", kRecordedModel + "1", "--name", "../x", "--out", "out"},
                 {"--name ../x"});
  expect_refused({"golden", "record", kRecordedModel + "1", "--cases", "list", "--out", "out"}, {"--cases"});
}

TEST_F(RecordCommand, TakesRandomCasesOfOneArchitecture) {
  for (const std::string arch : {"dense", "moe", "joint_decoder", "cross_attention", "mot", "moma"}) {
    ASSERT_EQ(record({"--random", "2", "--seed", "3", "--arch", arch, "--out", arch}).status, 0) << arch;
    const std::set<std::string> files = files_below(arch);
    EXPECT_EQ(files.size(), 2U);
    for (const std::string& file : files) {
      const Golden golden = read_golden(at(arch) / file, file);
      EXPECT_THAT(case_text(golden.problem.definition), testing::StartsWith(arch + "["));
    }
  }
  expect_refused({"golden", "record", "--random", "2", "--arch", "mamba", "--out", "out"},
                 {"--arch", "mamba"});
}

TEST_F(RecordCommand, TakesTheCasesOfAFamilyWithTheirInputs) {
  ASSERT_EQ(record({kRecordedModel + "1", "--name", "family/a", "--out", "store"}).status, 0);
  const Outcome again = record({"--golden", "store", "--family", "family"});
  EXPECT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(again.out, "1 cases recorded below store/family on reference:f64, 1 as before\n");
  EXPECT_EQ(
      record({"--golden", "store", "--family", "family", "--out", "other", "--backend", "reference"}).status,
      0);
  EXPECT_EQ(read_golden(at("other/a.safetensors"), "a").producer.backend, "reference");
  EXPECT_EQ(run({"verify", "--golden", "other", "--backend", "cpu:openblas"}).status, 0);
  expect_refused({"golden", "record", "--golden", "store", "--family", "absent"},
                 {"absent", "is not a folder"});
}

TEST_F(RecordCommand, ChangesNothingWithoutUpdateAndShowsWhatWouldChange) {
  ASSERT_EQ(record({kRecordedModel + "1", "--name", "a", "--out", "out"}).status, 0);
  const std::string before = file_text(at("out/a.safetensors"));
  write("cases.txt", "a " + kRecordedModel + "2\nb " + kRecordedModel + "3\n");
  const Outcome refused = record({"--cases", "cases.txt", "--out", "out"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(refused.out,
            "changed  a\nnothing is written: 1 of 2 files would change; --update writes them (forgecheck "
            "golden diff "
            "shows what has changed)\n");
  EXPECT_EQ(file_text(at("out/a.safetensors")), before);
  EXPECT_FALSE(std::filesystem::exists(at("out/b.safetensors")));
  const Outcome updated = record({"--cases", "cases.txt", "--out", "out", "--update"});
  EXPECT_EQ(updated.status, 0);
  EXPECT_NE(file_text(at("out/a.safetensors")), before);
  EXPECT_TRUE(std::filesystem::exists(at("out/b.safetensors")));
  EXPECT_EQ(record({"--cases", "cases.txt", "--out", "out"}).out,
            "2 cases recorded below out on reference:f64, 2 as before\n");
}

TEST_F(RecordCommand, AWrongTraceIsRecordedOnlyWithAReasonThatIsKept) {
  write("wrong.py",
        "import json, subprocess, sys\n"
        "inner = subprocess.Popen(['" +
            program() +
            "', 'worker'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
            "for line in sys.stdin:\n"
            "    inner.stdin.write(line); inner.stdin.flush()\n"
            "    answer = inner.stdout.readline()\n"
            "    f = open(json.loads(line)['out'], 'r+b'); f.seek(-2, 2); f.write(b'\\x7f\\x41'); f.close()\n"
            "    print(answer, end='', flush=True)\n");
  const std::vector<std::string> words = {kRecordedModel + "1",   "--name", "a", "--out", "out", "--backend",
                                          "exec:python3 wrong.py"};
  const Outcome refused = record(words);
  EXPECT_EQ(refused.status, 1) << refused.err;
  EXPECT_THAT(refused.out, AllOf(HasSubstr("wrong    a: "), HasSubstr("nothing is written: 1 of 1 traces")));
  EXPECT_FALSE(std::filesystem::exists(at("out/a.safetensors")));
  std::vector<std::string> with_reason = words;
  with_reason.insert(with_reason.end(), {"--reason", "a known fault of v2"});
  EXPECT_EQ(record(with_reason).status, 0);
  EXPECT_EQ(read_golden(at("out/a.safetensors"), "a").producer.json.at("reason"), "a known fault of v2");
  EXPECT_EQ(
      record({kRecordedModel + "1", "--name", "b", "--out", "out", "--reason", "needed by none"}).status, 0);
  EXPECT_FALSE(read_golden(at("out/b.safetensors"), "b").producer.json.contains("reason"));
}

TEST_F(RecordCommand, LeavesTapsOut) {
  ASSERT_EQ(record({kRecordedModel + "1", "--name", "a", "--out", "out", "--taps", "log*"}).status, 0);
  const Golden golden = read_golden(at("out/a.safetensors"), "a");
  ASSERT_EQ(golden.expected.entries().size(), 1U);
  EXPECT_EQ(golden.expected.entries()[0].first, "logits");
}

TEST_F(RecordCommand, WhatWouldBeIgnoredIsRefused) {
  expect_refused({"golden", "record", kRecordedModel + "1", "--out", "out", "--taps", "no_tap"},
                 {"--taps: no tap of dense/", "has such a name"});
  expect_refused({"golden", "record", kRecordedModel + "1", "--out", "out", "--arch", "moe"},
                 {"--arch", "--random"});
  expect_refused({"golden", "record", "--random", "1", "--out", "out", "--name", "x"}, {"--name", "CASE"});
  EXPECT_FALSE(std::filesystem::exists(at("out")));
}

TEST_F(RecordCommand, KilledAtFiftyMomentsEveryFileIsOldOrNew) {
  std::string first, second;
  for (int i = 0; i < 12; ++i) {
    first += std::to_string(i) + " " + kRecordedModel + std::to_string(i) + "\n";
    second += std::to_string(i) + " " + kRecordedModel + std::to_string(100 + i) + "\n";
  }
  write("first.txt", first);
  write("second.txt", second);
  ASSERT_EQ(record({"--cases", "first.txt", "--out", "old"}).status, 0);
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(record({"--cases", "second.txt", "--out", "new"}).status, 0);
  const std::chrono::duration<double> whole = std::chrono::steady_clock::now() - start;
  RandomDraws draws("moments", 2);
  std::size_t were_old = 0, were_new = 0;
  for (int moment = 0; moment < 50; ++moment) {
    std::filesystem::remove_all(at("store"));
    std::filesystem::copy(at("old"), at("store"), std::filesystem::copy_options::recursive);
    const std::string after = std::to_string(whole.count() * double(draws.between(10, 120)) / 100);
    (void)run_under("(sleep " + after + "; kill -9 $$) & true",
                    {"golden", "record", "--cases", "second.txt", "--out", "store", "--update"});
    for (int i = 0; i < 12; ++i) {
      const std::string name = std::to_string(i) + ".safetensors";
      const std::string text = file_text(at("store/" + name));
      const bool is_old = text == file_text(at("old/" + name));
      EXPECT_TRUE(is_old || text == file_text(at("new/" + name))) << name;
      (is_old ? were_old : were_new) += 1;
    }
  }
  EXPECT_GT(were_old, 0U);
  EXPECT_GT(were_new, 0U);
  EXPECT_EQ(run({"verify", "--golden", "store", "--backend", "cpu:openblas"}).status, 0);
}

TEST_F(RecordCommand, TwoRecordingsIntoOneFolderDoNotMix) {
  std::filesystem::create_directory(at("out"));
  const Outcome second =
      run_under("exec 9< out && flock 9", {"golden", "record", kRecordedModel + "1", "--out", "out"});
  EXPECT_EQ(second.status, 2);
  EXPECT_EQ(second.err, "forgecheck: out: another recording writes into it\n");
  EXPECT_TRUE(files_below("out").empty());
  EXPECT_EQ(record({kRecordedModel + "1", "--out", "out"}).status, 0);
}

TEST_F(RecordCommand, AFullDiskIsOneErrorAndTheOldFile) {
  ASSERT_EQ(record({kRecordedModel + "1", "--name", "a", "--out", "out"}).status, 0);
  const std::string before = file_text(at("out/a.safetensors"));
  const Outcome full = run_under("trap '' XFSZ; ulimit -f 4", {"golden", "record", kRecordedModel + "2",
                                                               "--name", "a", "--out", "out", "--update"});
  EXPECT_EQ(full.status, 2) << full.out;
  EXPECT_THAT(full.err, AllOf(testing::StartsWith("forgecheck: "), HasSubstr("a.safetensors")));
  EXPECT_EQ(file_text(at("out/a.safetensors")), before);
  EXPECT_EQ(files_below("out"), std::set<std::string>{"a.safetensors"});
}

}  // namespace
}  // namespace forgecheck
