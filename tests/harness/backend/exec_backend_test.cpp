// A program as a backend: its trace is what it wrote, and whatever it does wrong is one error, after which the
// next case runs.
#include "harness/backend/exec_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/case/case.h"
#include "harness/golden/golden_file.h"
#include "reference/error.h"
#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class ExecBackendTest : public testing::Test {
 protected:
  void SetUp() override {
    write_golden(folder_.path() / "right.safetensors", problem_, make_backend("reference")->run(problem_, {}),
                 this_producer("reference"));
  }

  /// A Python program that runs `body` for each request; `right(request)` writes a right trace and says so.
  std::unique_ptr<Backend> worker(const std::string& body, const ChildLimits& limits = {}) {
    const std::string text = "import json, os, shutil, signal, sys, time\nright_file = \"" +
                             (folder_.path() / "right.safetensors").string() +
                             "\"\n"
                             "def answer(request, **more):\n"
                             "    print(json.dumps({'id': request['id'], **more}), flush=True)\n"
                             "def right(request):\n"
                             "    shutil.copy(right_file, request['out'])\n"
                             "    answer(request, ok=True)\n"
                             "for line in sys.stdin:\n"
                             "    request = json.loads(line)\n" +
                             body;
    return make_exec_backend("exec:python3 " + folder_.write("worker.py", text).string(), limits);
  }

  std::string failure_of(Backend& backend) {
    try {
      (void)backend.run(problem_, {});
    } catch (const BackendError& error) {
      return error.what();
    }
    return "no BackendError";
  }

  /// A worker that does `wrong` for its first case and is right from then on: the error of the first.
  std::string failure_once(const std::string& wrong, const ChildLimits& limits = {}) {
    const std::string done = (folder_.path() / "done").string();
    const auto backend =
        worker("    if os.path.exists('" + done + "'):\n        right(request)\n        continue\n" +
                   "    open('" + done + "', 'w').close()\n    " + wrong + "\n",
               limits);
    const std::string error = failure_of(*backend);
    EXPECT_FALSE(backend->run(problem_, {}).empty()) << "the next case does not run after: " << wrong;
    return error;
  }

  TemporaryDirectory folder_;
  Problem problem_ = seeded_problem(
      parse_case_text("dense[dim=8,n_layers=1,n_heads=2,vocab_size=11,ffn_hidden_dim=12]/text_len=3/seed=5"));
};

TEST_F(ExecBackendTest, TheTraceIsWhatTheProgramWrote) {
  const auto backend = worker("    right(request)\n");
  const Trace expected = make_backend("reference")->run(problem_, {});
  for (int run = 0; run < 2; ++run) {
    const Trace trace = backend->run(problem_, {});
    ASSERT_EQ(trace.entries().size(), expected.entries().size());
    for (const auto& [name, value] : expected.entries()) {
      EXPECT_TRUE(std::ranges::equal(trace.at(name).bytes(), value.bytes())) << name;
    }
  }
  EXPECT_EQ(backend->precision(problem_.definition), Dtype::f32);
}

TEST_F(ExecBackendTest, TheProgramIsStartedOnceAndGetsTheCase) {
  const auto backend = worker("    with open('" + (folder_.path() / "asked").string() +
                              "', 'a') as log: log.write(f\"{os.getpid()} {request['id']} {request['taps']} "
                              "{os.path.basename(request['case'])}\\n\")\n"
                              "    right(request)\n");
  (void)backend->run(problem_, {});
  (void)backend->run(problem_, [](std::string_view name) { return name == "logits"; });
  std::ifstream log(folder_.path() / "asked");
  std::string process, again, rest;
  log >> process;
  std::getline(log, rest);
  EXPECT_EQ(rest, " 1 ['*'] case.safetensors");
  log >> again;
  std::getline(log, rest);
  EXPECT_EQ(rest, " 2 ['logits'] case.safetensors");
  EXPECT_EQ(process, again);
}

