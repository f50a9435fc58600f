// Wrong backends are brought down to the module to blame, and asked for no more taps than that takes.
#include "harness/verdict/bisect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

using Tamper = std::function<void(Problem&)>;

/// The reference on a problem with a mistake in it. It gives only taps that `gives` allows.
class WrongBackend : public Backend {
 public:
  explicit WrongBackend(Tamper tamper, TapFilter gives = {})
      : tamper_(std::move(tamper)), gives_(std::move(gives)) {}

  std::string name() const override { return "wrong"; }
  std::string refusal(const Case&) const override { return ""; }
  Dtype precision(const Case& definition) const override { return definition.dtype; }
  Trace run(const Problem& problem, const TapFilter& wants) override {
    Problem mistaken = problem;
    tamper_(mistaken);
    Tracer tracer([&](std::string_view tap) { return wants(tap) && (!gives_ || gives_(tap)); });
    run_reference(mistaken, Dtype::f32, Arithmetic{.order = linalg::Order::permuted}, tracer);
    ++runs;
    return tracer.take();
  }

  int runs = 0;

 private:
  Tamper tamper_;
  TapFilter gives_;
};

struct Outcome {
  Bisection bisection;
  std::vector<std::string> lines;
  std::set<std::string> asked;
  int runs = 0;

  const FirstDivergence& first() const { return *bisection.judgement.first_divergence; }
};

Outcome outcome_of(const std::string& text, const Tamper& tamper, const TapFilter& gives = {}) {
  const Problem problem = small_problem(text);
  WrongBackend backend(tamper, gives);
  Outcome outcome;
  outcome.bisection =
      bisect(problem, backend, [&](const std::string& line) { outcome.lines.push_back(line); });
  for (const BisectStep& step : outcome.bisection.steps) {
    outcome.asked.insert(step.asked.begin(), step.asked.end());
  }
  outcome.runs = backend.runs;
  return outcome;
}

const std::string kDeep =
    "dense[dim=16,n_layers=4,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24]/batch=2,text_len=5/"
    "seed=71";

void exchange_gate_and_up(Problem& problem) {
  std::swap(problem.parameters.at("layers.2.mlp.gate_proj.weight"),
            problem.parameters.at("layers.2.mlp.up_proj.weight"));
}

TEST(Bisect, ARightBackendIsAskedForOutputsOnly) {
  for (const std::string& text : small_cases()) {
    const Outcome outcome = outcome_of(text, [](Problem&) {});
    EXPECT_EQ(outcome.bisection.judgement.verdict, Verdict::match) << text;
    ASSERT_EQ(outcome.lines.size(), 1U);
    EXPECT_THAT(outcome.lines[0], StartsWith("outputs, choices and state ("));
    EXPECT_THAT(outcome.lines[0], testing::EndsWith("all right"));
    EXPECT_THAT(outcome.asked, Each(Not(HasSubstr("attn")))) << text;
    EXPECT_THAT(outcome.asked, Each(Not(HasSubstr("attention")))) << text;
  }
}

TEST(Bisect, GateAndUpExchanged) {
  const Outcome outcome = outcome_of(kDeep, exchange_gate_and_up);
  EXPECT_EQ(outcome.bisection.judgement.verdict, Verdict::mismatch);
  EXPECT_EQ(outcome.first().tap, "layers.2.mlp.gate_proj");
  EXPECT_EQ(outcome.first().after, "layers.2.mlp_norm");
  EXPECT_THAT(outcome.first().between, IsEmpty());
  EXPECT_THAT(outcome.first().hint,
              HasSubstr("layers.2.mlp.up_proj.weight is read instead of layers.2.mlp.gate_proj.weight"));
  EXPECT_THAT(outcome.lines,
              ElementsAre("outputs, choices and state (3 taps): logits is wrong",
                          "the residual stream (6 taps): layers.2 is wrong, everything up to layers.1 right",
                          "inside layers.2 (11 taps): layers.2.mlp.gate_proj is wrong, everything up to "
                          "layers.2.mlp_norm right"));
  EXPECT_EQ(outcome.runs, 3);
}

TEST(Bisect, NothingInsideARightBlockIsAskedFor) {
  const Outcome outcome = outcome_of(kDeep, exchange_gate_and_up);
  for (const std::string& tap : outcome.asked) {
    EXPECT_TRUE(tap.starts_with("layers.2") || std::ranges::count(tap, '.') < 2) << tap;
  }
  EXPECT_THAT(outcome.bisection.steps[0].asked, ElementsAre("logits", "aux_loss", "z_loss"));
  EXPECT_THAT(outcome.bisection.steps[1].asked,
              ElementsAre("token_embedding", "layers.0", "layers.1", "layers.2", "layers.3", "norm"));
}

