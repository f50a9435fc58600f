// Programs as backends, through the command line: each that breaks is one line of the report, and the rest goes on.
#include "tests/harness/cli/breaking_program.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

const std::string kCaseOfCliWorker = "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=3/seed=";

class WorkerProgram : public BreakingProgram {
 protected:
  WorkerProgram() : BreakingProgram(kCaseOfCliWorker) {}

  /// A worker that is right in all but the second case, where it does `wrong`.
  std::string worker_with(const std::string& wrong) const {
    write("worker.py",
          "import json, os, re, shutil, signal, struct, sys, time\n"
          "def answer(**more): print(json.dumps({'id': request['id'], **more}), flush=True)\n"
          "def write(tap, shape, values):\n"
          "    tensor = {'dtype': 'F32', 'shape': shape, 'data_offsets': [0, 4 * len(values)]}\n"
          "    header = json.dumps({'expected.' + tap: tensor}).encode()\n"
          "    with open(request['out'], 'wb') as file:\n"
          "        file.write(struct.pack('<Q', len(header)) + header + struct.pack(f'<{len(values)}f', "
          "*values))\n"
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

  std::vector<std::string> verdicts_with(const std::string& wrong) const {
    return verdicts_of(worker_with(wrong));
  }
};

TEST_F(WorkerProgram, ThatBreaksIsOneResultAndTheRestGoesOn) {
  for (const auto& [wrong, verdict, message] : std::vector<std::array<std::string, 3>>{
           {"time.sleep(1000)", "crashed", "gave no answer in 6 s"},
           {"os.kill(os.getpid(), signal.SIGSTOP)", "crashed", "gave no answer in 6 s"},
           {"os._exit(7)", "crashed", "ended with exit status 7"},
           {"keep = bytearray(700_000_000); time.sleep(1000)", "crashed", "GB of memory"},
           {"print('hello', flush=True)", "crashed", "is not valid JSON"},
           {"os.write(1, bytes(range(128, 256)) + b'\\n')", "crashed", "is not valid JSON"},
           {"os.write(1, bytes(3_000_000))", "crashed", "a line of more than a megabyte"},
           {"answer(ok=True)", "crashed", "out.safetensors"},
           {"write('logits', [2], [1, 2]); answer(ok=True)", "mismatch",
            "logits has shape 2, expected 2x3x23"},
           {"write('logits', [2, 3, 23], 138 * [float('nan')]); answer(ok=True)", "mismatch",
            "logits is nan"},
           {"write('no.such.tap', [1], [1]); answer(ok=True)", "untrusted", "has no output"},
           {"answer(ok=False, kind='ConfigError', message='seed = 2: not today')", "rejected",
            "seed = 2: not today"},
       }) {
    EXPECT_THAT(verdicts_with(wrong), testing::ElementsAre("match", verdict, "match", HasSubstr(message)))
        << wrong;
  }
}

TEST_F(WorkerProgram, ThatWritesAnotherCasesTraceIsAMismatch) {
  EXPECT_THAT(verdicts_with("shutil.copy('store/a.safetensors', request['out']); answer(ok=True)"),
              testing::ElementsAre("match", "mismatch", "match", testing::_));
}

TEST_F(WorkerProgram, ThatIsRightMatches) {
  EXPECT_THAT(verdicts_with("shutil.copy('store/b.safetensors', request['out']); answer(ok=True)"),
              testing::ElementsAre("match", "match", "match", ""));
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