TEST_F(ExecBackendTest, OnlyTheTapsThatWereAskedForAreTaken) {
  const Trace trace =
      worker("    right(request)\n")->run(problem_, [](std::string_view name) { return name == "logits"; });
  ASSERT_EQ(trace.entries().size(), 1U);
  EXPECT_EQ(trace.entries().front().first, "logits");
}

TEST_F(ExecBackendTest, ATraceInFloat64IsJudgedInFloat64) {
  write_golden(folder_.path() / "right.safetensors", problem_,
               make_backend("reference:f64")->run(problem_, {}), this_producer("reference:f64"));
  const auto backend = worker("    right(request)\n");
  (void)backend->run(problem_, {});
  EXPECT_EQ(backend->precision(problem_.definition), Dtype::f64);
}

TEST_F(ExecBackendTest, WeightsOfACheckpointLieBesideTheCase) {
  problem_.seeded = false;
  const auto backend = worker(
      "    folder = os.path.dirname(request['case'])\n"
      "    metadata = open(request['case'], 'rb').read()\n"
      "    assert b'weights.safetensors' in metadata, 'not named'\n"
      "    assert os.path.exists(os.path.join(folder, 'weights.safetensors')), 'not there'\n"
      "    right(request)\n");
  EXPECT_FALSE(backend->run(problem_, {}).empty());
}

TEST_F(ExecBackendTest, ARefusalIsAConfigError) {
  const auto backend =
      worker("    answer(request, ok=False, kind='ConfigError', message='model.dim = 8: too small')\n");
  for (int run = 0; run < 2; ++run) {
    try {
      (void)backend->run(problem_, {});
      FAIL() << "no error";
    } catch (const ConfigError& error) {
      EXPECT_STREQ(error.what(), "model.dim = 8: too small");
    }
  }
}

TEST_F(ExecBackendTest, AnErrorOfTheProgramIsABackendErrorWithItsStandardError) {
  EXPECT_THAT(
      failure_once("print('a trace of calls', file=sys.stderr); "
                   "answer(request, ok=False, kind='ValueError', message='no such layer')"),
      AllOf(HasSubstr("ValueError: no such layer"), HasSubstr("standard error ends:\na trace of calls")));
}

TEST_F(ExecBackendTest, AnErrorIsShownWithWhatItsOwnCaseMadeTheProgramSay) {
  const auto backend = worker(
      "    print('case', request['id'], file=sys.stderr, flush=True)\n"
      "    right(request) if request['id'] == 1 else answer(request, ok=False, kind='ValueError', "
      "message='no')\n");
  (void)backend->run(problem_, {});
  EXPECT_THAT(failure_of(*backend), AllOf(HasSubstr("case 2"), testing::Not(HasSubstr("case 1"))));
}

TEST_F(ExecBackendTest, AProgramThatIsEndedBySignalIsNamedWithIt) {
  EXPECT_THAT(failure_of(*make_exec_backend("exec:kill -TERM $$", {})),
              HasSubstr("was ended by signal 15 (Terminated)"));
}

TEST_F(ExecBackendTest, AProgramThatEndsIsStartedAgain) {
  EXPECT_THAT(failure_once("sys.exit(3)"), HasSubstr("ended with exit status 3"));
}

TEST_F(ExecBackendTest, AProgramThatCrashesIsStartedAgain) {
  EXPECT_THAT(failure_once("os.kill(os.getpid(), signal.SIGSEGV)"),
              testing::ContainsRegex("signal 11|status 139"));
}

TEST_F(ExecBackendTest, AProgramThatHangsIsEnded) {
  EXPECT_THAT(failure_once("time.sleep(60); right(request)", {.seconds = 4}),
              HasSubstr("gave no answer in 4 s"));
}

TEST_F(ExecBackendTest, AProgramThatTakesTooMuchMemoryIsEnded) {
  EXPECT_THAT(
      failure_once("keep = bytearray(400_000_000); time.sleep(8); right(request)", {.gigabytes = 0.3}),
      HasSubstr("GB of memory, 0.3 are allowed"));
}

