// `forgecheck fuzz`, `replay` and `worker` from the command line.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "harness/fuzz/corpus.h"
#include "harness/fuzz/random_draws.h"
#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

const std::string kTinyCase =
    "dense[dim=4,n_layers=1,n_heads=1,vocab_size=5,ffn_hidden_dim=3,max_seq_len=16]/batch=1,text_len=2/seed=";

class FuzzProgram : public ProgramTest {
 protected:
  /// A worker that is right but where `wrong` (Python, on the trace's file `out` and the case's text `asked`) changes it.
  std::string worker_with(const std::string& wrong) const {
    write("worker.py",
          "import json, os, subprocess, sys, time\n"
          "inner = subprocess.Popen([" +
              quoted(program()) +
              ", 'worker'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
              "for line in sys.stdin:\n"
              "    request = json.loads(line)\n"
              "    asked, out = open(request['case'], 'rb').read().decode('latin1'), request['out']\n"
              "    inner.stdin.write(line); inner.stdin.flush()\n"
              "    answer = inner.stdout.readline()\n"
              "    " +
              wrong +
              "\n"
              "    print(answer, end='', flush=True)\n");
    return "exec:python3 worker.py";
  }
  static std::string quoted(const std::string& text) { return "'" + text + "'"; }
};

/// The last byte of the file is that of the last tap, an output.
const std::string kLastValueWrong = "f = open(out, 'r+b'); f.seek(-2, 2); f.write(b'\\x7f\\x41'); f.close()";
/// Whether the case has QK-norm, by the JSON inside the JSON of its file.
const std::string kHasQkNorm = "if '\"qk_norm\":true' in asked.replace('\\\\', ''): ";

TEST_F(FuzzProgram, ARightBackendHasNoFinding) {
  const Outcome output = run(
      {"fuzz", "--backend", "cpu:openblas", "--backend", "reference", "--runs", "300", "--json", "r.json"});
  EXPECT_EQ(output.status, 0) << output.out << output.err;
  EXPECT_THAT(
      output.out,
      AllOf(ContainsRegex("cpu:openblas: [0-9]+ match"), ContainsRegex("reference: [0-9]+ match"),
            ContainsRegex("validate: [0-9]+ match"), HasSubstr("300 cases in "), HasSubstr("0 findings")));
  const nlohmann::json report = nlohmann::json::parse(file_text(at("r.json")));
  EXPECT_GT(report["results"].size(), 500U);
  EXPECT_THAT(report["results"][0]["repeat"].get<std::string>(), HasSubstr("forgecheck replay '"));
}

TEST_F(FuzzProgram, AWrongWorkerIsFoundMadeSmallSavedAndReplayed) {
  const std::string worker = worker_with(kHasQkNorm + kLastValueWrong);
  const Outcome output = run(
      {"fuzz", "--backend", worker, "--runs", "40", "--stop-after", "1", "--corpus", "found", "--jobs", "1"});
  EXPECT_EQ(output.status, 1) << output.out << output.err;
  EXPECT_THAT(output.out, AllOf(HasSubstr("1 finding"), HasSubstr("mismatch"),
                                ContainsRegex("case    dense\\[.*qk_norm=true")));
  std::vector<std::filesystem::path> saved;
  for (const auto& entry : std::filesystem::directory_iterator(at("found"))) saved.push_back(entry.path());
  ASSERT_EQ(saved.size(), 1U);
  const Outcome replayed = run({"replay", "found", "--backend", worker, "--backend", "reference"});
  EXPECT_EQ(replayed.status, 1);
  EXPECT_THAT(replayed.out, HasSubstr("1 match, 1 mismatch"));
  EXPECT_EQ(run({"replay", saved[0].string(), "--backend", "reference"}).status, 0);
}

TEST_F(FuzzProgram, AWorkerThatRefusesEverythingIsNoSuccess) {
  const std::string worker = worker_with(
      "answer = json.dumps({'id': request['id'], 'ok': False, 'kind': 'ConfigError', 'message': 'no'}) + "
      "'\\n'");
  const Outcome output = run({"fuzz", "--backend", worker, "--runs", "10", "--jobs", "1"});
  EXPECT_EQ(output.status, 1);
  EXPECT_THAT(output.out,
              AllOf(HasSubstr("0 findings"), HasSubstr("no case was judged: every one was refused")));
}

