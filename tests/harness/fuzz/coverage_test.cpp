#include "harness/fuzz/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace forgecheck {
namespace {

Case text_case() {
  return parse_case_text(
      "dense[dim=8,n_layers=1,n_heads=2,vocab_size=5,ffn_hidden_dim=4,max_seq_len=16]/batch=1,text_len=3/"
      "seed=1");
}

std::vector<std::string> names_of(const Case& value) {
  std::vector<std::string> names;
  for (const std::size_t level : levels_of(value)) names.push_back(level_name(level));
  return names;
}

TEST(Factors, ACaseHasOneLevelOfEachFactorThatApplies) {
  for (std::uint64_t seed = 0; seed < 1000; ++seed) {
    const Case value = fuzz_case(seed, Family::any, CaseScale::small);
    for (const Factor& factor : factors()) {
      const auto count = std::ranges::count_if(
          factor.levels, [&](const Level& level) { return factor.applies(value) && level.is(value); });
      EXPECT_EQ(count, factor.applies(value) ? 1 : 0) << factor.name << " of " << case_text(value);
    }
    EXPECT_TRUE(std::ranges::is_sorted(levels_of(value)));
  }
}

TEST(Factors, NamesSayWhatTheCaseHas) {
  const std::vector<std::string> names = names_of(text_case());
  EXPECT_THAT(names,
              testing::IsSupersetOf({"arch = dense", "run = forward", "mode = eval", "dtype = float32",
                                     "inputs.batch = 1", "inputs.text_len = 2 .. 4", "heads = one for each",
                                     "model.sliding_window = none", "model.qk_norm = false"}));
  // what only other cases have
  for (const std::string& name : names) {
    EXPECT_THAT(name, testing::Not(testing::ContainsRegex("moe_router|adapter|chunks|loss|vlm")));
  }
}

/// Every level that can be made is one, in some valid case that was drawn without it.
TEST(Factors, WhatCanBeMadeIsMade) {
  RandomDraws draws("test", 1);
  std::set<std::string> made;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    Case drawn = fuzz_case(seed, Family::any, CaseScale::medium);
    drawn.dtype = seed % 2 == 0 ? Dtype::f32 : Dtype::bf16;
    for (const Factor& factor : factors()) {
      for (const Level& level : factor.levels) {
        if (!factor.applies(drawn) || !level.make || level.is(drawn)) continue;
        Case changed = drawn;
        level.make(changed, draws);
        if (!refusal_of(changed) && level.is(changed)) made.insert(factor.name + level.name);
      }
    }
  }
  for (const Factor& factor : factors()) {
    for (const Level& level : factor.levels) {
      if (level.make)
        EXPECT_TRUE(made.contains(factor.name + level.name)) << factor.name << " = " << level.name;
    }
  }
}

TEST(Coverage, CountsPairsAndTriplesOnce) {
  Coverage coverage;
  EXPECT_EQ(coverage.new_pairs({1, 4, 9}), 3U);
  EXPECT_EQ(coverage.new_triples({1, 4, 9}), 1U);
  coverage.add({1, 4, 9});
  EXPECT_EQ(coverage.pairs(), 3U);
  EXPECT_EQ(coverage.triples(), 1U);
  EXPECT_TRUE(coverage.has({1, 9}));
  EXPECT_FALSE(coverage.has({1, 8}));
  EXPECT_EQ(coverage.new_pairs({1, 4, 10}), 2U);
  EXPECT_EQ(coverage.new_triples({1, 4, 10}), 1U);
  coverage.add({1, 4, 9});
  EXPECT_EQ(coverage.pairs(), 3U);
  coverage.add({1, 4, 9, 10});
  EXPECT_EQ(coverage.pairs(), 6U);
  EXPECT_EQ(coverage.triples(), 4U);
}

