// Checks of right backends, and of ones that are wrong in the one way that a relation is about.
#include "harness/fuzz/case_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "harness/fuzz/relations.h"
#include "harness/verdict/judge_backend.h"
#include "tests/harness/fuzz/told_backend.h"
#include "tests/harness/verdict/problems.h"
#include "tests/harness/verdict/tied_experts.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

Trace right_trace(const Problem& problem) {
  Tracer tracer;
  run_reference(problem, problem.definition.dtype, kPlain, tracer);
  return tracer.take();
}

/// A right backend but for what `spoil` does to its logits (B, S, V), or to another tap of that shape where the run has it.
std::shared_ptr<Backend> spoiled(const std::function<void(const Problem&, Tensor<double>&)>& spoil,
                                 const std::string& tap = "logits") {
  const auto run = [spoil, tap](const Problem& problem) {
    const Trace trace = right_trace(problem);
    if (trace.find(tap) == nullptr) return trace;
    Tensor<double> logits = trace.at(tap).to<double>();
    spoil(problem, logits);
    return with_tap(trace, tap, Array::from(logits).cast(problem.definition.dtype));
  };
  return std::make_shared<ToldBackend>(run, "spoiled");
}

const std::string kRelated = "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";
const std::string kDocuments = "dense[" + kRelated + "]/batch=3,text_len=7,documents=2/seed=1";
const std::string kPadded =
    "joint_decoder[" + kRelated + ",max_text_len=16]/batch=2,text_len=9,image_tokens=2,padding=true/seed=4";

TEST(Relations, HoldForRightBackendsOfEveryArchitecture) {
  for (std::string text : small_cases()) {
    for (const char* const dtype : {"", "/bfloat16"}) {
      for (const char* const name : {"reference", "cpu:openblas", "cpu:onednn"}) {
        const std::shared_ptr<Backend> backend = make_backend(name);
        const Judgement judgement = relations_check(backend).judge(small_problem(text + dtype));
        EXPECT_EQ(judgement.verdict, Verdict::match)
            << name << " " << text << dtype << ": " << judgement.message;
        EXPECT_LT(judgement.used, 1.0);
      }
    }
  }
}

std::set<std::string> relations_of(const std::string& text) {
  const Problem plain = plain_problem(small_problem(text));
  std::set<std::string> names;
  for (const Relation& relation : relations()) {
    RandomDraws draws("test", 1);
    if (relation.make(plain, right_trace(plain).at("logits").shape(), draws)) names.insert(relation.name);
  }
  return names;
}

TEST(Relations, ApplyWhereTheyMustHold) {
  const std::set<std::string> always = {"the same run again", "batch rows permuted", "last token changed"};
  const auto with = [&](std::set<std::string> more) {
    more.insert(always.begin(), always.end());
    return more;
  };
  EXPECT_EQ(relations_of("dense[" + kRelated + "]/batch=2,text_len=4"),
            with({"decode in chunks", "in pipeline stages"}));
  EXPECT_EQ(relations_of(kDocuments), with({"another document changed", "in pipeline stages"}));
  EXPECT_EQ(relations_of(kPadded), with({"padding changed"}));
  EXPECT_EQ(relations_of("moe[" + kRelated + ",num_experts=4]/batch=2,text_len=4"),
            with({"decode in chunks", "in pipeline stages", "experts permuted"}));
  EXPECT_EQ(relations_of("moe[" + kRelated + ",num_experts=4]/batch=2,text_len=4/train"),
            with({"in pipeline stages", "experts permuted"}));
  EXPECT_EQ(relations_of("moe[" + kRelated + ",num_experts=4]/batch=2,text_len=4/bfloat16"),
            with({"decode in chunks", "in pipeline stages"}));
  EXPECT_EQ(relations_of("moe[" + kRelated + ",num_experts=4,moe_capacity_factor=1]/batch=2,text_len=4"),
            (std::set<std::string>{"the same run again", "in pipeline stages", "experts permuted"}));
  EXPECT_EQ(
      relations_of("moe[" + kRelated + ",num_experts=4,moe_gradient_scale=true]/batch=2,text_len=4/train"),
      (std::set<std::string>{"the same run again", "in pipeline stages", "experts permuted"}));
  EXPECT_EQ(relations_of("moma[" + kRelated +
                         ",max_text_len=16,moma_experts_per_modality={image=2,text=3}]/batch=2,text_len=6,"
                         "image_tokens=4"),
            (std::set<std::string>{"the same run again"}));
  // MoT reads a mask in the order of its modalities, be it given or that of frames.
  const std::string video =
      "mot[" + kRelated +
      ",max_text_len=16,num_image_tokens=4,adapter.type=linear,feature_dim=4]/batch=2,text_len=5,"
      "patches=2,frames=2";
  EXPECT_EQ(relations_of(video), with({}));
  EXPECT_EQ(relations_of(video + ",padding=true"),
            (std::set<std::string>{"the same run again", "batch rows permuted"}));
  EXPECT_EQ(relations_of("dense[" + kRelated + "]/batch=1,text_len=1"),
            (std::set<std::string>{"the same run again", "decode in chunks", "in pipeline stages"}));
}

