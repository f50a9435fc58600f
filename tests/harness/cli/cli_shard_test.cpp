// Parts of a verification: several filters, shards, and what a merge misses.
#include "tests/harness/cli/judging_program.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

class Parts : public JudgingProgram {
 protected:
  void SetUp() override {
    for (const std::string name : {"a", "b", "c", "d", "e"}) copy_golden("store/" + name + ".safetensors");
  }
  /// The goldens that were judged.
  std::vector<std::string> judged(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"verify", "--golden", "store", "--backend",
                                      "golden", "--json",   "r.json"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = run(words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::vector<std::string> names;
    const json document = report("r.json");
    for (const json& result : document["results"])
      names.push_back(result["file"].get<std::string>().substr(0, 1));
    return names;
  }
};

TEST_F(Parts, SeveralFiltersAddUp) {
  EXPECT_THAT(judged({"--filter", "b", "--filter", "d"}), ElementsAre("b", "d"));
  EXPECT_THAT(judged({"--filter", "b", "--filter", "?"}), ElementsAre("a", "b", "c", "d", "e"));
}

TEST_F(Parts, EachFilterMustNameOne) {
  expect_refused({"verify", "--golden", "store", "--filter", "a", "--filter", "x"},
                 {"--filter \"x\": no golden in store has such a name"});
}

TEST_F(Parts, ShardsAreDisjointAndTogetherAll) {
  EXPECT_THAT(judged({"--shard", "1/2"}), ElementsAre("a", "c", "e"));
  EXPECT_THAT(judged({"--shard", "2/2"}), ElementsAre("b", "d"));
  EXPECT_THAT(judged({"--shard=5/5"}), ElementsAre("e"));
  // Of what the filters leave.
  EXPECT_THAT(judged({"--filter", "b", "--filter", "c", "--filter", "d", "--shard", "2/3"}),
              ElementsAre("c"));
}

TEST_F(Parts, AShardThatIsNoneIsRefused) {
  for (const std::string shard : {"0/2", "3/2", "1", "1/", "/2", "x/2", "1/2/3", "1/0", "-1/2"}) {
    expect_refused({"verify", "--golden", "store", "--shard", shard},
                   {"--shard " + shard + ": must be i/n, with i in 1 .. n"});
  }
  expect_refused({"verify", "--golden", "store", "--shard", "1/9223372036854775807"},
                 {"--shard 1/9223372036854775807: there are at most 10000 parts"});
  expect_refused({"verify", "--golden", "store", "--shard", "6/6"},
                 {"--shard 6/6: there are only 5 goldens"});
}

TEST_F(Parts, AMergeThatMissesAShardIsAFailure) {
  for (const std::string shard : {"1/3", "2/3", "3/3"}) {
    ASSERT_EQ(run({"verify", "--golden", "store", "--backend", "golden", "--shard", shard, "--json",
                   shard.substr(0, 1) + ".json"})
                  .status,
              0);
  }
  const Outcome whole = run({"report", "merge", "1.json", "2.json", "3.json"});
  EXPECT_EQ(whole.status, 0);
  EXPECT_THAT(whole.out, AllOf(Not(HasSubstr("is in none")), EndsWith("3 reports, 5 results: 5 match\n")));
  const Outcome part = run({"report", "merge", "3.json", "1.json"});
  EXPECT_EQ(part.status, 1);
  EXPECT_THAT(part.out, HasSubstr("shard 2/3 is in none of the reports\n"));
  EXPECT_THAT(run({"report", "merge", "1.json", "2.json"}).out,
              HasSubstr("shard 3/3 is in none of the reports\n"));
}

TEST_F(Parts, FewerReportsThanExpectedAreAFailure) {
  ASSERT_THAT(judged({}).size(), 5U);
  EXPECT_EQ(run({"report", "merge", "r.json", "--expect", "1"}).status, 0);
  const Outcome outcome = run({"report", "merge", "r.json", "--expect", "2"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("2 reports expected\n"));
  expect_refused({"report", "merge", "r.json", "--expect", "0"}, {"--expect"});
}

}  // namespace
}  // namespace forgecheck