/// What a whole campaign finds up to some case, one that is killed after that case has saved. A campaign may be
/// two cases behind its worker when it is killed.
TEST_F(FuzzProgram, KilledAtTwentyMomentsItHasLostNoFinding) {
  const std::string worker = worker_with("if request['id'] % 7 == 3: " + kLastValueWrong +
                                         "\n    if request['id'] == int(os.environ['KILL_AT']): "
                                         "os.kill(int(os.environ['CAMPAIGN']), 9)");
  const auto campaign = [&](std::int64_t kill_at, const std::string& found) {
    return run_under("export CAMPAIGN=$$ KILL_AT=" + std::to_string(kill_at),
                     {"fuzz", "--backend", worker, "--runs", "80", "--corpus", found, "--jobs", "1",
                      "--shrink", "0", "--json", found + ".json"});
  };
  ASSERT_EQ(campaign(0, "whole").status, 1);
  const nlohmann::json report = nlohmann::json::parse(file_text(at("whole.json")));
  std::vector<std::string> lines;  // of the cases that the worker was asked, in order
  for (const auto& result : report["results"]) {
    if (result["candidate"] == worker) lines.push_back(result["case"]);
  }
  ASSERT_GT(lines.size(), 60U);
  const std::vector<SavedCase> all = read_corpus(at("whole"));
  ASSERT_GE(all.size(), 2U);
  RandomDraws draws("moments", 1);
  for (int moment = 0; moment < 20; ++moment) {
    const std::int64_t kill_at = draws.between(5, 60);
    const std::string found = "killed" + std::to_string(moment);
    EXPECT_EQ(campaign(kill_at, found).status, 128 + 9);
    for (const SavedCase& one : all) {
      const auto asked_as = std::ranges::find(lines, one.line) - lines.begin() + 1;
      if (asked_as > kill_at - 3) continue;
      const std::filesystem::path saved = at(found) / one.path.filename();
      ASSERT_TRUE(std::filesystem::exists(saved))
          << saved << " of case " << asked_as << ", killed at " << kill_at;
      EXPECT_EQ(file_text(saved), file_text(one.path));
    }
  }
}

TEST_F(FuzzProgram, InterruptedOrToldToEndItReports) {
  const std::string worker =
      worker_with("if request['id'] == 10: os.kill(int(os.environ['CAMPAIGN']), int(os.environ['WITH']))");
  for (const char* const signal : {"2", "15"}) {
    const Outcome ended = run_under("export CAMPAIGN=$$ WITH=" + std::string(signal),
                                    {"fuzz", "--backend", worker, "--runs", "100000", "--jobs", "1"});
    EXPECT_EQ(ended.status, 0) << ended.err;
    EXPECT_THAT(ended.out, ContainsRegex("\n[0-9]+ cases in ")) << signal;
  }
}

TEST_F(FuzzProgram, TwoBackendsAreComparedWithEachOther) {
  const Outcome same = run({"fuzz", "--between", "cpu:openblas", "cpu:onednn", "--runs", "100"});
  EXPECT_EQ(same.status, 0) << same.out << same.err;
  EXPECT_THAT(same.out, ContainsRegex("cpu:openblas against cpu:onednn: [0-9]+ match"));
  const std::string worker = worker_with(kHasQkNorm + kLastValueWrong);
  const Outcome parted = run({"fuzz", "--between", "reference", worker, "--runs", "60", "--stop-after", "1",
                              "--jobs", "1", "--json", "r.json"});
  EXPECT_EQ(parted.status, 1) << parted.out << parted.err;
  EXPECT_THAT(parted.out, AllOf(HasSubstr("reference against exec:python3 worker.py: mismatch at "),
                                ContainsRegex("repeat  forgecheck replay '.*' --between reference 'exec:")));
  const nlohmann::json report = nlohmann::json::parse(file_text(at("r.json")));
  const std::string line = report["results"].back()["case"];
  const Outcome replayed = run({"replay", line, "--between", "reference", worker});
  EXPECT_EQ(replayed.status, 1) << replayed.out;
  EXPECT_THAT(replayed.out, HasSubstr("1 mismatch"));
}

TEST_F(FuzzProgram, ABackendIsComparedWithItself) {
  const Outcome right = run({"fuzz", "--backend", "cpu:openblas", "--metamorphic", "--runs", "100"});
  EXPECT_EQ(right.status, 0) << right.out << right.err;
  const std::string worker =
      worker_with("if '\"run\":\"decode' in asked.replace('\\\\', ''): " + kLastValueWrong);
  const Outcome wrong =
      run({"fuzz", "--backend", worker, "--metamorphic", "--runs", "60", "--stop-after", "1", "--jobs", "1"});
  EXPECT_EQ(wrong.status, 1) << wrong.out << wrong.err;
  EXPECT_THAT(wrong.out,
              AllOf(HasSubstr("mismatch at logits: decode in chunks"), HasSubstr("--metamorphic")));
}

TEST_F(FuzzProgram, TheCoveringSetAloneAndTheInfeasiblePairs) {
  const Outcome cover = run({"fuzz", "--backend", "reference", "--cover", "2"});
  EXPECT_EQ(cover.status, 0) << cover.out;
  EXPECT_THAT(cover.out, AllOf(ContainsRegex("1[0-9][0-9] cases in"), HasSubstr("pairs of options")));
  const Outcome listed = run({"fuzz", "--backend", "reference", "--infeasible"});
  EXPECT_EQ(listed.status, 0);
  EXPECT_THAT(listed.out, AllOf(HasSubstr("case.mode = train: decoding runs in eval mode\n"),
                                HasSubstr("  arch = moma, run = decode\n")));
}

