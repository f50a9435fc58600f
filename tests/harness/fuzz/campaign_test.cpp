// A campaign with judges that are told what to answer.
#include "harness/fuzz/campaign.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/harness/io/temporary_directory.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Answers for the candidate "a": by default a match, otherwise as `rules` say of the line (in Python).
constexpr const char* kJudge = R"(
import json, os, re, sys, time
def number(name, line): return int((re.search(r'\b' + name + r'=(\d+)', line) or [0, 0])[1])
for request in sys.stdin:
    request = json.loads(request)
    line = request['case']
    answer = {'candidate': 'validate' if 'refused' in request else 'a', 'verdict': 'match', 'used': 0.5}
    if 'refused' not in request:
        %s
    print(json.dumps([answer]), flush=True)
)";
constexpr const char* kWrongWithQkNorm =
    "answer.update(verdict='mismatch', message='off', tap='layers.0.attention', family='attention') if "
    "'qk_norm=true' in line else 0";

class CampaignTest : public testing::Test {
 protected:
  CampaignOptions options(const std::string& rules) const {
    char text[4096];
    std::snprintf(text, sizeof text, kJudge, rules.c_str());
    std::ofstream(directory_.path() / "judge.py") << text;
    CampaignOptions result;
    result.candidates = {"a"};
    result.judge_command = "exec python3 " + (directory_.path() / "judge.py").string();
    result.limits.seconds = 20;
    static const CoveringSet covering = cover_pairs(result.tasks.space, result.tasks.seed);
    result.tasks.covering = &covering;
    result.runs = 300;
    return result;
  }
  TemporaryDirectory directory_;
};

std::vector<std::string> lines_of(const Campaign& campaign) {
  std::vector<std::string> lines;
  for (const CaseOutcome& one : campaign.outcomes)
    lines.push_back(one.line + " " + to_string(one.outcome.verdict));
  return lines;
}

TEST_F(CampaignTest, JudgesAsManyCasesAsAreAskedForAndCoversAllPairsFirst) {
  const Campaign campaign = run_campaign(options("pass"));
  EXPECT_EQ(campaign.cases, 300);
  EXPECT_EQ(campaign.outcomes.size(), 300U);
  EXPECT_TRUE(campaign.findings.empty());
  EXPECT_EQ(campaign.pairs, campaign.feasible_pairs);
  EXPECT_GT(campaign.pairs, 5000U);
  EXPECT_GT(campaign.triples, campaign.pairs);
  EXPECT_EQ(campaign.verdicts.at({"a", Verdict::match}) + campaign.verdicts.at({"validate", Verdict::match}),
            300);
}

TEST_F(CampaignTest, NoDrawnCaseIsLargerThanAskedFor) {
  CampaignOptions asked = options("pass");
  asked.runs = 2500;
  const auto largest_width = [&] {
    std::int64_t largest = 0;
    for (const CaseOutcome& one : run_campaign(asked).outcomes) {
      if (one.outcome.candidate == "a") {
        largest = std::max(largest, parse_case_text(one.line).architecture.model.dim);
      }
    }
    return largest;
  };
  EXPECT_GT(largest_width(), 64);
  asked.tasks.space.largest = CaseScale::small;
  EXPECT_LE(largest_width(), 16);
}

TEST_F(CampaignTest, FailuresOfOneCauseAreOneFindingThatIsMadeSmallAndSaved) {
  CampaignOptions asked = options(kWrongWithQkNorm);
  asked.corpus = directory_.path() / "found";
  const Campaign campaign = run_campaign(asked);
  ASSERT_EQ(campaign.findings.size(), 1U);
  const Finding& finding = campaign.findings[0];
  EXPECT_EQ(finding.cause, "a: mismatch at attention");
  EXPECT_EQ(finding.count, campaign.verdicts.at({"a", Verdict::mismatch}));
  EXPECT_GT(finding.count, 20);
  EXPECT_EQ(finding.smallest,
            "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64,qk_norm=true]/"
            "batch=1,text_len=1/seed=0");
  const std::vector<SavedCase> saved = read_corpus(asked.corpus);
  ASSERT_EQ(saved.size(), 1U);
  EXPECT_EQ(saved[0].line, finding.smallest);
}

