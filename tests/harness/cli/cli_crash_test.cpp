// Backends that fail: for want of the device's memory, and of the machine's.
#include <csignal>
#include <pugixml.hpp>

#include "harness/backend/gpu_backend.h"
#include "tests/harness/cli/judging_program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

const std::string kSmall = "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23]/text_len=3/seed=3";

/// No device has room for the keys of so many tokens.
const std::string kTooLarge =
    "dense[dim=16,n_layers=1,n_heads=2,vocab_size=23,max_seq_len=100000000000]/text_len=3/"
    "generate=10000000000";

/// Under this limit the reference runs, and the emulator, whose device has 64 GiB of addresses, does not.
const std::string kLittleMemory = "ulimit -v 8000000";

class Crash : public JudgingProgram {
 protected:
  void SetUp() override {
    if (!simt_unavailable().empty()) GTEST_SKIP() << simt_unavailable();
#ifdef __SANITIZE_ADDRESS__
    GTEST_SKIP() << "the sanitizer needs more addresses than any limit leaves";
#endif
  }
};

TEST_F(Crash, OfABackendIsStatusOneWithItsMessage) {
  write("cases.txt", "one " + kTooLarge + "\n");
  std::filesystem::create_directory(at("store"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"run", kTooLarge, "--save", "saved.safetensors", "--backend", "gpu:simt"},
        {"golden", "record", "--golden", "store", "--cases", "cases.txt", "--out", "store", "--backend",
         "gpu:simt"}}) {
    SCOPED_TRACE(words[0]);
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, AllOf(StartsWith("forgecheck: out of device memory: KV cache, keys (2x2x"),
                                   testing::EndsWith(" needs 1280000000384 bytes\n")));
  }
  EXPECT_FALSE(std::filesystem::exists(at("saved.safetensors")));
  EXPECT_TRUE(std::filesystem::is_empty(at("store")));
}

TEST_F(Crash, OutOfMemoryIsStatusOne) {
  const Outcome outcome = run_under(kLittleMemory, {"run", kSmall, "--backend", "gpu:simt"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "forgecheck: out of memory\n");
  EXPECT_EQ(run_under(kLittleMemory, {"run", kSmall, "--backend", "reference"}).status, 0);
}

TEST_F(Crash, OfABackendIsOneResultOfEachCaseInEveryForm) {
  copy_golden("store/a.safetensors");
  copy_golden("store/z.safetensors");
  setenv("GITHUB_ACTIONS", "true", 1);
  const Outcome outcome = run_under(
      kLittleMemory, {"verify", "--golden", "store", "--backend", "gpu:simt", "--backend", "reference",
                      "--gpu-runs", "3", "--json", "r.json", "--junit", "r.xml", "--html", "r.html"});
  unsetenv("GITHUB_ACTIONS");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_EQ(outcome.err, "");
  const json results = report("r.json")["results"];
  ASSERT_EQ(results.size(), 6U);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const json& result = results[i];
    const std::string name = i < 3 ? "a" : "z";
    EXPECT_EQ(result["file"], name + ".safetensors");
    EXPECT_EQ(result["candidate"], std::vector({"golden", "gpu:simt", "reference"})[i % 3]);
    EXPECT_EQ(result["verdict"], i % 3 == 1 ? "crashed" : "match");
    EXPECT_EQ(result["message"], i % 3 == 1 ? "out of memory" : "");
    if (i % 3 == 1) {
      EXPECT_EQ(result["repeat"],
                "forgecheck verify --golden store --filter " + name + " --backend gpu:simt --gpu-runs 3");
    }
  }
  EXPECT_THAT(
      outcome.out,
      AllOf(HasSubstr("crashed: a.safetensors on gpu:simt\n  out of memory\n  repeat: forgecheck verify"),
            HasSubstr("gpu:simt               float32  2 crashed\n"), HasSubstr("2 goldens, 6 traces in "),
            HasSubstr(": 4 match, 2 crashed\n"),
            HasSubstr("::error file=store/a.safetensors,title=crashed%3A a.safetensors on gpu%3Asimt::"
                      "out of memory%0Arepeat: ")));
  pugi::xml_document document;
  ASSERT_TRUE(document.load_file(at("r.xml").c_str()));
  EXPECT_EQ(document.child("testsuites").attribute("errors").as_int(), 2);
  EXPECT_THAT(file_text(at("r.html")), HasSubstr("data-open=\"1\""));
}

// The oracle has no room for the tokens that a recording claims to have been asked for.
TEST_F(Crash, ARecordingThatTheMemoryIsTooSmallForIsOneCrashedResult) {
  copy_golden("store/a.safetensors");
  copy_golden("store/z.safetensors");
  const std::string few = kTooLarge.substr(0, kTooLarge.rfind('=')) + "=2";
  ASSERT_EQ(run({"run", few, "--save", "m.safetensors"}).status, 0);
  SafetensorsFile file = read_safetensors(at("m.safetensors"));
  json claims = json::parse(file.metadata.at("forgecheck"));
  claims["case"]["generate"]["max_new_tokens"] = 10000000000;
  file.metadata["forgecheck"] = claims.dump();
  write_safetensors(at("store/m.safetensors"), file.tensors, file.metadata);
  const Outcome outcome =
      run_under(kLittleMemory, {"verify", "--golden", "store", "--backend", "reference", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 1) << outcome.err;
  const json found = report("r.json");
  EXPECT_EQ(found["summary"], (json{{"match", 4}, {"crashed", 1}}));
  EXPECT_EQ(found["results"][2]["file"], "m.safetensors");
  EXPECT_EQ(found["results"][2]["candidate"], "golden");
  EXPECT_EQ(found["results"][2]["verdict"], "crashed");
  EXPECT_EQ(found["results"][2]["message"], "out of memory");
}

// So many runs do not end within a second of the processor's time; one does.
TEST_F(Crash, EveryGpuRunThatWasAskedForIsMade) {
  copy_golden("store/a.safetensors");
  const std::vector<std::string> words = {"verify",   "--golden",   "store", "--backend",
                                          "gpu:simt", "--gpu-runs", "1"};
  EXPECT_EQ(run(words).status, 0);
  std::vector<std::string> many = words;
  many.back() = "1000000";
  EXPECT_EQ(run_under("ulimit -S -t 1", many).status, 128 + SIGXCPU);
}

}  // namespace
}  // namespace forgecheck
