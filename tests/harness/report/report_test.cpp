// What a report means as a whole: counts, the exit status, and the words of its summary.
#include "harness/report/report.h"

#include "reference/error.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "tests/harness/report/results.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(CountVerdicts, AreInTheOrderOfTheEnumerationWithoutZeros) {
  const std::vector<Result> results = {result_with(Verdict::crashed), result_with(Verdict::match),
                                       result_with(Verdict::crashed), result_with(Verdict::undecided)};
  EXPECT_THAT(count_verdicts(results), ElementsAre(Pair(Verdict::match, 1U), Pair(Verdict::undecided, 1U),
                                                   Pair(Verdict::crashed, 2U)));
  EXPECT_TRUE(count_verdicts({}).empty());
}

TEST(ExitStatus, IsZeroOnlyWhereEveryResultIsASuccess) {
  for (const Verdict verdict : {Verdict::match, Verdict::undecided, Verdict::unsupported}) {
    EXPECT_EQ(exit_status({{}, {result_with(verdict)}}), 0) << to_string(verdict);
  }
  for (const Verdict verdict : {Verdict::mismatch, Verdict::untrusted, Verdict::rejected, Verdict::crashed}) {
    EXPECT_EQ(exit_status({{}, {result_with(verdict)}}), 1) << to_string(verdict);
    EXPECT_EQ(
        exit_status({{}, {result_with(Verdict::match), result_with(verdict), result_with(Verdict::match)}}),
        1)
        << to_string(verdict);
  }
}

TEST(ExitStatus, OfAReportAboutNothingIsAFailure) {
  EXPECT_EQ(exit_status({}), 1);
}

TEST(Verdicts, AreAllListedAndHaveNamesOfTheirOwn) {
  std::set<std::string> names;
  int value = 0;
  for (const Verdict verdict : kVerdicts) {
    EXPECT_EQ(static_cast<int>(verdict), value++);
    names.insert(to_string(verdict));
  }
  EXPECT_EQ(names.size(), std::size(kVerdicts));
  EXPECT_THROW(to_string(static_cast<Verdict>(value)), Error) << "a verdict is not in kVerdicts";
}

TEST(SummaryLine, CountsEachVerdict) {
  EXPECT_EQ(summary_line({{}, {result_with(Verdict::match), result_with(Verdict::crashed)}}),
            "1 match, 1 crashed");
  EXPECT_EQ(summary_line({}), "nothing was judged");
}

}  // namespace
}  // namespace forgecheck
