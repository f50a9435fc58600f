#include "harness/fuzz/outcome.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "reference/error.h"

namespace forgecheck {
namespace {

FuzzOutcome mismatch(const std::string& hint) {
  return {"gpu:simt", Verdict::mismatch, 12.5, "off by 3", "layers.1.attention.context", "attention.context",
          hint};
}

TEST(FuzzOutcome, ItsJsonIsTheSame) {
  for (FuzzOutcome outcome : {mismatch("the scores are not divided by sqrt(head_dim)"), mismatch(""),
                              FuzzOutcome{"a", Verdict::match}}) {
    const JsonDocument document = parse_json(to_json(outcome).dump(), "answer");
    EXPECT_EQ(read_outcome(document.root()), outcome);
  }
  FuzzOutcome infinite = mismatch("");
  infinite.used = HUGE_VAL;
  const JsonDocument document = parse_json(to_json(infinite).dump(), "answer");
  EXPECT_EQ(read_outcome(document.root()), infinite);
}

TEST(FuzzOutcome, AnUnknownVerdictOrKeyIsRefused) {
  for (const char* text :
       {R"({"candidate":"a","verdict":"wrong","used":0})", R"({"candidate":"a","verdict":"match"})",
        R"({"candidate":"a","verdict":"match","used":0,"other":1})"}) {
    const JsonDocument document = parse_json(text, "answer");
    EXPECT_THROW((void)read_outcome(document.root()), FormatError) << text;
  }
}

/// Sizes and values do not tell causes apart; candidates, taps and hints do.
TEST(CauseOf, IsTheSameForFailuresOfOneKind) {
  FuzzOutcome other = mismatch("head h reads key-value head h % 4 instead of h / 4");
  other.message = "off by 100";
  other.tap = "layers.0.attention.context";
  EXPECT_EQ(cause_of(mismatch("head h reads key-value head h % 2 instead of h / 2")), cause_of(other));
  EXPECT_NE(cause_of(mismatch("")), cause_of(other));
  other.family = "mlp";
  EXPECT_NE(cause_of(mismatch(other.hint)), cause_of(other));
  FuzzOutcome elsewhere = mismatch("");
  elsewhere.candidate = "cpu:openblas";
  EXPECT_NE(cause_of(mismatch("")), cause_of(elsewhere));
  EXPECT_EQ(cause_of(mismatch("")), "gpu:simt: mismatch at attention.context");
}

TEST(CauseOf, ACrashIsToldByTheFirstLineOfItsMessage) {
  FuzzOutcome crash{"a", Verdict::crashed, 0, "signal 11 at 0x7f\nstderr: 17"},
      other{"a", Verdict::crashed, 0, "signal 6 at 0x9f\nx"};
  EXPECT_EQ(cause_of(crash), cause_of(other));
  EXPECT_EQ(cause_of(crash), "a: crashed: signal # at #x#f");
  other.message = "gave no answer in 10 s";
  EXPECT_NE(cause_of(crash), cause_of(other));
}

TEST(IsFinding, WhatIsWrongOrCrashesOrRefusesAValidCase) {
  const auto finding = [](const std::string& candidate, Verdict verdict) {
    return is_finding({candidate, verdict, 0, "", "", "", ""});
  };
  for (const Verdict verdict : {Verdict::mismatch, Verdict::untrusted, Verdict::crashed}) {
    EXPECT_TRUE(finding("gpu:simt", verdict));
    EXPECT_TRUE(finding("exec:python worker.py", verdict));
  }
  for (const Verdict verdict : {Verdict::match, Verdict::undecided, Verdict::unsupported})
    EXPECT_FALSE(finding("gpu:simt", verdict));
  EXPECT_TRUE(finding("gpu:simt", Verdict::rejected));
  // a program may refuse what it does not have
  EXPECT_FALSE(finding("exec:python worker.py", Verdict::rejected));
  EXPECT_FALSE(finding("plugin:a.so", Verdict::rejected));
}

}  // namespace
}  // namespace forgecheck
