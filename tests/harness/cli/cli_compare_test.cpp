// What `compare` says of two traces.
#include "tests/harness/cli/judging_program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Compare = JudgingProgram;

TEST_F(Compare, AFolderIsCalledAFolder) {
  copy_golden("a.safetensors");
  std::filesystem::create_directory(at("folder"));
  const std::string what = "folder: is a folder, expected a .safetensors file";
  expect_refused({"compare", "folder", "folder"}, {what});
  expect_refused({"compare", "a.safetensors", "folder"}, {what});
  expect_refused({"compare", "folder", "a.safetensors"}, {what});
  expect_refused({"compare", "a.safetensors", "gone"}, {"gone: is not there"});
  std::filesystem::create_symlink("loop", at("loop"));
  expect_refused({"compare", "loop", "a.safetensors"}, {"loop: cannot be opened"});
}

TEST_F(Compare, AFileWithItselfSaysNothing) {
  copy_golden("a.safetensors");
  std::filesystem::create_hard_link(at("a.safetensors"), at("linked.safetensors"));
  for (const std::string other : {"a.safetensors", "./a.safetensors", "linked.safetensors"}) {
    SCOPED_TRACE(other);
    const Outcome outcome = run({"compare", "a.safetensors", other});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.out, AllOf(HasSubstr("untrusted"), HasSubstr("same file")));
  }
}

