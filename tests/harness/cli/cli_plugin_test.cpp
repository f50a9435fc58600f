// Plugins, through the command line: the example is right, and each that breaks is one line of the report.
#include "tests/harness/cli/breaking_program.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kFolder = FORGECHECK_SOURCE_DIR;
const std::string kCaseOfCliPlugin =
    "dense[dim=16,n_layers=2,n_heads=2,vocab_size=23,ffn_hidden_dim=24]/batch=2,text_len=5/seed=";

class Plugin : public BreakingProgram {
 protected:
  Plugin() : BreakingProgram(kCaseOfCliPlugin) {}

  /// examples/plugin.c, where its second run in a process does `wrong`.
  void build(const std::string& wrong, const std::string& instead_of = "",
             const std::string& with = "") const {
    std::string source = file_text(kFolder + "/examples/plugin.c");
    const std::string begin = "  const struct model* m = model;\n";
    const std::size_t at_begin = source.find(begin);
    ASSERT_NE(at_begin, std::string::npos);
    source.insert(at_begin + begin.size(), "  static int runs;\n  if (++runs == 2) {\n" + wrong + "\n  }\n");
    if (!instead_of.empty()) {
      const std::size_t place = source.find(instead_of);
      ASSERT_NE(place, std::string::npos) << instead_of;
      source.replace(place, instead_of.size(), with);
    }
    write("plugin.c", source);
    const std::string command = "cc -O1 -w -shared -fPIC -I '" + kFolder + "/harness/backend' '" +
                                at("plugin.c").string() + "' -o '" + at("plugin.so").string() + "' -lm";
    ASSERT_EQ(std::system(command.c_str()), 0);
  }

  std::vector<std::string> verdicts() const { return verdicts_of("plugin:plugin.so"); }
};

TEST_F(Plugin, TheExampleComputesWhatTheReferenceDoes) {
  build("");
  EXPECT_THAT(verdicts(), ElementsAre("match", "match", "match", ""));
  const Outcome outcome =
      run({"verify", "--golden", golden_path("kempnerforge/dense"), "--backend", "plugin:plugin.so"});
  EXPECT_THAT(outcome.out,
              testing::ContainsRegex("plugin:plugin.so +float32 +[0-9]+ match, [0-9]+ rejected"));
}

TEST_F(Plugin, ThatBreaksIsOneResultAndTheRestGoesOn) {
  for (const auto& [wrong, verdict, message] : std::vector<std::array<std::string, 3>>{
           {"*(volatile int*)0 = 1;", "crashed", "signal 11"},
           {"exit(3);", "crashed", "ended with exit status 3"},
           {"for (;;) ;", "crashed", "gave no answer in 6 s"},
           {"volatile char* p = malloc(700000000); for (long i = 0; i < 700000000; i += 4096) p[i] = 1; "
            "for (;;) ;",
            "crashed", "GB of memory"},
           {"sprintf(error, \"no more\"); return FORGECHECK_FAILED;", "crashed", "returned 2: no more"},
           {"sprintf(error, \"not mine\"); return FORGECHECK_REFUSED;", "rejected", "not mine"},
           {"return FORGECHECK_OK;", "untrusted", "has no output"},
           {"printf(\"{\\\"id\\\": 2, \\\"ok\\\": true}\\n\"); fflush(stdout); return FORGECHECK_OK;",
            "untrusted", "has no output"},
           {"struct forgecheck_tensor t = {\"logits\", 9, 1, 0, 0}; out->give(out->host, &t);", "crashed",
            "gave a tap \"logits\" of dtype 9"},
           {"int64_t s[] = {1LL << 40, 1LL << 40}; struct forgecheck_tensor t = {\"logits\", 1, 2, s, &t}; "
            "out->give(out->host, &t);",
            "crashed", "gave a tap \"logits\" of shape"},
           {"int64_t s[] = {2}; struct forgecheck_tensor t = {\"logits\", 1, 1, s, 0}; out->give(out->host, "
            "&t);",
            "crashed", "gave a tap \"logits\" without data"},
           {"int64_t s[] = {2}; float x[] = {1, 2}; struct forgecheck_tensor t = {\"logits\", 1, 1, s, x}; "
            "out->give(out->host, &t); return FORGECHECK_OK;",
            "mismatch", "shape"}}) {
    SCOPED_TRACE(wrong);
    build(wrong);
    const std::vector<std::string> found = verdicts();
    ASSERT_EQ(found.size(), 4U);
    EXPECT_EQ(found[0], "match");
    EXPECT_EQ(found[1], verdict);
    EXPECT_EQ(found[2], "match");
    EXPECT_THAT(found[3], HasSubstr(message));
  }
}

TEST_F(Plugin, WhatItPrintsIsNoAnswer) {
  build("printf(\"hello\\n{\\\"id\\\": 2, \\\"ok\\\": true}\\n\"); fflush(stdout);");
  EXPECT_THAT(verdicts(), ElementsAre("match", "match", "match", ""));
}

TEST_F(Plugin, ANumberThatIsNoneIsAMismatch) {
  const std::string logits = "  give(out, \"logits\"";
  build("", logits, "  if (runs == 2) logits[3] = NAN;\n" + logits);
  EXPECT_THAT(verdicts(), ElementsAre("match", "mismatch", "match", HasSubstr("logits is nan at [0, 0, 3]")));
}

TEST_F(Plugin, OneThatCannotBeUsedIsToldByItsReason) {
  build("", "{ return FORGECHECK_PLUGIN_VERSION; }", "{ return 99; }");
  EXPECT_THAT(verdicts()[3], HasSubstr("has version 99 of the interface, not 1"));
  build("", "void forgecheck_plugin_destroy(", "void destroy_it(");
  EXPECT_THAT(verdicts()[3], HasSubstr("has no function forgecheck_plugin_destroy"));
  write("plugin.so", "no library");
  EXPECT_THAT(verdicts()[3], HasSubstr("cannot be loaded: "));
  expect_refused({"verify", "--golden", "store", "--backend", "plugin:none.so"},
                 {"backend \"plugin:none.so\": none.so is not a file"});
  expect_refused({"verify", "--golden", "store", "--backend", "plugin:"},
                 {"backend \"plugin:\": \"\" is not a file"});
}

TEST_F(Plugin, OnlyTapsThatAreAskedForAreWantedAndRead) {
  const std::string tokens = "  const int64_t* tokens";
  build("", tokens, "  if (out->wants(out->host, \"logits\")) abort();\n" + tokens);
  const Outcome outcome =
      run({"run", kCaseOfCliPlugin + "1", "--backend", "plugin:plugin.so", "--taps", "layers.1.mlp*"});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_THAT(outcome.out, testing::Not(HasSubstr("logits")));
  EXPECT_THAT(outcome.out, HasSubstr("layers.1.mlp.hidden"));
}

}  // namespace
}  // namespace forgecheck