/// A mistake in QK-norm hides one in tied embeddings; making the first small must not end at the second.
TEST_F(CampaignTest, AFindingStaysTheSameKindOfMistakeWhileItIsMadeSmall) {
  CampaignOptions asked = options(
      "wrong = 'attention' if 'qk_norm=true' in line else 'mlp' if 'tie_embeddings=true' in line else ''; "
      "answer.update(verdict='mismatch', message='off', tap='layers.0.' + wrong, family=wrong) if wrong else "
      "0");
  const std::string model = "dense[dim=2,n_layers=1,n_heads=1,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64,";
  asked.tasks.saved = {model + "tie_embeddings=true,qk_norm=true]/batch=1,text_len=1/seed=0"};
  asked.stop_after = 1;
  const Campaign campaign = run_campaign(asked);
  ASSERT_EQ(campaign.findings.size(), 1U);
  EXPECT_EQ(campaign.findings[0].cause, "a: mismatch at attention");
  EXPECT_EQ(campaign.findings[0].smallest, model + "qk_norm=true]/batch=1,text_len=1/seed=0");
}

TEST_F(CampaignTest, TheSameForAnyNumberOfJobs) {
  CampaignOptions asked = options(std::string("time.sleep(0.01 * (len(line) % 4)); ") + kWrongWithQkNorm);
  asked.runs = 100;
  const Campaign one = run_campaign(asked);
  asked.jobs = 6;
  const Campaign six = run_campaign(asked);
  EXPECT_EQ(lines_of(one), lines_of(six));
  ASSERT_EQ(six.findings.size(), 1U);
  EXPECT_EQ(one.findings[0].line, six.findings[0].line);
  EXPECT_EQ(one.findings[0].smallest, six.findings[0].smallest);
  EXPECT_EQ(one.findings[0].count, six.findings[0].count);
  EXPECT_EQ(one.triples, six.triples);
}

TEST_F(CampaignTest, AnotherSeedOrShardHasOtherCases) {
  CampaignOptions asked = options("pass");
  asked.runs = 400;
  const auto drawn_lines = [&] {
    std::vector<std::string> lines = lines_of(run_campaign(asked));
    return std::set<std::string>(lines.begin(), lines.end());
  };
  const std::set<std::string> first = drawn_lines();
  asked.tasks.seed = 1;
  asked.tasks.covering = nullptr;
  EXPECT_NE(drawn_lines(), first);
  asked = options("pass");
  asked.runs = 400;
  asked.tasks.shards = 2;
  const std::set<std::string> part = drawn_lines();
  asked.tasks.shard = 1;
  for (const std::string& line : drawn_lines()) EXPECT_FALSE(part.contains(line)) << line;
}

/// The set that covers pairs is shared between the parts, and together they have every case of it.
TEST_F(CampaignTest, ShardsShareTheCoveringSet) {
  CampaignOptions asked = options("pass");
  asked.runs = 0;
  asked.tasks.cover_only = true;
  const std::size_t whole = run_campaign(asked).outcomes.size();
  asked.tasks.shards = 3;
  std::size_t parts = 0;
  for (asked.tasks.shard = 0; asked.tasks.shard < 3; ++asked.tasks.shard)
    parts += run_campaign(asked).outcomes.size();
  EXPECT_EQ(parts, whole);
}

TEST_F(CampaignTest, ACrashIsAFindingAndTheRestGoesOn) {
  CampaignOptions asked =
      options("os.kill(os.getpid(), 11) if 'moma[' in line and 'qk_norm=true' in line else 0");
  asked.shrink_limit = 0;
  const Campaign campaign = run_campaign(asked);
  EXPECT_EQ(campaign.cases, 300);
  ASSERT_EQ(campaign.findings.size(), 1U);
  EXPECT_THAT(campaign.findings[0].cause, HasSubstr("a: crashed: its process was ended by signal"));
  EXPECT_THAT(campaign.findings[0].line, HasSubstr("moma["));
  EXPECT_GT(campaign.verdicts.at({"a", Verdict::match}), 200);
  EXPECT_GT(campaign.findings[0].count, 1);
}

