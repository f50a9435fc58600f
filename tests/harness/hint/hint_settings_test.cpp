// Mistaken settings and inputs, seen in a few taps only; and no hint where none is due.
#include <algorithm>
#include <cmath>

#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

const std::string kModelOfHintSettings =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";

/// The hint for the logits of a run with a mistake, and nothing else of it.
template <class Change>
std::string hint_of_logits(const std::string& text, const Change& change) {
  const Problem problem = small_problem(text);
  Problem mistaken = problem;
  change(mistaken);
  const Trace run = run_permuted(mistaken, Dtype::f32);
  Trace outputs;
  outputs.add("logits", run.at("logits"));
  return hint_at(problem, outputs, "logits");
}

TEST(HintSettings, AreFoundFromTheLogitsAlone) {
  const std::string dense = "dense[" + kModelOfHintSettings + "]/batch=2,text_len=6/seed=61";
  EXPECT_THAT(hint_of_logits(dense, [](Problem& p) { p.definition.architecture.model.rope_theta = 500000; }),
              HasSubstr("rope_theta is 500000.0 instead of 10000.0"));
  EXPECT_THAT(hint_of_logits("dense[" + kModelOfHintSettings + ",norm_eps=0.001]/batch=2,text_len=6/seed=62",
                             [](Problem& p) { p.definition.architecture.model.norm_eps = 1e-5; }),
              HasSubstr("norm_eps is 1e-05 instead of 0.001"));
  EXPECT_THAT(
      hint_of_logits("dense[" + kModelOfHintSettings + ",activation=gelu]/batch=2,text_len=6/seed=63",
                     [](Problem& p) { p.definition.architecture.model.activation = Activation::relu; }),
      HasSubstr("activation is relu instead of gelu"));
  EXPECT_THAT(hint_of_logits("dense[" + kModelOfHintSettings + ",qk_norm=true]/batch=2,text_len=6/seed=64",
                             [](Problem& p) { p.definition.architecture.model.qk_norm = false; }),
              HasSubstr("qk_norm is left out"));
  EXPECT_THAT(hint_of_logits("dense[" + kModelOfHintSettings +
                                 ",qk_norm=true,qk_norm_eps=0.1]/batch=2,text_len=6/seed=64",
                             [](Problem& p) { p.definition.architecture.model.qk_norm_eps = 1e-6; }),
              HasSubstr("qk_norm_eps is 1e-06 instead of 0.1"));
}

TEST(HintSettings, AnInputThatIsNotRead) {
  EXPECT_THAT(hint_of_logits("dense[" + kModelOfHintSettings + "]/batch=2,text_len=9,documents=3/seed=65",
                             [](Problem& p) { p.inputs.doc_ids.reset(); }),
              HasSubstr("doc_ids are left out"));
  EXPECT_THAT(hint_of_logits(
                  "dense[" + kModelOfHintSettings + "]/batch=2,text_len=9,embeds=true,padding=true/seed=66",
                  [](Problem& p) { p.inputs.key_padding_mask.reset(); }),
              HasSubstr("key_padding_mask is left out"));
}

TEST(HintSettings, OfTheLosses) {
  const Problem problem = small_problem("moe[" + kModelOfHintSettings +
                                        ",num_experts=4,moe_router_z_loss_weight=0.1]/batch=2,text_len=6/"
                                        "seed=67/loss=cross_entropy,z_loss_weight=0.01");
  EXPECT_THAT(hint_of_run(problem, "loss.total",
                          [](Problem& p) { p.definition.architecture.model.moe_router_z_loss_weight = 0; }),
              HasSubstr("moe_router_z_loss_weight is 0.0 instead of 0.1"));
  EXPECT_THAT(hint_of_run(problem, "loss.total",
                          [](Problem& p) { p.definition.architecture.model.moe_aux_loss_weight = 1; }),
              HasSubstr("moe_aux_loss_weight is 1.0 instead of 0.01"));
  EXPECT_THAT(hint_of_run(problem, "loss.cross_entropy",
                          [](Problem& p) {
                            Tensor<std::int64_t> labels = p.inputs.labels->to_int64();
                            for (std::int64_t r = 0; r < labels.rows(); ++r) {
                              std::ranges::rotate(labels.row(r), labels.row(r).begin() + 1);
                              labels.row(r).back() = -100;
                            }
                            p.inputs.labels = Array::from(labels);
                          }),
              HasSubstr("the labels are shifted by one position once more"));
}

