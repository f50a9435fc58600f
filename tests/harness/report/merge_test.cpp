// Several reports as one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

Result result_of(const std::string& file, const std::string& candidate, Verdict verdict = Verdict::match,
                 double used = 0.1) {
  Result result = result_with(verdict);
  result.file = file;
  result.candidate = candidate;
  result.judgement.used = used;
  return result;
}

std::vector<std::string> names(const MergedReport& merged) {
  std::vector<std::string> list;
  for (const Result& result : merged.report.results) {
    list.push_back(result.file + " " + result.candidate + " " + to_string(result.judgement.verdict));
  }
  return list;
}

TEST(MergeReports, HasEveryResultInOrder) {
  const MergedReport merged =
      merge_reports({{"1", {{}, {result_of("b", "golden"), result_of("c", "golden")}}},
                     {"2", {{}, {result_of("a", "golden"), result_of("b", "cpu")}}}});
  EXPECT_THAT(names(merged),
              ElementsAre("a golden match", "b cpu match", "b golden match", "c golden match"));
  EXPECT_THAT(merged.conflicts, IsEmpty());
  EXPECT_EQ(merged.repeated, 0U);
}

TEST(MergeReports, OfEqualVerdictsTheNearestToItsToleranceIsKept) {
  const MergedReport merged = merge_reports({{"1", {{}, {result_of("a", "golden", Verdict::match, 0.25)}}},
                                             {"2", {{}, {result_of("a", "golden", Verdict::match, 0.5)}}},
                                             {"3", {{}, {result_of("a", "golden", Verdict::match, 0.125)}}}});
  ASSERT_THAT(names(merged), ElementsAre("a golden match"));
  EXPECT_EQ(merged.report.results[0].judgement.used, 0.5);
  EXPECT_EQ(merged.repeated, 2U);
  EXPECT_THAT(merged.conflicts, IsEmpty());
}

TEST(MergeReports, TwoVerdictsAreBothKeptAndNamed) {
  const MergedReport merged =
      merge_reports({{"one.json", {{}, {result_of("a", "golden", Verdict::mismatch)}}},
                     {"two.json", {{}, {result_of("a", "golden", Verdict::match)}}},
                     {"three.json", {{}, {result_of("a", "golden", Verdict::match, 0.05)}}}});
  EXPECT_THAT(names(merged), ElementsAre("a golden match", "a golden mismatch"));
  EXPECT_THAT(merged.conflicts, ElementsAre("a on golden: match in two.json, mismatch in one.json"));
  EXPECT_EQ(merged.repeated, 1U);
  EXPECT_EQ(exit_status(merged.report), 1);
}

TEST(MergeReports, AnotherCaseOracleOrCandidateIsAnotherComparison) {
  Result first = result_of("a", "golden"), other_case = first, other_oracle = first, other_candidate = first;
  other_case.case_line += "1";
  other_oracle.oracle = "b.safetensors";
  other_candidate.candidate = "cpu";
  const MergedReport merged =
      merge_reports({{"1", {{}, {first, other_case, other_oracle, other_candidate}}}});
  EXPECT_EQ(merged.report.results.size(), 4U);
}

TEST(MergeReports, TheOrderOfTheReportsDoesNotMatter) {
  Result slow = result_of("a", "golden", Verdict::match, 0.5);
  slow.seconds = 7;
  Result bad = result_of("b", "cpu", Verdict::mismatch, std::numeric_limits<double>::quiet_NaN());
  std::vector<NamedReport> reports = {{"1", {{}, {result_of("a", "golden", Verdict::match, 0.5), bad}}},
                                      {"2", {{}, {slow, result_of("b", "cpu"), full_result()}}},
                                      {"3", {{}, {full_result(), bad}}}};
  const MergedReport merged = merge_reports(reports);
  const std::string text = written(write_json_report, merged.report);
  while (std::ranges::next_permutation(reports, {}, &NamedReport::name).found) {
    const MergedReport again = merge_reports(reports);
    EXPECT_EQ(written(write_json_report, again.report), text);
    EXPECT_EQ(again.conflicts, merged.conflicts);
  }
}

TEST(MergeReports, EveryVerdictIsKeptOnceAndItsRepetitionsAreCounted) {
  std::vector<NamedReport> reports;
  for (const Verdict verdict : {Verdict::crashed, Verdict::match, Verdict::mismatch, Verdict::crashed,
                                Verdict::mismatch, Verdict::match, Verdict::mismatch}) {
    reports.push_back({std::to_string(reports.size()), {{}, {result_of("a", "golden", verdict)}}});
  }
  const MergedReport merged = merge_reports(reports);
  EXPECT_THAT(names(merged), ElementsAre("a golden match", "a golden mismatch", "a golden crashed"));
  EXPECT_EQ(merged.repeated, 4U);
  EXPECT_THAT(merged.conflicts, ElementsAre("a on golden: match in 1, mismatch in 2, crashed in 0"));
}

}  // namespace
}  // namespace forgecheck
