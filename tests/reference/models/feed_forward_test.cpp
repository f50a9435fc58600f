#include "reference/models/feed_forward.h"

#include "reference/ops/linear.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

/// D 2 and relu experts of width 2: on inputs that are not negative, expert e multiplies by 10^e. The gate
/// sends (1, 0) to the logits (ln 3, 0), so the softmax scores are 3/4 and 1/4, and (0, 1) to (0, ln 3).
class TwoExperts : public testing::Test {
 protected:
  TwoExperts() {
    ModelConfig& model = architecture_.model;
    model.dim = 2;
    model.n_heads = 1;
    model.activation = Activation::relu;
    model.num_experts = 2;
    model.moe_top_k = 2;
    weights_.set("m.router.gate.weight", diagonal(2, kLn3));
    set_mlp("m.experts.0", 1);
    set_mlp("m.experts.1", 10);
  }

  void set_mlp(const std::string& name, double factor) {
    weights_.set(name + ".up_proj.weight", diagonal(2, 1));
    weights_.set(name + ".down_proj.weight", diagonal(2, factor));
  }
  void make_sigmoid(const std::vector<double>& bias) {
    architecture_.model.moe_router = RouterType::sigmoid_topk;
    weights_.set("m.router.expert_bias", doubles({2}, bias));
    weights_.set("m.router.expert_ema", doubles({2}, {0.5, 0.5}));
  }
  std::vector<double> output(const std::vector<double>& x, bool training = false) {
    options_.training = training;
    return numbers(run(x).first);
  }
  /// Output and taps; losses and changed state stay in the members.
  std::pair<Tensor<double>, Trace> run(const std::vector<double>& x) {
    Module parts(architecture_, weights_);
    parts.options = options_;
    const auto tokens = static_cast<std::int64_t>(x.size() / 2);
    Tensor<double> out = moe(parts.run, "m", doubles({1, tokens, 2}, x), counted_, step_);
    weights_ = parts.weights;
    aux_loss_ = parts.run.aux_loss;
    z_loss_ = parts.run.z_loss;
    return {std::move(out), parts.tracer.take()};
  }

  Architecture architecture_ = small_text();
  Weights<double> weights_;
  ForwardOptions options_;
  MoeStep step_{0, 1};
  bool counted_ = true;
  double aux_loss_ = 0, z_loss_ = 0;
};

// 3/4 * 1 + 1/4 * 10 = 3.25.
TEST_F(TwoExperts, OutputsAreWeightedByTheScores) {
  EXPECT_THAT(output({1, 0}), AreNear({3.25, 0}));
  EXPECT_THAT(output({1, 0, 0, 1}), AreNear({3.25, 0, 0, 7.75}));
}

TEST_F(TwoExperts, OnlyExpertOfATokenHasWeightOne) {
  architecture_.model.moe_top_k = 1;
  EXPECT_THAT(output({1, 0, 0, 1, 2, 0}), AreNear({1, 0, 0, 10, 2, 0}));
}

TEST_F(TwoExperts, SharedExpertIsAddedUnweightedToEveryToken) {
  architecture_.model.moe_top_k = 1;
  architecture_.model.moe_shared_experts = 3;  // any number makes one MLP
  set_mlp("m.shared_expert", 100);
  EXPECT_THAT(output({1, 0, 0, 1}), AreNear({101, 0, 0, 110}));
}

// One slot each, capacity ceil(3 * 1 / 2 * 0.7) = 2: the third token of expert 0 keeps the shared expert
// only.
TEST_F(TwoExperts, TokensPastTheCapacityAreDropped) {
  architecture_.model.moe_top_k = 1;
  architecture_.model.moe_capacity_factor = 0.7;
  EXPECT_THAT(output({1, 0, 2, 0, 3, 0}), AreNear({1, 0, 2, 0, 0, 0}));
  set_mlp("m.shared_expert", 100);
  architecture_.model.moe_shared_experts = 1;
  EXPECT_THAT(output({1, 0, 2, 0, 3, 0}), AreNear({101, 0, 202, 0, 300, 0}));
}

TEST_F(TwoExperts, DroppedSlotIsNotRenormalised) {
  architecture_.model.moe_capacity_factor = 0.5;  // ceil(2 * 2 / 2 * 0.5) = 1 for each slot and expert
  EXPECT_THAT(output({1, 0, 2, 0}), AreNear({3.25, 0, 0, 0}));
  EXPECT_THAT(output({1, 0, 0, 1}), AreNear({3.25, 0, 0, 7.75}));
}

TEST_F(TwoExperts, CountsAreTakenBeforeTheDrops) {
  architecture_.model.moe_top_k = 1;
  architecture_.model.moe_capacity_factor = 0.5;
  const Trace trace = run({1, 0, 2, 0, 3, 0}).second;
  EXPECT_EQ(numbers(trace.at("m.expert_counts").to<double>()), (std::vector<double>{3, 0}));
}