TEST(AllPairs, AreOfDifferentFactors) {
  const std::vector<LevelPair> pairs = all_pairs();
  EXPECT_EQ(std::set(pairs.begin(), pairs.end()).size(), pairs.size());
  for (const auto& [a, b] : pairs) {
    EXPECT_LT(a, b);
    EXPECT_NE(&factor_at(a), &factor_at(b));
  }
  // of factors with 6 and 4 levels, for one: every combination is there
  EXPECT_EQ(std::ranges::count_if(pairs,
                                  [](const LevelPair& pair) {
                                    return factor_at(pair.first).name == "arch" &&
                                           factor_at(pair.second).name == "run";
                                  }),
            24);
}

class CoverPairs : public testing::Test {
 protected:
  static const CoveringSet& set() {
    static const CoveringSet made = cover_pairs({}, 1);
    return made;
  }
};

TEST_F(CoverPairs, ASmallSetHasEveryPairThatIsFeasible) {
  Coverage coverage;
  for (const Case& value : set().cases) {
    EXPECT_EQ(refusal_of(value), std::nullopt) << case_text(value);
    coverage.add(levels_of(value));
  }
  EXPECT_EQ(coverage.pairs(), set().pairs);
  EXPECT_EQ(set().pairs + set().infeasible.size(), all_pairs().size());
  EXPECT_LT(set().cases.size(), 200U);
  for (const auto& [pair, rule] : set().infeasible) {
    EXPECT_FALSE(coverage.has(pair));
    EXPECT_FALSE(rule.empty());
  }
}

/// No case that is drawn has a pair that was called infeasible.
TEST_F(CoverPairs, NoDrawnCaseHasAnInfeasiblePair) {
  for (std::uint64_t seed = 1000000; seed < 1005000; ++seed) {
    const std::vector<std::size_t> levels = levels_of(fuzz_case(seed, Family::any, CaseScale::small));
    for (std::size_t i = 0; i < levels.size(); ++i) {
      for (std::size_t j = i + 1; j < levels.size(); ++j) {
        const auto found = set().infeasible.find({levels[i], levels[j]});
        ASSERT_EQ(found, set().infeasible.end())
            << level_name(levels[i]) << ", " << level_name(levels[j]) << ": " << found->second;
      }
    }
  }
}

TEST_F(CoverPairs, TheRuleOfAnInfeasiblePairIsTheErrorOrWhatIsMissing) {
  const auto rule = [&](const std::string& a, const std::string& b) {
    for (const auto& [pair, text] : set().infeasible) {
      if (level_name(pair.first) == a && level_name(pair.second) == b) return text;
    }
    return std::string();
  };
  EXPECT_EQ(rule("arch = moma", "run = decode"),
            "case.run = decode: decoding exists for text models only, not for moma");
  EXPECT_EQ(rule("run = decode", "mode = train"), "case.mode = train: decoding runs in eval mode");
  EXPECT_EQ(rule("arch = dense", "model.moe_router = softmax_topk"), "needs token-choice experts");
  EXPECT_EQ(rule("chunks = one", "vlm.mot_modalities = [text,image] = yes"), "needs run = decode and mot");
}

TEST_F(CoverPairs, IsTheSameForASeed) {
  const CoveringSet again = cover_pairs({}, 1);
  ASSERT_EQ(again.cases.size(), set().cases.size());
  for (std::size_t i = 0; i < again.cases.size(); ++i)
    EXPECT_EQ(case_text(again.cases[i]), case_text(set().cases[i]));
}

TEST_F(CoverPairs, OnlyTheTypesAndTheFamilyThatAreAskedFor) {
  for (const auto& [family, least] : {std::pair(Family::kempnerforge, 50U), {Family::transformers, 15U}}) {
    const CoveringSet only = cover_pairs({family, {Dtype::bf16}}, 3);
    ASSERT_GT(only.cases.size(), least);
    for (const Case& value : only.cases) {
      EXPECT_EQ(value.dtype, Dtype::bf16);
      EXPECT_TRUE(is_of(family, value)) << case_text(value);
    }
  }
}

}  // namespace
}  // namespace forgecheck
