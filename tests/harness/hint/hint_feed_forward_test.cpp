// Mistakes in the feed-forward: activations, routers, mixtures, and parameters of every linear module.
#include <algorithm>
#include <cmath>

#include "tests/harness/hint/hint.h"

namespace forgecheck {
namespace {

using testing::HasSubstr;

const std::string kModelOfHintFeedForward =
    "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";
/// Square feed-forward and attention matrices.
const std::string kSquare = "dim=16,n_layers=2,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=16";

double silu(double x) {
  return x / (1 + std::exp(-x));
}

// ---- activations ----

template <class Function>
std::string hint_of_hidden(const Problem& problem, const Function& function) {
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<float> up = right.at("layers.1.mlp.up_proj").to<float>();
  const Array* gate = right.find("layers.1.mlp.gate_proj");
  Tensor<float> hidden(up.shape);
  for (std::int64_t i = 0; i < hidden.size(); ++i) {
    hidden[i] = static_cast<float>(function(gate == nullptr ? 0.0 : gate->at(i), static_cast<double>(up[i])));
  }
  return hint_of(problem, "layers.1.mlp.hidden", hidden);
}

TEST(HintActivation, GateAndUpExchangedOrCombinedOtherwise) {
  const Problem problem = small_problem("dense[" + kModelOfHintFeedForward + "]/batch=2,text_len=5/seed=51");
  EXPECT_THAT(hint_of_hidden(problem, [](double gate, double up) { return silu(up) * gate; }),
              HasSubstr("gate_proj and up_proj are exchanged"));
  EXPECT_THAT(hint_of_hidden(problem, [](double gate, double) { return silu(gate); }),
              HasSubstr("up_proj is left out"));
  EXPECT_THAT(hint_of_hidden(problem, [](double gate, double up) { return silu(gate) + up; }),
              HasSubstr("added instead of multiplied"));
}

TEST(HintActivation, AnotherFunctionOfTheGate) {
  const Problem problem = small_problem("dense[" + kModelOfHintFeedForward + "]/batch=2,text_len=5/seed=51");
  EXPECT_THAT(hint_of_hidden(problem,
                             [](double gate, double up) {
                               return gate / 2 * (1 + std::erf(gate / std::sqrt(2.0))) * up;
                             }),
              HasSubstr("the activation of the gate is gelu instead of silu"));
  EXPECT_THAT(hint_of_hidden(problem, [](double gate, double up) { return gate * up; }),
              HasSubstr("the activation of the gate is nothing instead of silu"));
  EXPECT_THAT(hint_of_hidden(problem, [](double gate, double up) { return up / (1 + std::exp(-gate)); }),
              HasSubstr("sigmoid instead of silu"));
}

TEST(HintActivation, TheTanhFormOfGelu) {
  const Problem problem =
      small_problem("dense[" + kModelOfHintFeedForward + ",activation=gelu]/batch=2,text_len=5/seed=52");
  EXPECT_THAT(hint_of_hidden(problem,
                             [](double, double x) {
                               return x / 2 * (1 + std::tanh(0.7978845608 * (x + 0.044715 * x * x * x)));
                             }),
              HasSubstr("gelu in its tanh form instead of gelu"));
  EXPECT_THAT(hint_of_hidden(problem, [](double, double x) { return std::max(x, 0.0); }),
              HasSubstr("relu instead of gelu"));
}

// ---- parameters ----

/// A run with one parameter replaced.
std::string hint_of_parameter(const Problem& problem, const std::string& tap, const std::string& name,
                              const Array& value) {
  return hint_of_run(problem, tap, [&](Problem& mistaken) { mistaken.parameters.at(name) = value; });
}

Array transposed(const Array& array) {
  const Tensor<float> x = array.to<float>();
  Tensor<float> out({x.dim(1), x.dim(0)});
  for (std::int64_t i = 0; i < x.size(); ++i) out[i % x.dim(1) * x.dim(0) + i / x.dim(1)] = x[i];
  return Array::from(out);
}

TEST(HintWeights, ATransposedMatrixIsNamed) {
  const Problem problem = small_problem("dense[" + kSquare + "]/batch=2,text_len=5/seed=53");
  for (const auto& [tap, name] : {std::pair("layers.1.attention.k_proj", "layers.1.attention.k_proj.weight"),
                                  {"layers.0.attention", "layers.0.attention.o_proj.weight"},
                                  {"layers.0.mlp", "layers.0.mlp.down_proj.weight"},
                                  {"layers.1.mlp.gate_proj", "layers.1.mlp.gate_proj.weight"}}) {
    EXPECT_THAT(hint_of_parameter(problem, tap, name, transposed(problem.parameters.at(name))),
                HasSubstr(std::string(name) + " is transposed"));
  }
}

TEST(HintWeights, AnotherModulesMatrixIsNamed) {
  const Problem problem = small_problem("dense[" + kModelOfHintFeedForward + "]/batch=2,text_len=5/seed=54");
  const auto read = [&](const std::string& tap, const std::string& name, const std::string& other) {
    EXPECT_THAT(hint_of_parameter(problem, tap, name, problem.parameters.at(other)),
                HasSubstr(other + " is read instead of " + name));
  };
  read("layers.0.mlp.gate_proj", "layers.0.mlp.gate_proj.weight", "layers.0.mlp.up_proj.weight");
  read("layers.1.attention.v_proj", "layers.1.attention.v_proj.weight", "layers.0.attention.v_proj.weight");
  read("layers.1.attention.q_proj", "layers.1.attention.q_proj.weight", "layers.1.attention.k_proj.weight");
  read("layers.1.attention", "layers.1.attention.o_proj.weight", "layers.0.attention.o_proj.weight");
  read("logits", "output_head.proj.weight", "token_embedding.embedding.weight");
}

// The blocks of cross-attention have feed-forward layers of the same form as the model's own.
TEST(HintWeights, AnotherKindOfBlocksMatrixIsNamed) {
  const Problem problem = small_problem(
      "cross_attention[" + kModelOfHintFeedForward +
      ",max_text_len=16,cross_attention_every_n_layers=1]/batch=2,text_len=5,image_tokens=3/seed=56");
  const std::string layer = "layers.1.mlp.up_proj.weight",
                    cross = "cross_attention_layers.1.mlp.up_proj.weight";
  EXPECT_THAT(hint_of_parameter(problem, "layers.1.mlp.up_proj", layer, problem.parameters.at(cross)),
              HasSubstr(cross + " is read instead of " + layer));
  EXPECT_THAT(
      hint_of_parameter(problem, "cross_attention_layers.1.mlp.up_proj", cross, problem.parameters.at(layer)),
      HasSubstr(layer + " is read instead of " + cross));
}

TEST(HintWeights, AnotherModalitysMatrixIsNamed) {
  const Problem problem = small_problem(small_cases()[5]);
  const std::string own = "layers.0.attn.q_proj.image.weight", other = "layers.0.attn.q_proj.text.weight";
  EXPECT_THAT(hint_of_parameter(problem, "layers.0.attn.q_proj.image", own, problem.parameters.at(other)),
              HasSubstr(other + " is read instead of " + own));
}

TEST(HintWeights, ABiasLeftOutIsNamed) {
  const Problem problem = small_problem(small_cases()[3]);
  EXPECT_THAT(
      hint_of_parameter(problem, "adapter", "adapter.proj1.bias",
                        Array::from(Tensor<float>(problem.parameters.at("adapter.proj1.bias").shape()))),
      HasSubstr("adapter.proj1.bias is left out"));
}

// ---- mixtures ----

Problem mixture(const std::string& fields) {
  return small_problem("moe[" + kModelOfHintFeedForward + ",num_experts=4" + fields +
                       "]/batch=2,text_len=6/seed=55");
}

const std::string kMixture = "layers.0.mlp";

TEST(HintMixture, GateAndUpOfTheExpertsExchanged) {
  for (const std::string fields : {"", ",moe_packed_experts=true"}) {
    EXPECT_THAT(hint_of_run(mixture(fields), kMixture,
                            [&](Problem& mistaken) {
                              for (int e = 0; e < 4; ++e) {
                                const std::string expert = kMixture + ".experts." + std::to_string(e);
                                const bool packed = !fields.empty();
                                if (packed && e > 0) break;
                                std::swap(mistaken.parameters.at(packed ? kMixture + ".gate_w"
                                                                        : expert + ".gate_proj.weight"),
                                          mistaken.parameters.at(packed ? kMixture + ".up_w"
                                                                        : expert + ".up_proj.weight"));
                              }
                            }),
                HasSubstr("gate and up of the experts are exchanged"));
  }
}

TEST(HintMixture, ExpertsOffByOneOrAllTheSame) {
  const auto reading = [](const std::function<int(int)>& map) {
    const Problem problem = mixture("");
    return hint_of_run(problem, kMixture, [&](Problem& mistaken) {
      for (int e = 0; e < 4; ++e) {
        for (const std::string part : {".gate_proj.weight", ".up_proj.weight", ".down_proj.weight"}) {
          mistaken.parameters.at(kMixture + ".experts." + std::to_string(e) + part) =
              problem.parameters.at(kMixture + ".experts." + std::to_string(map(e)) + part);
        }
      }
    });
  };
  EXPECT_THAT(reading([](int e) { return (e + 1) % 4; }), HasSubstr("parameters of the next one"));
  EXPECT_THAT(reading([](int e) { return (e + 3) % 4; }), HasSubstr("parameters of the one before"));
  EXPECT_THAT(reading([](int) { return 0; }), HasSubstr("parameters of expert 0"));
}

TEST(HintMixture, PackedMatricesTransposed) {
  const Problem problem = small_problem(
      "moe[dim=16,n_layers=1,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=16,num_experts=3,"
      "moe_packed_experts=true]/batch=2,text_len=6/seed=56");
  Tensor<float> down = problem.parameters.at("layers.0.mlp.down_w").to<float>();
  ASSERT_EQ(down.shape, (Shape{3, 16, 16}));
  const Tensor<float> old = down;
  for (std::int64_t i = 0; i < down.size(); ++i) down[i] = old[i / 256 * 256 + i % 16 * 16 + i / 16 % 16];
  EXPECT_THAT(hint_of_parameter(problem, kMixture, "layers.0.mlp.down_w", Array::from(down)),
              HasSubstr("down_w of the experts is transposed"));
}

/// The mixture's output where its router's weights are replaced, and the trace shows the right ones.
template <class Change>
std::string hint_of_weights(const Problem& problem, const Change& change) {
  const Trace right = run_permuted(problem, Dtype::f32);
  Tensor<float> weights = right.at(kMixture + ".router.weights").to<float>();
  change(weights);
  Trace forced;
  forced.add(kMixture + ".router.weights", Array::from(weights));
  Tracer tracer;
  tracer.force(forced, Forcing::everything);
  run_reference(problem, Dtype::f32, Arithmetic{.order = linalg::Order::permuted}, tracer);
  return hint_at(problem, tracer.trace(), kMixture);
}

TEST(HintMixture, WhatBecomesOfTheWeights) {
  const Problem problem = mixture("");
  EXPECT_THAT(hint_of_weights(problem, [](Tensor<float>& w) { std::ranges::fill(w.data, 1.0F); }),
              HasSubstr("not multiplied by their weights"));
  EXPECT_THAT(hint_of_weights(problem,
                              [](Tensor<float>& w) {
                                for (std::int64_t r = 0; r < w.rows(); ++r) w.row(r)[1] = 0;
                              }),
              HasSubstr("only the first expert"));
  EXPECT_THAT(hint_of_weights(problem,
                              [](Tensor<float>& w) {
                                for (std::int64_t r = 0; r < w.rows(); ++r)
                                  std::swap(w.row(r)[0], w.row(r)[1]);
                              }),
              HasSubstr("the weight of another slot"));
}

TEST(HintMixture, SettingsOfTheMixture) {
  const auto run_with = [](const Problem& problem, const auto& change) {
    return hint_of_run(problem, kMixture,
                       [&](Problem& mistaken) { change(mistaken.definition.architecture.model); });
  };
  EXPECT_THAT(run_with(mixture(",moe_capacity_factor=0.5"),
                       [](ModelConfig& model) { model.moe_capacity_factor = 0; }),
              HasSubstr("moe_capacity_factor is 0.0 instead of 0.5"));
  const Problem scaled =
      small_problem("moe[" + kModelOfHintFeedForward +
                    ",num_experts=4,moe_gradient_scale=true]/batch=2,text_len=6/seed=57/train");
  EXPECT_THAT(run_with(scaled, [](ModelConfig& model) { model.moe_gradient_scale = false; }),
              HasSubstr("moe_gradient_scale is false instead of true"));
}

TEST(HintMixture, OfExpertChoice) {
  const Problem problem = small_problem(small_cases()[6]);
  const std::string router = "layers.0.mlp.experts.text.router";
  EXPECT_THAT(
      hint_of_run(problem, "layers.0.mlp.experts.image.router.indices",
                  [](Problem& mistaken) { mistaken.definition.architecture.vlm->moma_gumbel_noise = false; }),
      HasSubstr("the gumbel noise is left out"));
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<float> gate = right.at(router + ".gate").to<float>();
  const Tensor<std::int64_t> indices = right.at(router + ".indices").to_int64();
  Tensor<float> scores(indices.shape);
  for (std::int64_t i = 0; i < scores.size(); ++i) {
    scores[i] = 1 / (1 + std::exp(-gate.row(indices[i])[static_cast<std::size_t>(i / indices.width())]));
  }
  EXPECT_THAT(hint_of(problem, router + ".scores", scores), HasSubstr("sigmoid(gate) without the noise"));
}

// ---- the router ----

TEST(HintRouter, WeightsThatAreNotNormalised) {
  const Problem problem = mixture("");
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<float> gate = right.at(kMixture + ".router.gate").to<float>();
  const Tensor<std::int64_t> indices = right.at(kMixture + ".router.indices").to_int64();
  Tensor<float> weights(indices.shape);
  for (std::int64_t i = 0; i < weights.size(); ++i) {
    float sum = 0;
    for (const float logit : gate.row(i / 2)) sum += std::exp(logit);
    weights[i] = std::exp(gate.row(i / 2)[static_cast<std::size_t>(indices[i])]) / sum;
  }
  EXPECT_THAT(hint_of(problem, kMixture + ".router.weights", weights),
              HasSubstr("the scores are not divided by their sum"));
}

TEST(HintRouter, ExpertBiasInTheWrongPlace) {
  const Problem problem = mixture(",moe_router=sigmoid_topk");
  const Trace right = run_permuted(problem, Dtype::f32);
  const Tensor<float> gate = right.at(kMixture + ".router.gate").to<float>();
  const Tensor<std::int64_t> indices = right.at(kMixture + ".router.indices").to_int64();
  Tensor<float> weights(indices.shape);
  for (std::int64_t r = 0; r < weights.rows(); ++r) {
    float sum = 0;
    for (std::size_t k = 0; k < 2; ++k) {
      weights.row(r)[k] = 1 / (1 + std::exp(-gate.row(r)[static_cast<std::size_t>(indices.row(r)[k])]));
      sum += weights.row(r)[k];
    }
    for (float& weight : weights.row(r)) weight /= sum;
  }
  EXPECT_THAT(hint_of(problem, kMixture + ".router.weights", weights),
              HasSubstr("scores without expert_bias"));
  EXPECT_THAT(hint_of_run(problem, kMixture + ".router.indices",
                          [](Problem& mistaken) {
                            Array& bias = mistaken.parameters.at(kMixture + ".router.expert_bias");
                            bias = Array::from(Tensor<float>(bias.shape()));
                          }),
              HasSubstr("expert_bias is left out"));
}

TEST(HintRouter, TheSmallestScoresChosen) {
  const Problem problem = mixture("");
  const Decision decision = oracle_decisions(problem).at(kMixture + ".router.indices");
  Tensor<std::int64_t> smallest = decision.chosen;
  for (std::int64_t r = 0; r < smallest.rows(); ++r) {
    std::vector<std::int64_t> order = {0, 1, 2, 3};
    std::ranges::sort(order, {},
                      [&](std::int64_t e) { return decision.scores.row(r)[static_cast<std::size_t>(e)]; });
    std::copy_n(order.begin(), 2, smallest.row(r).begin());
  }
  EXPECT_THAT(hint_of(problem, kMixture + ".router.indices", smallest),
              HasSubstr("the smallest scores are chosen"));
}

}  // namespace
}  // namespace forgecheck