// 4 assignments, 2 experts: the average is 2, expert 0 has 3 and expert 1 has 1.
TEST_F(TwoExperts, GradientScaleIsForTrainingOnly) {
  architecture_.model.moe_top_k = 1;
  architecture_.model.moe_gradient_scale = true;
  const std::vector<double> x = {3, 0, 6, 0, 9, 0, 0, 1};
  EXPECT_THAT(output(x, true), AreNear({2, 0, 4, 0, 6, 0, 0, 20}));
  EXPECT_THAT(output(x, false), AreNear({3, 0, 6, 0, 9, 0, 0, 10}));
  architecture_.model.moe_gradient_scale = false;
  EXPECT_THAT(output(x, true), AreNear({3, 0, 6, 0, 9, 0, 0, 10}));
}

// Capacity ceil(4 / 2 * 0.5) = 1. Not counting the two dropped tokens, the scale of expert 0 would be 2 / 1
// instead of 2 / 3.
TEST_F(TwoExperts, GradientScaleCountsDroppedTokens) {
  architecture_.model.moe_top_k = 1;
  architecture_.model.moe_gradient_scale = true;
  architecture_.model.moe_capacity_factor = 0.5;
  EXPECT_THAT(output({3, 0, 6, 0, 9, 0, 0, 1}, true), AreNear({2, 0, 0, 0, 0, 0, 0, 20}));
}

// Token (1, 0) has the logits (ln 3, 0): the losses see p = (3/4, 1/4) and logsumexp = ln 4.
TEST_F(TwoExperts, SoftmaxRouterReportsItsLosses) {
  architecture_.model.moe_top_k = 1;
  run({1, 0});
  EXPECT_THAT(aux_loss_, testing::DoubleNear(2 * 0.75, 1e-14));
  EXPECT_THAT(z_loss_, testing::DoubleNear(4 * kLn2 * kLn2, 1e-14));
  counted_ = false;
  const Trace trace = run({1, 0}).second;
  EXPECT_EQ(aux_loss_, 0);
  EXPECT_EQ(z_loss_, 0);
  EXPECT_EQ(trace.find("m.expert_counts"), nullptr);
}

// Logits (ln 3, 0) and bias (0, ln 3): both scores are 3/4, so the weights are 1/2 and 1/2.
TEST_F(TwoExperts, SigmoidRouterHasItsBiasInTheWeights) {
  make_sigmoid({0, kLn3});
  EXPECT_THAT(output({1, 0}), AreNear({5.5, 0}));
}

TEST_F(TwoExperts, SigmoidRouterHasAnAuxLossOnlyByItsSequenceWeight) {
  architecture_.model.moe_top_k = 1;
  make_sigmoid({0, 0});
  run({1, 0});
  EXPECT_EQ(aux_loss_, 0);
  architecture_.model.moe_sequence_aux_loss_weight = 0.1;
  run({1, 0});  // f = (1, 0), mean score 3/4
  EXPECT_THAT(aux_loss_, testing::DoubleNear(0.1 * 2 * 0.75, 1e-8));
  EXPECT_LT(aux_loss_, 0.15);  // because of the 1e-8 added to the assignments
}

TEST_F(TwoExperts, ZLossHasNoBiasInIt) {
  make_sigmoid({5, -7});
  run({1, 0});
  EXPECT_THAT(z_loss_, testing::DoubleNear(4 * kLn2 * kLn2, 1e-14));
}

// Both tokens to expert 0: u = (1, 0), ema (0.505, 0.495), bias -+ 0.001 * 0.005. This call still chooses by
// the old state.
TEST_F(TwoExperts, TrainingMovesTheStateAfterTheScores) {
  architecture_.model.moe_top_k = 1;
  make_sigmoid({0, 0});
  EXPECT_THAT(output({1, 0, 2, 0}, true), AreNear({1, 0, 2, 0}));
  EXPECT_THAT(numbers(weights_.at("m.router.expert_ema")), AreNear({0.505, 0.495}, 1e-9));
  EXPECT_THAT(numbers(weights_.at("m.router.expert_bias")), AreNear({-5e-6, 5e-6}, 1e-12));
}

TEST_F(TwoExperts, ScheduleReadsTheStep) {
  architecture_.model.moe_top_k = 1;
  architecture_.model.moe_bias_schedule = BiasSchedule::linear_warmup;
  step_ = {5, 100};  // half the rate
  make_sigmoid({0, 0});
  output({1, 0}, true);
  EXPECT_THAT(numbers(weights_.at("m.router.expert_bias")), AreNear({-2.5e-6, 2.5e-6}, 1e-12));
}

