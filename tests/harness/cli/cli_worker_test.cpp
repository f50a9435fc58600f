// Programs as backends, through the command line: each that breaks is one line of the report, and the rest goes on.
#include <nlohmann/json.hpp>

#include "tests/harness/cli/program.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

const std::string kCaseOfCliWorker = "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=3/seed=";

class WorkerProgram : public ProgramTest {
 protected:
  /// Three recorded cases, and a worker that is right in all but the second, where it does `wrong`.
  void SetUp() override {
    write("cases.txt",
          "a " + kCaseOfCliWorker + "1\nb " + kCaseOfCliWorker + "2\nc " + kCaseOfCliWorker + "3\n");
    ASSERT_EQ(
        run({"golden", "record", "--cases", "cases.txt", "--out", "store", "--backend", "reference"}).status,
        0);
  }

  std::string worker_with(const std::string& wrong) const {
    write("worker.py",
          "import json, os, re, shutil, signal, sys, time\n"
          "def answer(**more): print(json.dumps({'id': request['id'], **more}), flush=True)\n"
          "for line in sys.stdin:\n"
          "    request = json.loads(line)\n"
          "    asked = open(request['case'], 'rb').read()\n"
          "    seed = re.search(rb'seed\\W+(\\d)', asked)[1].decode()\n"
          "    if seed == '2':\n        " +
              wrong +
              "\n        continue\n"
              "    shutil.copy('store/' + 'abc'[int(seed) - 1] + '.safetensors', request['out'])\n"
              "    answer(ok=True)\n");
    return "exec:python3 worker.py";
  }

  /// The verdicts of a, b and c on the worker, and the message of b's.
  std::vector<std::string> verdicts_with(const std::string& wrong) {
    const Outcome outcome = run({"verify", "--golden", "store", "--backend", worker_with(wrong),
                                 "--worker-seconds", "6", "--worker-memory", "0.5", "--json", "report.json"});
    const nlohmann::json report = nlohmann::json::parse(file_text(at("report.json")));
    std::vector<std::string> found{std::to_string(outcome.status)};
    std::string message;
    for (const nlohmann::json& result : report["results"]) {
      if (result["candidate"] == "golden") continue;
      found.push_back(result["verdict"]);
      if (result["file"] == "b.safetensors") message = result["message"];
    }
    found.push_back(message);
    return found;
  }
};

TEST_F(WorkerProgram, ThatBreaksIsOneResultAndTheRestGoesOn) {
  for (const auto& [wrong, verdict, message] : std::vector<std::array<std::string, 3>>{
           {"time.sleep(1000)", "crashed", "gave no answer in 6 s"},
           {"os._exit(7)", "crashed", "ended with exit status 7"},
           {"keep = bytearray(700_000_000); time.sleep(1000)", "crashed", "GB of memory"},
           {"print('hello', flush=True)", "crashed", "is not valid JSON"},
           {"answer(ok=True)", "crashed", "out.safetensors"},
           {"answer(ok=False, kind='ConfigError', message='seed = 2: not today')", "rejected",
            "seed = 2: not today"},
       }) {
    EXPECT_THAT(verdicts_with(wrong),
                testing::ElementsAre("1", "match", verdict, "match", HasSubstr(message)))
        << wrong;
  }
}

TEST_F(WorkerProgram, ThatWritesAnotherCasesTraceIsAMismatch) {
  EXPECT_THAT(verdicts_with("shutil.copy('store/a.safetensors', request['out']); answer(ok=True)"),
              testing::ElementsAre("1", "match", "mismatch", "match", testing::_));
}

TEST_F(WorkerProgram, ThatIsRightMatches) {
  EXPECT_THAT(verdicts_with("shutil.copy('store/b.safetensors', request['out']); answer(ok=True)"),
              testing::ElementsAre("0", "match", "match", "match", ""));
}

TEST_F(WorkerProgram, IsRunAndBisectedAndRecorded) {
  const std::string backend =
      worker_with("shutil.copy('store/b.safetensors', request['out']); answer(ok=True)");
  EXPECT_THAT(run({"run", kCaseOfCliWorker + "1", "--backend", backend}).out, HasSubstr("logits"));
  EXPECT_EQ(run({"bisect", kCaseOfCliWorker + "1", "--backend", backend}).status, 0);
  EXPECT_EQ(run({"golden", "record", "--cases", "cases.txt", "--out", "again", "--backend", backend}).status,
            0);
  EXPECT_EQ(run({"compare", "store/c.safetensors", "again/c.safetensors"}).status, 0);
}

TEST_F(WorkerProgram, LimitsMustBePositive) {
  expect_refused({"run", kCaseOfCliWorker + "1", "--backend", "exec:cat", "--worker-seconds", "0"},
                 {"--worker-seconds", "0"});
  expect_refused({"run", kCaseOfCliWorker + "1", "--backend", "exec:cat", "--worker-memory", "-1"},
                 {"--worker-memory", "-1"});
  expect_refused({"run", kCaseOfCliWorker + "1", "--backend", "exec:"}, {"exec:", "no command"});
}

}  // namespace
}  // namespace forgecheck