TEST(HintSettings, OfTrainingAndItsSchedules) {
  const std::string text = "moe[" + kModelOfHintSettings +
                           ",num_experts=4,moe_router=sigmoid_topk,moe_bias_schedule=linear_warmup]/batch=2,"
                           "text_len=6/seed=68/train/moe_step=20:1000";
  EXPECT_THAT(hint_of_run(small_problem(text), "layers.0.mlp.router.expert_bias",
                          [](Problem& p) {
                            p.definition.architecture.model.moe_bias_schedule = BiasSchedule::constant;
                          }),
              HasSubstr("moe_bias_schedule is constant instead of linear_warmup"));
  EXPECT_THAT(hint_of_run(small_problem(text), "layers.0.mlp.router.expert_ema",
                          [](Problem& p) { p.definition.train = false; }),
              HasSubstr("the model evaluates instead of training"));
  EXPECT_THAT(hint_of_run(small_problem("mot[" + kModelOfHintSettings +
                                        ",num_experts=4,max_text_len=16,num_image_tokens=3]/"
                                        "text_len=4,image_tokens=3/seed=69/mot_moe_totals=true"),
                          "aux_loss", [](Problem& p) { p.definition.mot_moe_totals = false; }),
              HasSubstr("the routers' losses are not summed at model level"));
}

// ---- no hint ----

class NoHint : public testing::TestWithParam<std::string> {};

std::string label(const testing::TestParamInfo<std::string>& info) {
  return info.param.substr(0, info.param.find('[')) + "_" + std::to_string(info.index);
}

INSTANTIATE_TEST_SUITE_P(Small, NoHint, testing::ValuesIn(small_cases()), label);

/// Right values with `change` made to them, at every floating point tap in turn.
template <class Change>
void expect_no_hints(const std::string& text, const Change& change) {
  const Problem problem = small_problem(text);
  const Trace right = run_permuted(problem, Dtype::f32);
  for (const auto& [name, value] : right.entries()) {
    if (!is_floating_point(value.dtype()) || name.ends_with("expert_counts")) continue;
    SCOPED_TRACE(name);
    Tensor<float> values = value.template to<float>();
    change(name, values);
    const Judgement judgement = judge(problem, with_tap(right, name, Array::from(values)), Dtype::f32, false);
    if (!judgement.first_divergence) continue;
    EXPECT_EQ(judgement.first_divergence->tap, name);
    EXPECT_EQ(judgement.first_divergence->hint, "");
  }
}

TEST_P(NoHint, ForRandomValues) {
  expect_no_hints(GetParam(), [](const std::string& name, Tensor<float>& values) {
    values = seeded_tensor("wrong." + name, values.shape, 3, 1.3F, 0.1F);
  });
}

TEST_P(NoHint, ForNoiseOnRightValues) {
  for (const float size : {1e-3F, 0.1F}) {
    expect_no_hints(GetParam(), [size](const std::string& name, Tensor<float>& values) {
      const Tensor<float> noise = seeded_tensor("noise." + name, values.shape, 4, size, 0.3F * size);
      for (std::int64_t i = 0; i < values.size(); ++i) values[i] += noise[i] * (1 + std::abs(values[i]));
    });
  }
}

TEST_P(NoHint, ForOneWrongElement) {
  expect_no_hints(GetParam(), [](const std::string&, Tensor<float>& values) {
    if (values.size() > 1) values[values.size() / 2] += 0.237F;
  });
}

TEST_P(NoHint, ForOneElementJustPastItsTolerance) {
  for (const float size : {1.0e-5F, 1.6e-5F, 2.5e-5F, 4.0e-5F}) {
    expect_no_hints(GetParam(), [size](const std::string&, Tensor<float>& values) {
      if (values.size() > 1) values[values.size() / 3] += size * (1 + std::abs(values[values.size() / 3]));
    });
  }
}

TEST_P(NoHint, ForValuesThatAreNoNumbers) {
  expect_no_hints(GetParam(), [](const std::string&, Tensor<float>& values) {
    values[values.size() / 2] = std::numeric_limits<float>::quiet_NaN();
  });
  expect_no_hints(GetParam(), [](const std::string&, Tensor<float>& values) {
    values[0] = std::numeric_limits<float>::infinity();
  });
}

}  // namespace
}  // namespace forgecheck