TEST_F(FuzzProgram, BadOptionsAreRefused) {
  expect_refused({"fuzz", "--backend", "reference"}, {"give --runs, --time or --cover"});
  expect_refused({"fuzz", "--backend", "reference", "--time", "0"}, {"--time 0: must be positive"});
  expect_refused({"fuzz", "--backend", "reference", "--time", "1d"}, {"--time 1d: must be an integer"});
  expect_refused({"fuzz", "--runs", "1"}, {"give --backend, or --between and two backends"});
  expect_refused({"fuzz", "--between", "reference", "--runs", "1"}, {"--between"});
  expect_refused({"fuzz", "--between", "reference", "nonsense", "--runs", "1"},
                 {"backend \"nonsense\": unknown"});
  expect_refused({"fuzz", "--between", "reference", "reference", "--backend", "reference", "--runs", "1"},
                 {"--between"});
  expect_refused({"fuzz", "--backend", "nonsense", "--runs", "1"}, {"backend \"nonsense\": unknown"});
  expect_refused({"fuzz", "--backend", "reference", "--runs", "1", "--shard", "3/2"}, {"--shard 3/2"});
  expect_refused({"fuzz", "--backend", "reference", "--runs", "1", "--seed", "-1"}, {"--seed -1"});
  expect_refused({"fuzz", "--backend", "reference", "--runs", "1", "--dtype", "float16"}, {"--dtype"});
  std::filesystem::create_directory(at("empty"));
  expect_refused({"replay", "empty"}, {"empty: has no .case file"});
  expect_refused({"replay", "missing.case"}, {"missing.case: cannot be read"});
  expect_refused({"replay", "dense[dim=3]"}, {"model.n_heads = 32"});
}

TEST_F(FuzzProgram, TimeIsGivenInSecondsMinutesOrHours) {
  for (const char* time : {"10", "10s", "1m", "1h"}) {
    EXPECT_EQ(run({"fuzz", "--backend", "reference", "--time", time, "--runs", "3", "--jobs", "1"}).status, 0)
        << time;
  }
  const Outcome output = run({"fuzz", "--backend", "reference", "--time", "3s", "--jobs", "1"});
  EXPECT_THAT(output.out, ContainsRegex("cases in [2-5]\\.[0-9] s"));
}

TEST_F(FuzzProgram, ReplayTakesATypedCaseHoweverLong) {
  EXPECT_EQ(run({"replay", kTinyCase + "1", kTinyCase + "2", "--backend", "reference"}).status, 0);
  EXPECT_EQ(run({"replay", kTinyCase + std::string(400, '0') + "1", "--backend", "reference"}).status, 0);
}

/// What the process of a campaign says of cases that must be refused.
TEST_F(FuzzProgram, ARefusalMustNameTheFieldAndTheValue) {
  const auto request = [](const std::string& line, const std::string& field, const std::string& value) {
    return nlohmann::json{{"case", line}, {"refused", {{"field", field}, {"value", value}}}}.dump() + "\n";
  };
  const std::string broken = "dense[dim=4,n_layers=-1,n_heads=1,vocab_size=5]/seed=1";
  write("requests", request(broken, "n_layers", "-1") + request(broken, "n_heads", "-1") +
                        request(broken, "n_layers", "-2") + request(kTinyCase + "1", "n_layers", "1"));
  const Outcome output = run_under("exec < requests", {"judge-cases", "--backend", "reference"});
  EXPECT_EQ(output.status, 0) << output.err;
  std::istringstream answers(output.out);
  std::vector<std::string> verdicts, messages;
  for (std::string line; std::getline(answers, line);) {
    const nlohmann::json answer = nlohmann::json::parse(line)[0];
    verdicts.push_back(answer["verdict"]);
    messages.push_back(answer.value("message", ""));
  }
  EXPECT_THAT(verdicts, testing::ElementsAre("match", "mismatch", "mismatch", "mismatch"));
  EXPECT_EQ(messages[3], "must be refused for n_layers = 1: it is accepted");
  EXPECT_THAT(messages[1], HasSubstr("model.n_layers = -1"));
}

TEST_F(FuzzProgram, AWorkerGivesOnlyTheTapsThatAreAskedFor) {
  ASSERT_EQ(run({"run", kTinyCase + "1", "--save", "case.safetensors"}).status, 0);
  write("requests", R"({"id": 1, "case": "case.safetensors", "out": "out.safetensors", "taps": ["logits"]})"
                    "\n");
  const Outcome output = run_under("exec < requests", {"worker"});
  EXPECT_EQ(output.out, "{\"id\":1,\"ok\":true}\n") << output.err;
  const std::string file = file_text(at("out.safetensors"));
  EXPECT_THAT(file, HasSubstr("expected.logits"));
  EXPECT_THAT(file, testing::Not(HasSubstr("expected.layers")));
}

TEST_F(FuzzProgram, AWorkerAnswersWithTheBackendThatItIsAskedFor) {
  const std::string worker = "exec:" + program() + " worker --backend cpu:openblas";
  const Outcome output = run({"replay", kTinyCase + "1", "--backend", worker});
  EXPECT_EQ(output.status, 0) << output.out << output.err;
  EXPECT_THAT(output.out, HasSubstr("1 match"));
  expect_refused({"worker", "--backend", "nonsense"}, {"backend \"nonsense\": unknown"});
}

}  // namespace
}  // namespace forgecheck