void expect_broken(const std::string& relation, const std::string& text,
                   const std::function<void(const Problem&, Tensor<double>&)>& spoil,
                   const std::string& tap = "logits") {
  const Judgement judgement = relations_check(spoiled(spoil, tap)).judge(small_problem(text));
  EXPECT_EQ(judgement.verdict, Verdict::mismatch) << relation;
  ASSERT_TRUE(judgement.first_divergence) << relation;
  EXPECT_EQ(judgement.first_divergence->hint, relation);
  EXPECT_EQ(judgement.first_divergence->tap, tap);
  EXPECT_THAT(judgement.message, testing::StartsWith(relation + ": " + tap + " is "));
  EXPECT_GT(judgement.used, 1.0);
}

std::int64_t token(const Problem& problem, std::int64_t b, std::int64_t t) {
  return problem.inputs.tokens->int_at(b * problem.inputs.tokens->shape()[1] + t);
}

TEST(Relations, WhatIsLeftFromTheRunBeforeIsFound) {
  std::int64_t runs = 0;
  expect_broken("the same run again", kDocuments,
                [&](const Problem&, Tensor<double>& logits) { logits[0] += ++runs > 9 ? 0.1 : 0.0; });
}

TEST(Relations, ACacheThatChangesSomethingIsFound) {
  expect_broken("decode in chunks", "dense[" + kRelated + "]/batch=2,text_len=4",
                [](const Problem& problem, Tensor<double>& logits) {
                  if (problem.definition.run == RunKind::decode) logits[logits.size() - 1] += 0.1;
                });
}

TEST(Relations, StagesThatAreAnotherModelAreFound) {
  std::set<std::int64_t> stages;
  for (const char* const seed : {"/seed=1", "/seed=2", "/seed=3", "/seed=4"}) {
    expect_broken(
        "in pipeline stages", "dense[" + kRelated + "]/batch=2,text_len=4" + seed,
        [&](const Problem& problem, Tensor<double>& logits) {
          stages.insert(problem.definition.stages);
          logits[1] += 0.1;
        },
        "logits.staged");
  }
  EXPECT_EQ(stages, (std::set<std::int64_t>{1, 2}));
}

TEST(Relations, ARowThatIsTreatedOtherwiseIsFound) {
  expect_broken("batch rows permuted", kDocuments,
                [](const Problem&, Tensor<double>& logits) { logits[0] += 0.1; });
}

TEST(Relations, ATokenThatSeesALaterOneIsFound) {
  expect_broken("last token changed", kDocuments, [](const Problem& problem, Tensor<double>& logits) {
    for (std::int64_t b = 0; b < logits.dim(0); ++b) {
      logits[b * logits.dim(1) * logits.dim(2)] += 0.1 * static_cast<double>(token(problem, b, 6));
    }
  });
}

TEST(Relations, ADocumentThatSeesAnotherIsFound) {
  expect_broken("another document changed", kDocuments, [](const Problem& problem, Tensor<double>& logits) {
    for (std::int64_t b = 0; b < logits.dim(0); ++b) {
      logits[((b + 1) * logits.dim(1) - 1) * logits.dim(2)] +=
          0.1 * static_cast<double>(token(problem, b, 0));
    }
  });
}

