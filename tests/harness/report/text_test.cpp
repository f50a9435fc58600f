// The words that the forms of a report share.
#include "harness/report/text.h"

#include <gtest/gtest.h>

#include <limits>

namespace forgecheck {
namespace {

TEST(Printable, TextStaysAsItIs) {
  const std::string text = "a line\n\ta tab, \xC2\xA0\xC3\xA9\xE2\x88\x98\xF0\x9F\x98\x80\xF4\x8F\xBF\xBD";
  EXPECT_EQ(printable(text), text);
  EXPECT_EQ(printable(""), "");
}

TEST(Printable, ControlCharactersAreWrittenOut) {
  EXPECT_EQ(printable(std::string_view("a\0b\x1b[31m\r\x7f", 10)), "a\\x00b\\x1b[31m\\x0d\\x7f");
  EXPECT_EQ(printable("\xC2\x9B"), "\\xc2\\x9b") << "the control characters beyond ASCII";
  EXPECT_EQ(printable("\xEF\xBF\xBE\xEF\xBF\xBF"), "\\xef\\xbf\\xbe\\xef\\xbf\\xbf") << "no characters";
}

TEST(Printable, BytesThatAreNoUtf8AreWrittenOut) {
  EXPECT_EQ(printable("\x80x\xff"), "\\x80x\\xff");
  EXPECT_EQ(printable("\xC3"), "\\xc3") << "cut off";
  EXPECT_EQ(printable("\xE2\x88x"), "\\xe2\\x88x") << "cut off";
  EXPECT_EQ(printable("\xC0\xAF"), "\\xc0\\xaf") << "longer than need be";
  EXPECT_EQ(printable("\xE0\x9F\xBF"), "\\xe0\\x9f\\xbf") << "longer than need be";
  EXPECT_EQ(printable("\xED\xA0\x80"), "\\xed\\xa0\\x80") << "a surrogate";
  EXPECT_EQ(printable("\xF4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80") << "beyond U+10FFFF";
}

TEST(ShortNumber, HasThreeDigits) {
  EXPECT_EQ(short_number(0.00668396463), "0.00668");
  EXPECT_EQ(short_number(1.0 / 3, 9), "0.333333333");
  EXPECT_EQ(short_number(std::numeric_limits<double>::infinity()), "inf");
}

TEST(Counted, OneIsSingular) {
  EXPECT_EQ(counted(0, "trace"), "0 traces");
  EXPECT_EQ(counted(1, "trace"), "1 trace");
  EXPECT_EQ(counted(2, "trace"), "2 traces");
}

TEST(Percent, NeverRoundsWhatIsBeyondToTheTolerance) {
  EXPECT_EQ(percent(0), "0 %");
  EXPECT_EQ(percent(0.00321), "0.32 %");
  EXPECT_EQ(percent(0.532), "53 %");
  EXPECT_EQ(percent(0.998), "100 %");
  EXPECT_EQ(percent(1.001), "101 %");
  EXPECT_EQ(percent(2680), "2.68e+05 %");
  EXPECT_EQ(percent(std::numeric_limits<double>::infinity()), "infinite");
}

TEST(Subject, IsTheFileElseTheCaseElseTheCandidate) {
  Result result;
  result.candidate = "b.safetensors";
  EXPECT_EQ(subject(result), "b.safetensors");
  result.case_line = "dense/seed=1";
  EXPECT_EQ(subject(result), "dense/seed=1");
  result.file = "dense/mha.safetensors";
  EXPECT_EQ(subject(result), "dense/mha.safetensors");
}

TEST(Comparison, NamesTheCandidateOnce) {
  Result result;
  result.candidate = "cpu:openblas";
  result.file = "dense/mha.safetensors";
  EXPECT_EQ(comparison(result), "dense/mha.safetensors on cpu:openblas");
  result.candidate = result.file;
  EXPECT_EQ(comparison(result), "dense/mha.safetensors");
}

TEST(Place, SaysWhatIsRightAndWhatCannotBeSeen) {
  FirstDivergence first;
  first.tap = "c";
  EXPECT_EQ(place(first), "c");
  first.after = "a";
  EXPECT_EQ(place(first), "c; the tap before it, a, is right");
  first.between = {"b1", "b2"};
  EXPECT_EQ(
      place(first),
      "c; the tap before it, a, is right; the trace does not show b1, b2, where the fault may lie as well");
  first.between = {"b1", "b2", "b3", "b4", "b5", "b6"};
  EXPECT_NE(place(first).find("b1, b2, b3, b4 and 2 more"), std::string::npos) << place(first);
}

TEST(BinLabel, NamesEachBinOnce) {
  EXPECT_EQ(bin_label(0), "none");
  EXPECT_EQ(bin_label(1), "to 0.01");
  EXPECT_EQ(bin_label(5), "to 100");
  EXPECT_EQ(bin_label(6), "above 100");
}

}  // namespace
}  // namespace forgecheck
