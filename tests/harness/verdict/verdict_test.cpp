// Of two verdicts the worse one decides, whichever comes first.
#include "harness/verdict/verdict.h"

#include <gtest/gtest.h>

#include "tests/harness/verdict/tap_values.h"

namespace forgecheck {
namespace {

constexpr Verdict kFromBestToWorst[] = {
    Verdict::match,    Verdict::undecided, Verdict::unsupported, Verdict::untrusted,
    Verdict::mismatch, Verdict::rejected,  Verdict::crashed,
};

TEST(Verdicts, HaveTheNamesOfTheReports) {
  std::vector<std::string> names;
  for (const Verdict verdict : kFromBestToWorst) names.push_back(to_string(verdict));
  EXPECT_EQ(names, (std::vector<std::string>{"match", "undecided", "unsupported", "untrusted", "mismatch",
                                             "rejected", "crashed"}));
}

TEST(Verdicts, TheWorseOfEveryPairDecides) {
  ASSERT_EQ(std::size(kFromBestToWorst), std::size(kVerdicts));
  for (std::size_t i = 0; i < std::size(kFromBestToWorst); ++i) {
    for (std::size_t j = 0; j <= i; ++j) {
      EXPECT_EQ(worse(kFromBestToWorst[i], kFromBestToWorst[j]), kFromBestToWorst[i]);
      EXPECT_EQ(worse(kFromBestToWorst[j], kFromBestToWorst[i]), kFromBestToWorst[i]);
    }
  }
}

TEST(Verdicts, OnlyMatchUndecidedAndUnsupportedAreSuccesses) {
  for (const Verdict verdict : kVerdicts) {
    const std::string name = to_string(verdict);
    EXPECT_EQ(is_success(verdict), name == "match" || name == "undecided" || name == "unsupported") << name;
  }
}

}  // namespace
}  // namespace forgecheck