TEST(Relations, PaddingThatIsSeenIsFound) {
  expect_broken("padding changed", kPadded, [](const Problem& problem, Tensor<double>& logits) {
    const std::int64_t length = logits.dim(1), before = length - problem.inputs.tokens->shape()[1];
    for (std::int64_t b = 0; b < logits.dim(0); ++b) {
      double seen = 0;
      for (std::int64_t s = before; s < length; ++s) {
        const bool padded = problem.inputs.key_padding_mask->int_at(b * length + s) == 0;
        if (padded) seen += 0.1 * static_cast<double>(token(problem, b, s - before));
        if (!padded) logits[(b * length + s) * logits.dim(2)] += seen;
      }
    }
  });
}

TEST(Relations, AnExpertThatIsMoreThanItsWeightsIsFound) {
  for (const std::string packed : {"false", "true"}) {
    const std::string first =
        packed == "true" ? "layers.0.mlp.up_w" : "layers.0.mlp.experts.0.up_proj.weight";
    expect_broken("experts permuted",
                  "moe[" + kRelated + ",num_experts=6,moe_packed_experts=" + packed + "]/batch=2,text_len=4",
                  [&](const Problem& problem, Tensor<double>& logits) {
                    for (double& logit : logits.data) logit += problem.parameters.at(first).at(0);
                  });
  }
}

TEST(Relations, ABackendThatRefusesTheCaseIsRejectedAndOneThatFailsHasCrashed) {
  const auto refuses = std::make_shared<ToldBackend>(right_trace, "told", "no such kernel");
  const Judgement rejected = relations_check(refuses).judge(small_problem(kDocuments));
  EXPECT_EQ(rejected.verdict, Verdict::rejected);
  EXPECT_THAT(rejected.message, HasSubstr("no such kernel"));
  const auto fails =
      std::make_shared<ToldBackend>([](const Problem&) -> Trace { throw BackendError("broken"); });
  EXPECT_EQ(relations_check(fails).judge(small_problem(kDocuments)).verdict, Verdict::crashed);
}

// ---- the oracle ----

TEST(OracleCheck, ACaseInWhichAllChoicesTieIsUndecidedAndABackendThatShowsNothingIsNot) {
  const Problem tied = tied_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=31,num_experts=2,moe_top_k=1]/batch=2,text_len=5/seed=2", 0,
      1);
  const auto other = std::make_shared<ToldBackend>([](const Problem& problem) {
    return run_permuted(problem, Dtype::f32, flipped(run_permuted(problem, Dtype::f32), 0, 1, 10));
  });
  ASSERT_EQ(judge_backend(*other, tied).verdict, Verdict::untrusted);
  EXPECT_EQ(oracle_check(other).judge(tied).verdict, Verdict::undecided);
  const auto empty = std::make_shared<ToldBackend>([](const Problem&) { return Trace(); });
  EXPECT_EQ(oracle_check(empty).judge(small_problem(kDocuments)).verdict, Verdict::untrusted);
}

// ---- two backends ----

TEST(Agreement, RightBackendsAgreeOnEveryTapOfEveryArchitecture) {
  for (const std::string& text : small_cases()) {
    for (const char* const dtype : {"", "/bfloat16"}) {
      const Problem problem = small_problem(text + dtype);
      const CaseCheck check = agreement_check(make_backend("cpu:openblas"), make_backend("reference"));
      EXPECT_EQ(check.name, "cpu:openblas against reference");
      const Judgement judgement = check.judge(problem);
      EXPECT_EQ(judgement.verdict, Verdict::match) << text << dtype << ": " << judgement.message;
      EXPECT_EQ(judgement.taps.size(), right_trace(problem).entries().size());
      EXPECT_LT(judgement.used, 1.0);
    }
  }
}