TEST_F(TwoExperts, EvalAndTheSoftmaxRouterChangeNoState) {
  make_sigmoid({0.25, 0});
  output({1, 0}, false);
  EXPECT_EQ(numbers(weights_.at("m.router.expert_ema")), (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(numbers(weights_.at("m.router.expert_bias")), (std::vector<double>{0.25, 0}));
  architecture_.model.moe_router = RouterType::softmax_topk;
  output({1, 0}, true);
  EXPECT_EQ(numbers(weights_.at("m.router.expert_bias")), (std::vector<double>{0.25, 0}));
}

// The run continues with the forced choice: the weights are the scores of the forced experts.
TEST_F(TwoExperts, ForcedChoiceTakesItsOwnScores) {
  Trace forced;
  forced.add("m.router.indices", integers({1, 2}, {1, 0}));
  Module parts(architecture_, weights_);
  parts.tracer.force(forced, Forcing::decisions);
  moe(parts.run, "m", doubles({1, 1, 2}, {1, 0}), true, {});
  EXPECT_THAT(numbers(parts.tracer.trace().at("m.router.weights").to<double>()), AreNear({0.25, 0.75}));
  EXPECT_EQ(parts.tracer.decisions().at("m.router.indices").chosen.data, (std::vector<std::int64_t>{0, 1}));
}

// width 1: gate (1, 1), up (1, -1), down (2, 3). On (ln 3, 0): silu(ln 3) * ln 3 = 3/4 ln^2 3.
TEST(Mlp, SwigluIsDownOfSiluGateTimesUp) {
  Weights<double> weights;
  weights.set("m.gate_proj.weight", doubles({1, 2}, {1, 1}));
  weights.set("m.up_proj.weight", doubles({1, 2}, {1, -1}));
  weights.set("m.down_proj.weight", doubles({2, 1}, {2, 3}));
  Module parts(small_text(), weights);
  const double hidden = 0.75 * kLn3 * kLn3;
  EXPECT_THAT(numbers(mlp(parts.run, "m", doubles({1, 1, 2}, {kLn3, 0}))), AreNear({2 * hidden, 3 * hidden}));
  EXPECT_THAT(numbers(parts.tracer.trace().at("m.hidden").to<double>()), AreNear({hidden}));
}

TEST(Mlp, GeluAndReluHaveNoGate) {
  Architecture architecture = small_text();
  architecture.model.activation = Activation::gelu;
  Weights<double> weights;
  weights.set("m.up_proj.weight", doubles({2, 1}, {1, -1}));
  weights.set("m.down_proj.weight", doubles({1, 2}, {1, 10}));
  Module parts(architecture, weights);
  EXPECT_THAT(numbers(mlp(parts.run, "m", doubles({1, 1}, {1}))),
              AreNear({0.8413447460685429 - 1.5865525393145705}));
  architecture.model.activation = Activation::relu;
  Module relu_parts(architecture, weights);
  EXPECT_THAT(numbers(mlp(relu_parts.run, "m", doubles({2, 1}, {1, -1}))), AreNear({1, 10}));
}

TEST(Mlp, ExpertsRecordNothing) {
  const Architecture architecture = small_text();
  Module<double> parts(architecture, seeded_weights<double>(architecture));
  mlp(parts.run, "layers.0.mlp", Tensor<double>({1, 8}), false);
  EXPECT_TRUE(parts.tracer.trace().empty());
}

template <class T>
Tensor<T> expert_of_packed(const Tensor<T>& unpacked) {
  Tensor<T> out({unpacked.dim(1), unpacked.dim(0)});
  for (std::int64_t i = 0; i < unpacked.size(); ++i) {
    out[i % unpacked.dim(1) * unpacked.dim(0) + i / unpacked.dim(1)] = unpacked[i];
  }
  return out;
}

/// The same experts, each matrix transposed into one (E, in, out) tensor.
template <class T>
void add_packed(Weights<T>& weights, const std::string& name, std::int64_t experts) {
  for (const auto& [packed, module] :
       {std::pair("up_w", "up_proj"), {"gate_w", "gate_proj"}, {"down_w", "down_proj"}}) {
    std::vector<T> data;
    Shape shape;
    for (std::int64_t e = 0; e < experts; ++e) {
      const std::string expert = name + ".experts." + std::to_string(e) + "." + module + ".weight";
      const Tensor<T> matrix = expert_of_packed(weights.at(expert));
      shape = {experts, matrix.dim(0), matrix.dim(1)};
      data.insert(data.end(), matrix.data.begin(), matrix.data.end());
    }
    weights.set(name + "." + packed, Tensor<T>(shape, data));
  }
}

TEST(PackedExperts, GiveTheBitsOfTheUnpackedOnes) {
  Architecture architecture = small_moe();
  auto weights = seeded_weights<float>(architecture);
  for (std::int64_t i = 0; i < architecture.model.n_layers; ++i) {
    if (architecture.model.is_moe_layer(i)) {
      add_packed(weights, "layers." + std::to_string(i) + ".mlp", architecture.model.num_experts);
    }
  }
  const Inputs inputs = token_inputs({2, 3}, {1, 2, 3, 4, 5, 6});
  const auto unpacked = run_model(architecture, weights, inputs);
  architecture.model.moe_packed_experts = true;
  const auto packed = run_model(architecture, weights, inputs);
  EXPECT_TRUE(identical(packed.logits, unpacked.logits));
}

}  // namespace
}  // namespace forgecheck
