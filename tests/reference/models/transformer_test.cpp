// The whole forward call of text models, and of models with images in or outside the residual stream.
#include "reference/models/transformer.h"

#include "reference/ops/embedding.h"
#include "reference/ops/norm.h"
#include "tests/reference/models/small_models.h"

namespace forgecheck {
namespace {

const std::vector<std::int64_t> kTokens = {3, 1, 4, 1, 5, 9, 2, 6};

template <class T>
Tensor<T> logits_of(const Architecture& architecture, const Inputs& inputs) {
  auto weights = seeded_weights<T>(architecture);
  return run_model(architecture, weights, inputs).logits;
}

// D 2, no layer changes anything: logits = head (embedding / rms). The row (3, 4) has the mean square 12.5.
TEST(Transformer, IsHeadOfNormOfEmbeddingWhereBlocksAddNothing) {
  Architecture architecture = small_text();
  architecture.model.dim = 2;
  architecture.model.n_heads = 1;
  architecture.model.n_layers = 1;
  architecture.model.norm_eps = 1e-30;
  Weights<double> weights;
  for (const ParameterInfo& info : model_parameters(architecture)) {
    weights.set(info.name, Tensor<double>(info.shape));
  }
  weights.mutable_at("token_embedding.embedding.weight").row(5)[0] = 3;
  weights.mutable_at("token_embedding.embedding.weight").row(5)[1] = 4;
  weights.mutable_at("norm.weight") = doubles({2}, {1, 10});
  Tensor<double>& head = weights.mutable_at("output_head.proj.weight");
  head.row(0)[0] = 1;
  head.row(7)[1] = 2;
  const auto outcome = run_model(architecture, weights, token_inputs({1, 1}, {5}));
  std::vector<double> expected(11);
  expected[0] = 0.848528137423857;
  expected[7] = 2 * 11.31370849898476;
  EXPECT_THAT(numbers(outcome.logits), AreNear(expected));
  EXPECT_EQ(outcome.aux_loss, 0);
  EXPECT_EQ(outcome.z_loss, 0);
}

// The taps of a block satisfy out = x + attention + mlp.
TEST(Transformer, BlocksAddToTheResidual) {
  const Architecture architecture = small_text();
  auto weights = seeded_weights<double>(architecture);
  const auto outcome = run_model(architecture, weights, token_inputs({1, 8}, kTokens));
  auto sum = numbers(outcome.tap("layers.0"));
  for (const char* part : {"attention", "mlp"}) {
    const auto added = numbers(outcome.tap("layers.1." + std::string(part)));
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += added[i];
  }
  EXPECT_THAT(numbers(outcome.tap("layers.1")), AreNear(sum));
}

TEST(Transformer, LaterTokensDoNotChangeEarlierLogits) {
  const Architecture architecture = small_text();
  const Tensor<double> before = logits_of<double>(architecture, token_inputs({1, 8}, kTokens));
  auto changed_tokens = kTokens;
  changed_tokens[5] = 0;
  const Tensor<double> after = logits_of<double>(architecture, token_inputs({1, 8}, changed_tokens));
  for (std::int64_t s = 0; s < 5; ++s) EXPECT_EQ(logits_at(before, 0, s), logits_at(after, 0, s)) << s;
  for (std::int64_t s = 5; s < 8; ++s) EXPECT_NE(logits_at(before, 0, s), logits_at(after, 0, s)) << s;
}

TEST(Transformer, OutputSliceIsThoseRowsOfTheWhole) {
  const Architecture architecture = small_text();
  Inputs inputs = token_inputs({2, 4}, kTokens);
  const Tensor<float> whole = logits_of<float>(architecture, inputs);
  inputs.output_slice = OutputSlice{-3, -1};
  const Tensor<float> sliced = logits_of<float>(architecture, inputs);
  EXPECT_EQ(sliced.shape, (Shape{2, 2, 11}));
  EXPECT_TRUE(identical(sliced, slice_sequence(whole, 1, 3)));
}

TEST(Transformer, TiedHeadIsTheEmbedding) {
  Architecture architecture = small_text();
  auto weights = seeded_weights<double>(architecture);
  weights.set("output_head.proj.weight", weights.at("token_embedding.embedding.weight"));
  const auto untied = run_model(architecture, weights, token_inputs({1, 8}, kTokens));
  architecture.model.tie_embeddings = true;
  auto tied_weights = seeded_weights<double>(architecture);
  EXPECT_FALSE(tied_weights.names().contains("output_head.proj.weight"));
  const auto tied = run_model(architecture, tied_weights, token_inputs({1, 8}, kTokens));
  EXPECT_TRUE(identical(tied.logits, untied.logits));
}

TEST(PackedDocuments, NoLeakAcrossBoundary) {
  const Architecture architecture = small_text();
  Inputs inputs = token_inputs({1, 8}, kTokens);
  inputs.doc_ids = integers({1, 8}, {0, 0, 0, 1, 1, 1, 1, 1});
  const Tensor<double> before = logits_of<double>(architecture, inputs);
  auto changed_tokens = kTokens;
  changed_tokens[0] = 7;
  inputs.tokens = integers({1, 8}, changed_tokens);
  const Tensor<double> after = logits_of<double>(architecture, inputs);
  for (std::int64_t s = 0; s < 3; ++s) EXPECT_NE(logits_at(before, 0, s), logits_at(after, 0, s)) << s;
  for (std::int64_t s = 3; s < 8; ++s) EXPECT_EQ(logits_at(before, 0, s), logits_at(after, 0, s)) << s;
}

TEST(PackedDocuments, OneDocumentIsNoMask) {
  Inputs inputs = token_inputs({1, 8}, kTokens);
  const Tensor<double> unmasked = logits_of<double>(small_text(), inputs);
  inputs.doc_ids = integers({1, 8}, {4, 4, 4, 4, 4, 4, 4, 4});
  EXPECT_TRUE(identical(logits_of<double>(small_text(), inputs), unmasked));
}

TEST(PaddedKeys, DoNotChangeTheOthers) {
  Inputs inputs;
  auto embeds = seeded_tensor("x", {1, 5, 8}, 0, 1.0F, 0.0F);
  inputs.key_padding_mask = Array::from(Tensor<std::uint8_t>({1, 5}, {1, 0, 1, 1, 0}));
  inputs.inputs_embeds = Array::from(embeds);
  const Tensor<double> before = logits_of<double>(small_text(), inputs);
  for (const std::int64_t padded : {1, 4}) embeds.row(padded)[0] += 3;
  inputs.inputs_embeds = Array::from(embeds);
  const Tensor<double> after = logits_of<double>(small_text(), inputs);
  for (const std::int64_t s : {0, 2, 3}) EXPECT_EQ(logits_at(before, 0, s), logits_at(after, 0, s)) << s;
  for (const std::int64_t s : {1, 4}) EXPECT_NE(logits_at(before, 0, s), logits_at(after, 0, s)) << s;
}

TEST(JointDecoder, PositionsCountOverPrefixAndText) {
  const Architecture architecture = small_vlm(VlmArch::joint_decoder);
  const Tensor<double> whole = logits_of<double>(architecture, token_inputs({1, 8}, kTokens));
  const auto weights = seeded_weights<double>(architecture);
  const auto rows = embedding<double>(Ids({1, 3}, {3, 1, 4}), weights.at("token_embedding.embedding.weight"));
  Inputs inputs = token_inputs({1, 5}, {1, 5, 9, 2, 6});
  inputs.prefix_embeds = Array::from(rows);
  EXPECT_TRUE(identical(logits_of<double>(architecture, inputs), whole));
}

TEST(JointDecoder, InputsEmbedsTakeTheWholeResidual) {
  const auto weights = seeded_weights<double>(small_text());
  Inputs inputs;
  inputs.inputs_embeds =
      Array::from(embedding<double>(Ids({2, 4}, kTokens), weights.at("token_embedding.embedding.weight")));
  EXPECT_TRUE(identical(logits_of<double>(small_text(), inputs),
                        logits_of<double>(small_text(), token_inputs({2, 4}, kTokens))));
}

template <class T>
class Stages : public testing::Test {};
using Types = testing::Types<double, float, Bfloat16>;
TYPED_TEST_SUITE(Stages, Types);

TYPED_TEST(Stages, ComposedEqualTheWholeBitForBit) {
  for (const Architecture& architecture : {small_text(), small_moe(), small_moe(RouterType::sigmoid_topk)}) {
    for (std::int64_t stages = 1; stages <= architecture.model.n_layers; ++stages) {
      Inputs inputs = token_inputs({2, 4}, kTokens);
      if (stages == 2) inputs.output_slice = OutputSlice{1, 3};
      if (stages == 3) inputs.doc_ids = integers({2, 4}, {0, 0, 1, 1, 0, 1, 1, 2});
      auto weights = seeded_weights<TypeParam>(architecture);
      const auto whole = run_model(architecture, weights, inputs).logits;
      EXPECT_TRUE(identical(forward_staged(architecture, weights, inputs, {}, stages, Tracer()), whole))
          << stages;
    }
  }
}

// Experts 0 and 1 for every token, regardless of the router of layer 1.
TEST(StagedMoe, FollowsForcedChoices) {
  const Architecture architecture = small_moe();
  auto weights = seeded_weights<double>(architecture);
  const Inputs inputs = token_inputs({1, 4}, {3, 1, 4, 1});
  Trace forced;
  forced.add("layers.1.mlp.router.indices", integers({4, 2}, {0, 1, 0, 1, 0, 1, 0, 1}));
  Tracer tracer;
  tracer.force(forced, Forcing::decisions);
  const auto whole = forward(architecture, weights, inputs, {}, tracer).logits;
  EXPECT_TRUE(identical(forward_staged(architecture, weights, inputs, {}, 3, tracer), whole));
  EXPECT_FALSE(identical(whole, run_model(architecture, weights, inputs).logits));
}

TEST(PartitionLayers, EarlierStagesTakeOneMore) {
  using Parts = std::vector<std::pair<std::int64_t, std::int64_t>>;
  EXPECT_EQ(partition_layers(7, 3), (Parts{{0, 3}, {3, 5}, {5, 7}}));
  EXPECT_EQ(partition_layers(8, 3), (Parts{{0, 3}, {3, 6}, {6, 8}}));
  EXPECT_EQ(partition_layers(4, 4), (Parts{{0, 1}, {1, 2}, {2, 3}, {3, 4}}));
  EXPECT_EQ(partition_layers(5, 1), (Parts{{0, 5}}));
}

TEST(PartitionLayers, EveryStageNeedsALayer) {
  const auto rejection = [](std::int64_t stages) {
    return message_of<ConfigError>([&] { partition_layers(7, stages); });
  };
  EXPECT_EQ(rejection(0), "case.stages = 0: must be in 1 .. n_layers = 7");
  EXPECT_EQ(rejection(8), "case.stages = 8: must be in 1 .. n_layers = 7");
  const Architecture vlm = small_vlm(VlmArch::joint_decoder);
  auto weights = seeded_weights<double>(vlm);
  EXPECT_EQ(message_of<ConfigError>([&] {
              forward_staged(vlm, weights, token_inputs({1, 8}, kTokens), {}, 2, Tracer());
            }),
            "case.stages = 2: pipeline stages exist for text models only");
}

// Layers 0 and 2 are dense, layer 1 is MoE: the model's losses are those of layer 1.
TEST(MoeModel, LossesAreSummedOverTheMoeLayers) {
  Architecture architecture = small_moe();
  auto weights = seeded_weights<double>(architecture);
  const auto one = run_model(architecture, weights, token_inputs({1, 8}, kTokens));
  EXPECT_GT(one.aux_loss, 0);
  EXPECT_EQ(one.trace.at("aux_loss").at(0), one.aux_loss);
  EXPECT_NE(one.trace.find("layers.1.mlp.expert_counts"), nullptr);
  EXPECT_EQ(one.trace.find("layers.0.mlp.expert_counts"), nullptr);
  // Experts that always add 0, and the same gate in every layer: the sum is three times one layer's.
  architecture.model.moe_frequency = 1;
  auto equal_layers = seeded_weights<double>(architecture);
  for (const std::string& name : equal_layers.names()) {
    if (name.ends_with("o_proj.weight") || name.ends_with("down_proj.weight")) {
      equal_layers.set(name, Tensor<double>(equal_layers.view(name).shape()));
    }
    for (const char* part : {"mlp_norm", "mlp.router.gate"}) {
      const std::string shared = std::string(part) + ".weight";
      if (name.ends_with(shared)) equal_layers.set(name, equal_layers.at("layers.0." + shared));
    }
  }
  const auto three = run_model(architecture, equal_layers, token_inputs({1, 8}, kTokens));
  architecture.model.n_layers = 1;
  const auto first = run_model(architecture, equal_layers, token_inputs({1, 8}, kTokens));
  EXPECT_NEAR(three.aux_loss, 3 * first.aux_loss, 1e-14);
  EXPECT_NEAR(three.z_loss, 3 * first.z_loss, 1e-12);
}

TEST(MoeModel, NarrowExpertsRun) {
  Architecture architecture = small_moe();
  architecture.model.ffn_hidden_dim = 96;
  architecture.model.moe_expert_ffn_multiplier = 0.5;
  auto weights = seeded_weights<double>(architecture);
  EXPECT_EQ(weights.at("layers.1.mlp.experts.0.up_proj.weight").shape, (Shape{48, 8}));
  EXPECT_EQ(weights.at("layers.0.mlp.up_proj.weight").shape, (Shape{96, 8}));
  EXPECT_EQ(run_model(architecture, weights, token_inputs({1, 8}, kTokens)).logits.shape, (Shape{1, 8, 11}));
}

}  // namespace
}  // namespace forgecheck