TEST(Bisect, ATransposedWeight) {
  const Outcome outcome = outcome_of(kDeep, [](Problem& problem) {
    Tensor<float> weight = problem.parameters.at("layers.3.attention.o_proj.weight").to<float>();
    const Tensor<float> old = weight;
    for (std::int64_t i = 0; i < weight.size(); ++i) weight[i] = old[i % 16 * 16 + i / 16];
    problem.parameters.at("layers.3.attention.o_proj.weight") = Array::from(weight);
  });
  EXPECT_EQ(outcome.first().tap, "layers.3.attention");
  EXPECT_THAT(outcome.first().hint, HasSubstr("layers.3.attention.o_proj.weight is transposed"));
}

TEST(Bisect, AMaskLeftOut) {
  const Outcome outcome = outcome_of("dense[" + kSmall + "]/batch=2,text_len=9,documents=3/seed=72",
                                     [](Problem& problem) { problem.inputs.doc_ids.reset(); });
  EXPECT_EQ(outcome.first().tap, "layers.0.attention.context");
  EXPECT_THAT(outcome.first().hint, HasSubstr("doc_ids are left out"));
}

TEST(Bisect, AnotherEps) {
  const Outcome outcome =
      outcome_of("dense[" + kSmall + ",norm_eps=0.001]/batch=2,text_len=5/seed=73",
                 [](Problem& problem) { problem.definition.architecture.model.norm_eps = 1e-5; });
  EXPECT_EQ(outcome.first().tap, "layers.0.attention_norm");
  EXPECT_THAT(outcome.first().hint, HasSubstr("eps is 1e-05 instead of 0.001"));
}

TEST(Bisect, AWrongEmbeddingNeedsNothingFromInside) {
  const Outcome outcome = outcome_of(kDeep, [](Problem& problem) {
    Tensor<float> weight = problem.parameters.at("token_embedding.embedding.weight").to<float>();
    for (float& value : weight.data) value *= 4;
    problem.parameters.at("token_embedding.embedding.weight") = Array::from(weight);
  });
  EXPECT_EQ(outcome.first().tap, "token_embedding");
  EXPECT_EQ(outcome.runs, 2);
  EXPECT_THAT(outcome.first().hint, HasSubstr("sqrt(dim)"));
}

TEST(Bisect, AWrongRouterIsFoundThroughItsChoices) {
  const Outcome outcome =
      outcome_of("moe[" + kSmall + ",num_experts=4]/batch=2,text_len=6/seed=74", [](Problem& problem) {
        Array& gate = problem.parameters.at("layers.1.mlp.router.gate.weight");
        Tensor<float> weight = gate.to<float>();
        std::ranges::reverse(weight.data);
        gate = Array::from(weight);
      });
  EXPECT_EQ(outcome.first().tap, "layers.1.mlp.router.gate");
  EXPECT_THAT(outcome.asked, Not(Contains("layers.0.mlp.router.gate")));
}

TEST(Bisect, EveryArchitecture) {
  const std::vector<std::pair<std::size_t, std::string>> mistakes = {
      {4, "cross_attention_layers.1.attn.v_proj"},
      {5, "layers.1.attn.k_proj.text"},
      {6, "layers.1.attention.v_proj"},
      {3, "layers.1.mlp.up_proj"},
  };
  for (const auto& [index, tap] : mistakes) {
    const std::string parameter = tap + ".weight";
    const Outcome outcome = outcome_of(small_cases()[index], [&](Problem& problem) {
      Tensor<float> weight = problem.parameters.at(parameter).to<float>();
      std::ranges::reverse(weight.data);
      problem.parameters.at(parameter) = Array::from(weight);
    });
    ASSERT_TRUE(outcome.bisection.judgement.first_divergence.has_value());
    EXPECT_EQ(outcome.first().tap, tap);
    EXPECT_THAT(outcome.asked, Not(Contains(HasSubstr("layers.0.mlp.up_proj"))));
  }
}

// ---- backends that give fewer taps ----

