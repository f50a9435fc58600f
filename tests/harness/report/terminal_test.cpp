// What is printed on the terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string failure(const Result& result, bool brief = false) {
  std::ostringstream out;
  print_failure(out, result, brief);
  return out.str();
}

TEST(PrintFailure, SaysWhatWhereAndHowToRepeat) {
  const std::string text = failure(full_result());
  EXPECT_THAT(text, testing::StartsWith("mismatch: kempnerforge/dense/mha.safetensors on cpu:openblas\n"
                                        "  layers.0.mlp is nan\n"));
  EXPECT_THAT(text, testing::EndsWith("\n  repeat: forgecheck verify --filter kempnerforge/dense/mha\n"));
  EXPECT_THAT(text, Not(HasSubstr("  norm"))) << "a tap that is right";
}

TEST(PrintFailure, SaysAllOfTheFirstDivergence) {
  const std::string text = failure(full_result());
  for (const std::string part :
       {"first divergence: layers.0.mlp; the tap before it, layers.0.mlp_norm, is right; the trace does not "
        "show "
        "layers.0.mlp.gate_proj, layers.0.mlp.hidden, where the fault may lie as well\n",
        "error: inf made here, -inf inherited; tolerance nan\n", "operation: down(silu(gate(x)) * up(x))\n",
        "source: reference/ops/mlp.cpp\n", "upstream: kempnerforge/model/mlp.py\n",
        "worst element: [0, 3, 5]: candidate 0.333333333, oracle -0.1\n", "hint: a constant factor of 1.41\n",
        "note: a run of this case takes long: not every known mistake was tried\n"}) {
    EXPECT_THAT(text, HasSubstr("\n  " + part));
  }
}

TEST(PrintFailure, WhatTheJudgeDoesNotSayIsLeftOut) {
  Result result = result_with(Verdict::mismatch);
  result.judgement.message = "logits is in A only";
  EXPECT_EQ(failure(result),
            "mismatch: kempnerforge/dense/mha.safetensors on cpu:openblas\n"
            "  logits is in A only\n"
            "  repeat: forgecheck verify --filter kempnerforge/dense/mha\n");
  result.judgement.first_divergence.emplace().tap = "logits";
  const std::string text = failure(result);
  for (const std::string label : {"operation", "source", "upstream", "worst", "hint", "note", "elements"}) {
    EXPECT_THAT(text, Not(HasSubstr(label)));
  }
}

// Of another shape there is no error to measure.
TEST(PrintFailure, WithoutAToleranceNoErrorIsPrinted) {
  Result result = result_with(Verdict::mismatch);
  result.judgement.message = "logits has shape 2x3, expected 2x4";
  FirstDivergence& first = result.judgement.first_divergence.emplace();
  first.tap = "logits";
  first.local_error = std::numeric_limits<double>::infinity();
  const std::string text = failure(result);
  EXPECT_THAT(text, Not(HasSubstr("error")));
  EXPECT_THAT(text, Not(HasSubstr("inf")));
}

TEST(PrintFailure, TheWorstTapsStandInColumns) {
  Result result = result_with(Verdict::mismatch);
  result.judgement.taps = {{"a", Verdict::mismatch, 1.0, 0.1, 10.0, "", 0.25, 1e-7},
                           {"fine", Verdict::match, 1e-9, 0.1, 1e-8, ""},
                           {"much.longer", Verdict::mismatch, 3.0, 0.001, 3000.0, "", 0.5, 0.125}};
  EXPECT_THAT(failure(result),
              HasSubstr("\n"
                        "  worst taps   error  tolerance   used  local/size  inherited/size\n"
                        "  much.longer      3      0.001  3e+03         0.5           0.125\n"
                        "  a                1        0.1     10        0.25           1e-07\n"));
}

TEST(PrintFailure, ATapWithoutAToleranceSaysWhatIsWrong) {
  Result result = result_with(Verdict::mismatch);
  result.judgement.message = "a has shape 2 in A, 3 in B";
  result.judgement.taps = {{"a", Verdict::mismatch, 1.0, 0.0, 1e9, "has shape 2 in A, 3 in B"},
                           {"b", Verdict::mismatch, 1.0, 0.0, 1e9, "is in B only"}};
  const std::string text = failure(result);
  EXPECT_THAT(text, AllOf(HasSubstr("\n  b is in B only\n"), Not(HasSubstr("tolerance"))));
  EXPECT_EQ(text.find("has shape"), text.rfind("has shape")) << "once is enough\n" << text;
}

TEST(PrintFailure, ManyBrokenTapsAreCounted) {
  Result result = full_result();
  result.judgement.taps.assign(12, {"tap", Verdict::mismatch, 1.0, 0.1, 10.0, "is wrong"});
  EXPECT_THAT(failure(result), HasSubstr("\n  and 7 more taps\n"));
}

TEST(PrintFailure, EveryBinThatHasAnElementHasABar) {
  const std::string text = failure(full_result());
  EXPECT_THAT(text, HasSubstr("elements of layers.0.mlp by the share"));
  EXPECT_THAT(text, HasSubstr("\n    none         1  #\n"));
  EXPECT_THAT(text, HasSubstr("\n    to 0.1     400  " + std::string(40, '#') + "\n"));
  EXPECT_THAT(text, HasSubstr("\n    to 1        30  ###\n"));
  EXPECT_THAT(text, HasSubstr("\n    to 100       0\n"));
}

TEST(PrintFailure, InBriefKeepsTheRepeatCommand) {
  EXPECT_EQ(failure(full_result(), true),
            "mismatch: kempnerforge/dense/mha.safetensors on cpu:openblas\n"
            "  layers.0.mlp is nan\n"
            "  repeat: forgecheck verify --filter kempnerforge/dense/mha\n");
}