TEST_F(Compare, EqualCopiesBothMatchTheOracle) {
  copy_golden("a.safetensors");
  copy_golden("b.safetensors");
  const Outcome outcome = run({"compare", "a.safetensors", "b.safetensors", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("2 match"));
  EXPECT_EQ(report("r.json")["summary"], (json{{"match", 2}}));
}

TEST_F(Compare, TheOneThatIsWrongIsNamed) {
  copy_golden("a.safetensors");
  write_tampered("b.safetensors");
  const Outcome outcome = run({"compare", "a.safetensors", "b.safetensors", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("b.safetensors: mismatch"), HasSubstr(kTampered),
                                 HasSubstr("repeat: forgecheck compare a.safetensors b.safetensors")));
  const json found = report("r.json");
  EXPECT_EQ(found["results"][0]["verdict"], "match");
  EXPECT_EQ(found["results"][1]["verdict"], "mismatch");
}

TEST_F(Compare, TracesWithoutACaseAreComparedByValue) {
  const auto write_trace = [&](const std::string& name, float last) {
    write_safetensors(at(name), {{"logits", Array::from(Tensor<float>({3}, {1.0F, 2.0F, last}))}}, {});
  };
  write_trace("a.safetensors", 3.0F);
  write_trace("b.safetensors", 3.0F);
  write_trace("c.safetensors", 3.5F);
  EXPECT_EQ(run({"compare", "a.safetensors", "b.safetensors"}).status, 0);
  const Outcome outcome = run({"compare", "a.safetensors", "c.safetensors"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("logits"));
}

TEST_F(Compare, GoldensOfOtherCasesAreRefused) {
  expect_refused({"compare", golden_path("kempnerforge/dense/mha.safetensors"),
                  golden_path("kempnerforge/dense/mha_default_kv_heads.safetensors")},
                 {"mha_default_kv_heads.safetensors", "another case"});
}

// Judged at the other's type the wrong one is right, or the right one is wrong; its indices are integers.
TEST_F(Compare, EachTraceIsJudgedAtTheTypeThatItWasComputedIn) {
  const std::string moe = "moe[dim=16,n_layers=1,n_heads=2,vocab_size=23,num_experts=4]/text_len=5/seed=7";
  ASSERT_EQ(run({"run", moe, "--save", "f32.safetensors"}).status, 0);
  ASSERT_EQ(run({"run", moe, "--backend", "reference:f64", "--save", "f64.safetensors"}).status, 0);
  EXPECT_EQ(run({"compare", "f32.safetensors", "f64.safetensors"}).status, 0);

  SafetensorsFile file = read_safetensors(at("f64.safetensors"));
  Array& tap = file.tensors.at("expected.layers.0.mlp");
  Tensor<double> values = tap.to<double>();
  values[3] += 1e-9;
  tap = Array::from(values);
  write_safetensors(at("wrong.safetensors"), file.tensors, file.metadata);
  const std::vector<std::string> names = {"f32.safetensors", "wrong.safetensors"};
  for (const std::size_t first : {0, 1}) {
    SCOPED_TRACE(names[first] + " first");
    const Outcome outcome = run({"compare", names[first], names[1 - first], "--json", "r.json"});
    EXPECT_EQ(outcome.status, 1);
    const json results = report("r.json")["results"];
    ASSERT_EQ(results.size(), 2U);
    EXPECT_EQ(results[first]["file"], "f32.safetensors");
    EXPECT_EQ(results[first]["verdict"], "match");
    EXPECT_EQ(results[1 - first]["file"], "wrong.safetensors");
    EXPECT_EQ(results[1 - first]["verdict"], "mismatch");
    EXPECT_EQ(results[1 - first]["first_divergence"]["tap"], "layers.0.mlp");
  }
}

TEST_F(Compare, TheCaseMayStandInEitherFile) {
  copy_golden("golden.safetensors");
  const SafetensorsFile golden = read_safetensors(at("golden.safetensors"));
  std::map<std::string, Array> plain;
  for (const auto& [name, array] : golden.tensors) {
    plain.emplace(name.starts_with("expected.") ? name.substr(9) : name, array);
  }
  write_safetensors(at("plain.safetensors"), plain, {});
  for (const auto& [a, b] :
       {std::pair("golden.safetensors", "plain.safetensors"), {"plain.safetensors", "golden.safetensors"}}) {
    const Outcome outcome = run({"compare", a, b, "--json", "r.json"});
    EXPECT_EQ(outcome.status, 0) << outcome.out;
    const json results = report("r.json")["results"];
    ASSERT_EQ(results.size(), 2U);
    EXPECT_EQ(results[0]["file"], a);
    EXPECT_EQ(results[1]["file"], b);
    for (const json& result : results) {
      EXPECT_EQ(result["verdict"], "match");
      EXPECT_EQ(result["oracle"], "reference:f64");
      EXPECT_THAT(result["case"].get<std::string>(), testing::StartsWith("dense"));
      EXPECT_EQ(result["candidate"], result["file"]);
    }
  }
}

TEST_F(Compare, OnlyTapsOfForeignFilesAreCompared) {
  const Array same = Array::from(Tensor<float>({1}, {5.0F})), one = Array::from(Tensor<float>({1}, {1.0F})),
              two = Array::from(Tensor<float>({1}, {2.0F}));
  write_safetensors(at("a.safetensors"), {{"input.tokens", one}, {"logits", same}}, {});
  write_safetensors(at("b.safetensors"), {{"input.tokens", two}, {"logits", same}}, {});
  write_safetensors(at("c.safetensors"), {{"expected.logits", same}, {"weight", one}}, {});
  for (const std::string other : {"b.safetensors", "c.safetensors"}) {
    const Outcome outcome = run({"compare", "a.safetensors", other, "--json", "r.json"});
    EXPECT_EQ(outcome.status, 0) << outcome.out;
    EXPECT_EQ(report("r.json")["results"][0]["taps"].size(), 1U);
  }
}

TEST_F(Compare, SaysWhichOfTheTwoHasWhat) {
  const Array two = Array::from(Tensor<float>({2})), three = Array::from(Tensor<float>({3}));
  write_safetensors(at("a.safetensors"), {{"logits", two}, {"norm", two}}, {});
  write_safetensors(at("b.safetensors"), {{"logits", three}, {"other", two}}, {});
  const Outcome outcome = run({"compare", "a.safetensors", "b.safetensors", "--json", "r.json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("\n  logits has shape 2 in A, 3 in B\n"), HasSubstr("\n  norm is in A only\n"),
                    HasSubstr("\n  other is in B only\n")));
  const json result = report("r.json")["results"][0];
  EXPECT_EQ(result["candidate"], "b.safetensors");
  EXPECT_EQ(result["oracle"], "a.safetensors");
}

}  // namespace
}  // namespace forgecheck