TEST(Bisect, WithoutInnerTapsTheFaultLiesBetweenTwo) {
  const Outcome outcome = outcome_of(kDeep, exchange_gate_and_up, [](std::string_view tap) {
    return tap == "logits" || tap == "layers.1" || tap == "layers.2";
  });
  EXPECT_EQ(outcome.first().tap, "layers.2");
  EXPECT_EQ(outcome.first().after, "layers.1");
  EXPECT_THAT(outcome.first().between, Contains("layers.2.mlp.hidden"));
  EXPECT_THAT(outcome.first().between, Not(Contains("layers.1.mlp.hidden")));
  ASSERT_EQ(outcome.lines.size(), 4U);
  EXPECT_THAT(outcome.lines[1],
              HasSubstr("the residual stream (6 taps; the backend gives 2): layers.2 is wrong"));
  EXPECT_THAT(outcome.lines[2], HasSubstr("; the backend gives 0"));
  EXPECT_THAT(outcome.lines[3], StartsWith("the fault lies between layers.1 and layers.2"));
  EXPECT_EQ(outcome.runs, 3) << "not asked again for what it does not give";
}

TEST(Bisect, OfOutputsAloneSaysSo) {
  const Outcome outcome =
      outcome_of(kDeep, exchange_gate_and_up, [](std::string_view tap) { return tap == "logits"; });
  EXPECT_EQ(outcome.first().tap, "logits");
  EXPECT_EQ(outcome.first().after, "");
  EXPECT_THAT(outcome.lines.back(), StartsWith("the fault lies between the inputs and logits"));
}

TEST(Bisect, SomeInnerTapsNarrowTheFault) {
  const Outcome outcome = outcome_of(kDeep, exchange_gate_and_up, [](std::string_view tap) {
    return tap == "logits" || tap == "layers.1" || tap == "layers.2" || tap.ends_with("mlp_norm") ||
           tap.ends_with("hidden");
  });
  EXPECT_EQ(outcome.first().tap, "layers.2.mlp.hidden");
  EXPECT_THAT(outcome.first().between, ElementsAre("layers.2.mlp.gate_proj", "layers.2.mlp.up_proj"));
  EXPECT_THAT(outcome.first().hint, HasSubstr("gate_proj and up_proj are exchanged"));
}

TEST(Bisect, WhereTokensAreAllThatThereIsOneRunIsEnough) {
  const Outcome outcome = outcome_of(kDeep + "/generate=5", [](Problem& problem) {
    Tensor<float> weight = problem.parameters.at("token_embedding.embedding.weight").to<float>();
    std::ranges::reverse(weight.data);
    problem.parameters.at("token_embedding.embedding.weight") = Array::from(weight);
  });
  ASSERT_TRUE(outcome.bisection.judgement.first_divergence.has_value());
  EXPECT_EQ(outcome.first().tap, "tokens");
  EXPECT_EQ(outcome.runs, 1);
}

/// Right but for an error of the logits that `error` gives for the number of the run, from 1.
class MoodyBackend : public WrongBackend {
 public:
  explicit MoodyBackend(std::function<float(int)> error)
      : WrongBackend([](Problem&) {}), error_(std::move(error)) {}
  Trace run(const Problem& problem, const TapFilter& wants) override {
    const Trace right = WrongBackend::run(problem, wants);
    Tensor<float> logits = right.at("logits").to<float>();
    logits[3] += error_(runs);
    return with_value(right, "logits", Array::from(logits));
  }

 private:
  std::function<float(int)> error_;
};

TEST(Bisect, AFailureThatMoreTapsMakeGoAwayStands) {
  const Problem problem = small_problem(kDeep);
  MoodyBackend backend([](int run) { return run == 1 ? 0.5F : 0.0F; });
  std::vector<std::string> lines;
  const Bisection found = bisect(problem, backend, [&](const std::string& line) { lines.push_back(line); });
  EXPECT_EQ(found.judgement.verdict, Verdict::mismatch);
  EXPECT_EQ(found.judgement.first_divergence->tap, "logits");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[1], HasSubstr("the backend computes otherwise when it is asked for more"));
  EXPECT_THAT(lines[2], StartsWith("the fault lies between the inputs and logits"));
}

TEST(Bisect, WithoutAnyOutputItIsUntrusted) {
  const Outcome outcome = outcome_of(
      kDeep, [](Problem&) {}, [](std::string_view) { return false; });
  EXPECT_EQ(outcome.bisection.judgement.verdict, Verdict::untrusted);
  EXPECT_THAT(outcome.lines, ElementsAre(HasSubstr("no output")));
}

}  // namespace
}  // namespace forgecheck