TEST_F(CampaignTest, AHangIsAFindingOfItsCase) {
  CampaignOptions asked = options("time.sleep(100) if 'moma[' in line and 'seed=1' in line else 0");
  asked.limits.seconds = 0.3;
  asked.stop_after = 1;
  asked.shrink_limit = 0;
  const Campaign campaign = run_campaign(asked);
  ASSERT_EQ(campaign.findings.size(), 1U);
  EXPECT_THAT(campaign.findings[0].outcome.message, HasSubstr("gave no answer in 0.3 s"));
  EXPECT_LT(campaign.cases, 300);
}

/// Two candidates in one process: whoever ends it is told from the other.
TEST_F(CampaignTest, OfSeveralCandidatesTheOneThatCrashesIsNamed) {
  CampaignOptions asked = options("os.kill(os.getpid(), 11) if request.get('only', 1) == 1 else 0");
  asked.candidates = {"a", "b"};
  asked.runs = 5;
  asked.shrink_limit = 0;
  const Campaign campaign = run_campaign(asked);
  ASSERT_EQ(campaign.findings.size(), 1U);
  EXPECT_EQ(campaign.findings[0].outcome.candidate, "b");
  EXPECT_EQ(campaign.verdicts.at({"a", Verdict::match}), 5);
}

TEST_F(CampaignTest, SavedCasesComeFirst) {
  CampaignOptions asked = options("pass");
  asked.tasks.saved = {"saved one", "saved two"};
  asked.runs = 3;
  const Campaign campaign = run_campaign(asked);
  EXPECT_EQ(campaign.outcomes[0].line, "saved one");
  EXPECT_EQ(campaign.outcomes[1].line, "saved two");
  EXPECT_THAT(campaign.outcomes[2].line, HasSubstr("/seed="));
}

TEST_F(CampaignTest, EndsWhenItIsInterruptedAndWhenItsTimeIsOver) {
  CampaignOptions asked = options("pass");
  asked.runs = 0;
  std::atomic<bool> interrupted = false;
  asked.interrupted = &interrupted;
  asked.progress = [&](const Campaign& campaign) { interrupted = campaign.cases >= 20; };
  const Campaign ended = run_campaign(asked);
  EXPECT_GE(ended.cases, 20);
  EXPECT_LT(ended.cases, 20 + 1100);
  asked.interrupted = nullptr;
  asked.progress = nullptr;
  asked.seconds = 0.001;
  EXPECT_LT(run_campaign(asked).cases, 50);
}

TEST_F(CampaignTest, FindingsStayAsTheyAreWhenItIsInterruptedWhileTheyAreMadeSmall) {
  CampaignOptions asked = options(kWrongWithQkNorm);
  asked.runs = 60;
  const std::string small = run_campaign(asked).findings.at(0).smallest;
  std::atomic<bool> interrupted = false;
  asked.interrupted = &interrupted;
  asked.progress = [&](const Campaign& campaign) { interrupted = campaign.tried >= 3; };
  const Campaign ended = run_campaign(asked);
  EXPECT_EQ(ended.cases, 60);
  EXPECT_EQ(ended.tried, 3);
  EXPECT_NE(ended.findings.at(0).smallest, small);
}

/// In a process of its own each case that must be refused is told what it must be refused for.
TEST_F(CampaignTest, SomeCasesMustBeRefused) {
  const Campaign campaign = run_campaign(options("pass"));
  const std::int64_t refused = campaign.verdicts.at({"validate", Verdict::match});
  EXPECT_GE(refused, 3);
  EXPECT_LE(refused, 15);
}

}  // namespace
}  // namespace forgecheck