TEST(PrintFailure, ForeignTextCannotPretendToBeAnything) {
  Result result = result_with(Verdict::crashed);
  result.judgement.message = "gone\n::error::mine\n\x1b[31mred\xff";
  const std::string text = failure(result);
  EXPECT_THAT(text, HasSubstr("  gone\n  | ::error::mine\n  | \\x1b[31mred\\xff\n"));
}

std::string summary(const Report& report) {
  std::ostringstream out;
  print_summary(out, report);
  return out.str();
}

TEST(PrintSummary, HasALineForEachCandidateAndDtype) {
  Result first = result_with(Verdict::match), second = first, third = first;
  first.dtype = second.dtype = "float32";
  third.dtype = "bfloat16";
  first.judgement.used = 0.125;
  second.judgement.used = 0.25;
  second.judgement.taps = {{"norm", Verdict::match, 1e-7, 1e-6, 0.1, ""},
                           {"layers.0.mlp", Verdict::match, 1e-7, 4e-7, 0.25, ""}};
  second.file = "kempnerforge/dense/gqa.safetensors";
  second.judgement.verdict = Verdict::undecided;
  third.candidate = "golden";
  third.producer = "kempnerforge";
  EXPECT_EQ(summary({{}, {first, second, third}}),
            "cpu:openblas           float32   1 match, 1 undecided  worst tolerance used: 25 % "
            "(layers.0.mlp, kempnerforge/dense/gqa)\n"
            "golden (kempnerforge)  bfloat16  1 match               worst tolerance used: 0 %\n");
}

TEST(PrintSummary, NamesNoTapWhereNoneUsedTheWorst) {
  Result result = result_with(Verdict::mismatch);
  result.judgement.taps = {{"norm", Verdict::match, 1e-7, 1e-6, 0.1, ""}};
  result.judgement.used = std::numeric_limits<double>::infinity();  // a tap that the case does not have
  EXPECT_THAT(summary({{}, {result}}),
              HasSubstr("worst tolerance used: infinite (kempnerforge/dense/mha)\n"));
}

TEST(PrintNotes, EachOnceWithTheResultsThatItIsAbout) {
  const std::string note = "image_mask is true everywhere: the trace does not test it";
  std::vector<Result> results(6, noted_result({note}));
  for (std::size_t i = 1; i < results.size(); ++i)
    results[i].file = "vlm/" + std::to_string(i) + ".safetensors";
  results.push_back(results[1]);  // another backend on the same golden
  results.back().candidate = "reference";
  results.push_back(noted_result({"another note"}));
  EXPECT_THAT(summary({{}, results}),
              testing::EndsWith("\nnote: another note (kempnerforge/dense/mha)\n"
                                "note: " +
                                note + " (kempnerforge/dense/mha, vlm/1, vlm/2 and 3 more)\n"));
}

TEST(PrintNotes, OfAFailureAreNotPrintedAndManyAreCounted) {
  EXPECT_THAT(summary({{}, {full_result()}}), Not(HasSubstr("note: ")));
  std::vector<Result> results;
  for (int i = 0; i < 13; ++i) results.push_back(noted_result({"note " + std::to_string(10 + i)}));
  EXPECT_THAT(summary({{}, results}),
              AllOf(HasSubstr("\nnote: note 19 "), Not(HasSubstr("note: note 20")),
                    testing::EndsWith("\nand 3 more notes: --json or --html lists them\n")));
}

TEST(PrintSummary, WithoutATraceNoToleranceIsUsed) {
  EXPECT_EQ(summary({{}, {result_with(Verdict::rejected), result_with(Verdict::crashed)}}),
            "cpu:openblas    1 rejected, 1 crashed\n");
}

TEST(PrintSummary, SaysWhatWasNotJudgedAndWhy) {
  Result result = result_with(Verdict::unsupported);
  result.judgement.message = "gradients are not supported yet";
  EXPECT_THAT(summary({{}, {result, result}}),
              HasSubstr("\n2 not judged, kempnerforge/dense: gradients are not supported yet\n"));
}

// A small error may break a small tolerance by more than a large one breaks a large one.
TEST(PrintFailure, TheWorstTapIsTheOneThatUsedMostOfItsTolerance) {
  Result result = result_with(Verdict::mismatch);
  result.judgement.taps.assign(5, {"large", Verdict::mismatch, 1.0, 0.1, 10.0, ""});
  result.judgement.taps.push_back({"small", Verdict::mismatch, 0.001, 1e-6, 1000.0, ""});
  const std::string text = failure(result);
  EXPECT_LT(text.find("\n  small  "), text.find("\n  large  ")) << text;
  EXPECT_THAT(text, HasSubstr("\n  and 1 more taps\n"));
}

TEST(PrintSummary, SaysTheWorstShareWhereverThereWasATrace) {
  for (const Verdict verdict : kVerdicts) {
    Result result = result_with(verdict);
    result.judgement.used = 0.5;
    const bool trace = verdict == Verdict::match || verdict == Verdict::undecided ||
                       verdict == Verdict::mismatch || verdict == Verdict::untrusted;
    EXPECT_EQ(testing::Value(summary({{}, {result}}), HasSubstr("worst tolerance used: 50 %")), trace)
        << to_string(verdict);
    // One trace of many is enough, wherever it stands.
    Result none = result_with(Verdict::rejected);
    for (const std::vector<Result>& all : {std::vector{result, none}, {none, result}}) {
      EXPECT_EQ(testing::Value(summary({{}, all}), HasSubstr("worst tolerance used: 50 %")), trace)
          << to_string(verdict);
    }
  }
}

}  // namespace
}  // namespace forgecheck
