// Workflow commands for GitHub.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string annotations(const std::vector<Result>& results) {
  std::ostringstream out;
  print_annotations(out, {{}, results});
  return out.str();
}

TEST(Annotations, OfSuccessesThereAreNone) {
  EXPECT_EQ(annotations({result_with(Verdict::match), result_with(Verdict::unsupported)}), "");
}

TEST(Annotations, AFailureIsAnErrorOnOneLine) {
  EXPECT_EQ(
      annotations({full_result()}),
      "::error file=kempnerforge/dense/mha.safetensors,title=mismatch%3A kempnerforge/dense/mha.safetensors "
      "on cpu%3Aopenblas::layers.0.mlp is nan%0Afirst divergence: layers.0.mlp; the tap before it, "
      "layers.0.mlp_norm, is right; the trace does not show layers.0.mlp.gate_proj, layers.0.mlp.hidden, "
      "where the fault may lie as well%0Ahint: a constant factor of 1.41%0Aundecided: "
      "layers.0.mlp.router.indices of token 4, margin 1e-09, bound 1e-07%0Arepeat: forgecheck verify "
      "--filter kempnerforge/dense/mha\n");
}

TEST(Annotations, AnUndecidedResultIsANoticeWithItsFirstChoices) {
  Result result = result_with(Verdict::undecided);
  result.judgement.undecided.assign(7, full_result().judgement.undecided[0]);
  const std::string text = annotations({result});
  EXPECT_THAT(text, StartsWith("::notice file="));
  EXPECT_THAT(text, HasSubstr("%0Aand 2 more undecided choices%0Arepeat: "));
}

TEST(Annotations, NotesAreANoticeOnceForAGolden) {
  Result other = noted_result({"image_mask is true everywhere", "one, two"});
  other.candidate = "reference";
  EXPECT_EQ(annotations({noted_result({"image_mask is true everywhere", "one, two"}), other}),
            "::notice file=kempnerforge/dense/mha.safetensors,title=note%3A "
            "kempnerforge/dense/mha.safetensors::image_mask is true everywhere%0Aone, two%0Arepeat: "
            "forgecheck verify --filter kempnerforge/dense/mha\n");
  EXPECT_THAT(annotations({full_result()}), testing::Not(HasSubstr("::notice")));
}

TEST(Annotations, WhatGithubWouldMisreadIsEscaped) {
  Result result = result_with(Verdict::crashed);
  result.file = "a,b:c%.safetensors";
  result.judgement.message = "100%, a: b\r\n::error::no";
  const std::string text = annotations({result});
  EXPECT_THAT(text,
              StartsWith("::error file=a%2Cb%3Ac%25.safetensors,title=crashed%3A a%2Cb%3Ac%25.safetensors "
                         "on cpu%3Aopenblas::100%25, a: b\\x0d%0A::error::no%0A"));
  EXPECT_EQ(std::ranges::count(text, '\n'), 1);
}

TEST(Annotations, FilesAreNamedFromTheWorkingFolder) {
  const auto file_in = [](const std::filesystem::path& folder) {
    std::ostringstream out;
    print_annotations(out, {{}, {result_with(Verdict::mismatch)}, folder});
    return out.str().substr(0, out.str().find(','));
  };
  const std::string name = "kempnerforge/dense/mha.safetensors";
  EXPECT_EQ(file_in("golden"), "::error file=golden/" + name);
  EXPECT_EQ(file_in("./tests/../golden"), "::error file=golden/" + name);
  EXPECT_EQ(file_in(std::filesystem::current_path() / "golden"), "::error file=golden/" + name);
  EXPECT_EQ(file_in("/elsewhere"), "::error file=/elsewhere/" + name);
  EXPECT_EQ(file_in("../golden"), "::error file=../golden/" + name);
}

TEST(Annotations, WithoutAFileTheTitleStandsAlone) {
  Result result = result_with(Verdict::mismatch);
  result.file.clear();
  EXPECT_THAT(annotations({result}),
              StartsWith("::error title=mismatch%3A dense/batch=2%2Ctext_len=8/seed=0"));
}

TEST(Annotations, AreTenOfAKindAtMost) {
  std::vector<Result> results(10, result_with(Verdict::mismatch));
  std::string text = annotations(results);
  EXPECT_EQ(std::ranges::count(text, '\n'), 10);
  EXPECT_EQ(text.find("more"), std::string::npos);
  results.resize(15, result_with(Verdict::crashed));
  results.resize(40, result_with(Verdict::undecided));
  text = annotations(results);
  EXPECT_EQ(std::ranges::count(text, '\n'), 20);
  EXPECT_THAT(text, HasSubstr("\n::error title=forgecheck::and 6 more, see the log\n::notice file="));
  EXPECT_THAT(text, testing::EndsWith("\n::notice title=forgecheck::and 16 more, see the log\n"));
}

TEST(Annotations, EachGoldenHasANoticeOfItsNotes) {
  Result other = noted_result({"image_mask is true everywhere"});
  other.file = "kempnerforge/vlm/mot.safetensors";
  const std::string text = annotations({noted_result({"image_mask is true everywhere"}), other});
  EXPECT_EQ(std::ranges::count(text, '\n'), 2);
  EXPECT_THAT(text, HasSubstr("title=note%3A kempnerforge/dense/mha.safetensors::image_mask"));
  EXPECT_THAT(text, HasSubstr("title=note%3A kempnerforge/vlm/mot.safetensors::image_mask"));
}

}  // namespace
}  // namespace forgecheck