TEST_F(ExecBackendTest, ALineThatIsNoAnswerIsAnError) {
  EXPECT_THAT(failure_once("print('Loading model...', flush=True)"),
              HasSubstr("its answer: is not valid JSON"));
}

TEST_F(ExecBackendTest, ALineWithoutEndIsAnError) {
  EXPECT_THAT(
      failure_once(
          "sys.stdout.write('x' * 3_000_000); sys.stdout.flush(); time.sleep(8); print(); right(request)"),
      HasSubstr("a line of more than a megabyte"));
}

TEST_F(ExecBackendTest, AnAnswerToAnotherRequestIsAnError) {
  EXPECT_THAT(failure_once("request['id'] += 1; right(request)"), HasSubstr("its answer: id"));
}

TEST_F(ExecBackendTest, ATraceThatWasNotWrittenIsAnErrorAndNeverTheOneBefore) {
  const auto backend = worker("    right(request) if request['id'] == 1 else answer(request, ok=True)\n");
  (void)backend->run(problem_, {});
  EXPECT_THAT(failure_of(*backend), HasSubstr("out.safetensors"));
}

TEST_F(ExecBackendTest, AGarbledTraceIsAnError) {
  EXPECT_THAT(failure_once("open(request['out'], 'w').write('no tensors'); answer(request, ok=True)"),
              HasSubstr("out.safetensors"));
}

TEST_F(ExecBackendTest, ACommandThatDoesNotExistIsAnError) {
  EXPECT_THAT(failure_of(*make_exec_backend("exec:/no/such/program", {})),
              AllOf(HasSubstr("ended with exit status 127"), HasSubstr("/no/such/program")));
}

TEST_F(ExecBackendTest, AnEmptyCommandIsAConfigError) {
  EXPECT_THROW((void)make_exec_backend("exec:", {}), ConfigError);
}

TEST_F(ExecBackendTest, ItsNameIsTheWholeText) {
  EXPECT_EQ(make_exec_backend("exec:python3 worker.py --fast", {})->name(), "exec:python3 worker.py --fast");
}

// ---- times ----

TEST_F(ExecBackendTest, AProgramMayTimeItsOwnRuns) {
  const auto backend =
      worker("    answer(request, ok=True, seconds=[0.25 * (i + 1) for i in range(request['repeat'])])\n");
  const RunTimes times = backend->time(problem_, 3);
  EXPECT_THAT(times.seconds, testing::ElementsAre(0.25, 0.5, 0.75));
  EXPECT_FALSE(times.with_loading);
}

TEST_F(ExecBackendTest, AProgramThatDoesNotIsTimedAsAWhole) {
  const auto backend = worker("    right(request)\n");
  const RunTimes times = backend->time(problem_, 2);
  EXPECT_EQ(times.seconds.size(), 2U);
  EXPECT_TRUE(times.with_loading);
}

TEST_F(ExecBackendTest, TimesThatCannotBeAreRefused) {
  const auto failure = [&](const std::string& seconds) {
    const auto backend = worker("    answer(request, ok=True, seconds=" + seconds + ")\n");
    try {
      (void)backend->time(problem_, 2);
    } catch (const BackendError& error) {
      return std::string(error.what());
    }
    return std::string("no BackendError");
  };
  EXPECT_THAT(failure("[0.5]"), AllOf(HasSubstr("seconds"), HasSubstr("expected 2 times")));
  EXPECT_THAT(failure("[0.5, -1]"), AllOf(HasSubstr("seconds[1]"), HasSubstr("more than 0 seconds")));
  EXPECT_THAT(failure("[0.5, 0]"), HasSubstr("more than 0 seconds"));
  EXPECT_THAT(failure("'fast'"), HasSubstr("seconds"));
}

}  // namespace
}  // namespace forgecheck