/// Features of almost nothing become image tokens that are all the same: of the first two tokens an expert may choose either.
TEST(Agreement, ExpertsMayChooseAnyOfTokensThatAreTheSame) {
  const Problem problem = small_problem(
      "moma[dim=8,n_layers=1,n_heads=2,vocab_size=2,ffn_hidden_dim=1,max_seq_len=64,rope_theta=500000.0,"
      "max_text_len=24,moma_modalities=[text,image],adapter.type=attentional_pool,adapter.pool_heads=2,"
      "feature_dim=6]/batch=1,text_len=2,patches=16,interleaved=true,scale=1e-20/seed=799");
  const std::string tap = "layers.0.mlp.experts.text.router.indices";
  ASSERT_EQ(right_trace(problem).at(tap).to_int64().data, (std::vector<std::int64_t>{0, 0, 3, 3}));
  const auto choosing = [&](std::int64_t token) {
    return [&tap, token](const Problem& asked) {
      const Trace trace = right_trace(asked);
      Tensor<std::int64_t> indices = trace.at(tap).to_int64();
      indices[1] = token;
      return with_value(trace, tap, Array::from(indices));
    };
  };
  // The first may take the other of the two with slightly other weights: that excuses no third.
  for (const std::int64_t with_other_weights : {0, 1}) {
    const auto first = std::make_shared<ToldBackend>(
        [&](const Problem& asked) { return choosing(asked.seeded ? 0 : with_other_weights)(asked); },
        "first");
    const auto verdict = [&](std::int64_t token) {
      const auto other = std::make_shared<ToldBackend>(choosing(token), "other");
      return agreement_check(first, other).judge(problem).verdict;
    };
    EXPECT_EQ(verdict(0), Verdict::match);
    EXPECT_EQ(verdict(1), Verdict::undecided);
    EXPECT_EQ(verdict(2), Verdict::mismatch);
    EXPECT_EQ(verdict(3), Verdict::mismatch);
  }
}

TEST(Agreement, TheTapWhereTheyPartIsNamed) {
  const Problem problem = small_problem(kDocuments);
  const auto other = std::make_shared<ToldBackend>(
      [](const Problem& asked) {
        const Trace trace = right_trace(asked);
        return with_value(with_value(trace, "layers.1.mlp", trace.at("layers.0.mlp")), "logits",
                          Array::from(Tensor<float>(trace.at("logits").shape())));
      },
      "other");
  const Judgement judgement = agreement_check(make_backend("reference"), other).judge(problem);
  EXPECT_EQ(judgement.verdict, Verdict::mismatch);
  ASSERT_TRUE(judgement.first_divergence);
  EXPECT_EQ(judgement.first_divergence->tap, "layers.1.mlp");
  EXPECT_EQ(judgement.first_divergence->hint, "");
  EXPECT_THAT(judgement.message, testing::StartsWith("layers.1.mlp is "));
}

TEST(Agreement, ExpertsMayComeInAnyOrderAndTokensMayNot) {
  const auto reversed = [](const std::string& tap) {
    return std::make_shared<ToldBackend>([tap](const Problem& asked) {
      const Trace trace = right_trace(asked);
      Tensor<std::int64_t> values = trace.at(tap).to_int64();
      for (std::int64_t r = 0; r < values.rows(); ++r) std::ranges::reverse(values.row(r));
      return with_value(trace, tap, Array::from(values));
    });
  };
  const auto verdict = [&](const std::string& text, const std::string& tap) {
    return agreement_check(make_backend("reference"), reversed(tap)).judge(small_problem(text)).verdict;
  };
  EXPECT_EQ(verdict("moe[" + kRelated + ",num_experts=4]/batch=2,text_len=4", "layers.1.mlp.router.indices"),
            Verdict::match);
  EXPECT_EQ(verdict("dense[" + kRelated + "]/batch=2,text_len=4/generate=3", "tokens"), Verdict::mismatch);
}

TEST(Agreement, TapsThatOnlyOneHasAreNotCompared) {
  const Problem problem = small_problem(kDocuments);
  const auto logits_only = std::make_shared<ToldBackend>([](const Problem& asked) {
    Trace trace;
    trace.add("logits", right_trace(asked).at("logits"));
    return trace;
  });
  const Judgement judgement = agreement_check(make_backend("reference"), logits_only).judge(problem);
  EXPECT_EQ(judgement.verdict, Verdict::match);
  EXPECT_EQ(judgement.taps.size(), 1U);
  const auto nothing = std::make_shared<ToldBackend>([](const Problem&) { return Trace(); });
  EXPECT_EQ(agreement_check(make_backend("reference"), nothing).judge(problem).verdict, Verdict::untrusted);
}

TEST(Agreement, OneThatRefusesIsNamed) {
  const auto refuses = std::make_shared<ToldBackend>(right_trace, "told", "no such kernel");
  const Judgement judgement =
      agreement_check(make_backend("reference"), refuses).judge(small_problem(kDocuments));
  EXPECT_EQ(judgement.verdict, Verdict::rejected);
  EXPECT_EQ(judgement.message, "told: no such kernel");
}

}  // namespace
}  // namespace forgecheck
