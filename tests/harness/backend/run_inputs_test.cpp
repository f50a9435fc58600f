// What every backend makes of a problem before it runs it.
#include "harness/backend/run_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/backend/backend.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

using testing::ElementsAre;

const std::string kModelOfRunInputs =
    "dim=16,n_layers=1,n_heads=2,vocab_size=31,max_seq_len=32,ffn_hidden_dim=24";

TEST(RunInputs, APromptIsTheBeginOfEachRow) {
  Inputs inputs;
  inputs.tokens = Array::from(Tensor<std::int64_t>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_EQ(greedy_prompt(inputs, 3).shape, (Shape{2, 3}));
  EXPECT_THAT(greedy_prompt(inputs, 3).data, ElementsAre(1, 2, 3, 5, 6, 7));
  EXPECT_THAT(greedy_prompt(inputs, 4).data, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT([&] { greedy_prompt(inputs, 5); },
              testing::ThrowsMessage<ConfigError>("case.greedy_from = 5: there are 4 tokens"));
  EXPECT_THAT([] { greedy_prompt({}, 1); },
              testing::ThrowsMessage<ShapeError>("[run] the input tokens is missing"));
}

// Computed from the formula of harness/case/seeded.h by another program.
TEST(RunInputs, DrawsAreTheTop53BitsOfTheSeededStream) {
  std::function<double()> draw = sampling_draws(7);
  EXPECT_EQ(draw(), 0x1.c47ba0fd8c568p-3);
  EXPECT_EQ(draw(), 0x1.8f5c06f440c78p-3);
  EXPECT_EQ(draw(), 0x1.57a49ba3468c8p-1);
  EXPECT_EQ(sampling_draws(0)(), 0x1.c50870c11b0d2p-1);
}

TEST(RunInputs, FloatingPointInputsHaveTheTypeOfTheCase) {
  const std::string text =
      "mot[" + kModelOfRunInputs +
      ",max_text_len=16,num_image_tokens=3,num_experts=2]/text_len=4,image_tokens=3/train";
  Problem problem = seeded_problem(parse_case_text(text + "/bfloat16"));
  problem.inputs.gumbel.emplace("layers.0.text", Array::from(Tensor<float>({1, 2}, {0.1F, 0.2F})));
  ASSERT_EQ(problem.inputs.prefix_embeds.value().dtype(), Dtype::f32);
  const Inputs stored = stored_inputs(problem);
  EXPECT_EQ(stored.prefix_embeds.value().dtype(), Dtype::bf16);
  EXPECT_EQ(stored.gumbel.at("layers.0.text").dtype(), Dtype::bf16);
  EXPECT_EQ(stored.tokens.value().dtype(), Dtype::i64);
}

TEST(RunInputs, WhatTheCaseAsksForReachesTheForwardCall) {
  const Case plain = parse_case_text("moe[" + kModelOfRunInputs + ",num_experts=4]/text_len=5");
  EXPECT_FALSE(forward_options(plain).training);
  EXPECT_FALSE(forward_options(plain).mot_moe_totals);
  EXPECT_EQ(forward_options(plain).moe_step.step, 0);
  EXPECT_EQ(forward_options(plain).moe_step.max_steps, 1);
  EXPECT_EQ(forward_options(plain).arithmetic, kPlain);
  const Case full = parse_case_text("mot[" + kModelOfRunInputs +
                                    ",max_text_len=16,num_image_tokens=3,num_experts=2]/"
                                    "text_len=4,image_tokens=3/train/moe_step=3:9/mot_moe_totals=true");
  EXPECT_TRUE(forward_options(full).training);
  EXPECT_TRUE(forward_options(full).mot_moe_totals);
  EXPECT_EQ(forward_options(full).moe_step.step, 3);
  EXPECT_EQ(forward_options(full).moe_step.max_steps, 9);
  const GenerateOptions greedy =
      greedy_options(parse_case_text("dense[" + kModelOfRunInputs + "]/text_len=5/greedy_from=2:3"));
  EXPECT_EQ(greedy.max_new_tokens, 3);
  EXPECT_TRUE(greedy.sampling.greedy());
  EXPECT_FALSE(greedy.eos_token_id.has_value());
}

TEST(RunInputs, AnOutputSliceGivesTheLogitsOfItsPositions) {
  const std::string text = "dense[" + kModelOfRunInputs + "]/batch=2,text_len=5/seed=1";
  for (const BackendStatus& row : list_backends()) {
    if (!row.unavailable.empty()) continue;
    const std::unique_ptr<Backend> backend = make_backend(row.name);
    const auto logits = [&](const std::string& slice) {
      Problem problem = seeded_problem(parse_case_text(text + slice));
      problem.inputs.output_slice.reset();  // as in a recording: the case alone says it
      return backend->run(problem, {}).at("logits").to<float>();
    };
    const Tensor<float> all = logits(""), part = logits("/output_slice=1:3");
    ASSERT_EQ(part.shape, (Shape{2, 2, 31})) << row.name;
    for (std::int64_t position = 0; position < 2; ++position) {
      for (std::int64_t v = 0; v < 31; ++v) {
        EXPECT_NEAR(part[position * 31 + v], all[(position + 1) * 31 + v], 1e-5) << row.name;
      }
    }
  }
}

// loss.total = cross_entropy + logit_z + moe_aux_loss_weight * aux + moe_router_z_loss_weight * z
TEST(RunInputs, TheLossesOfTheRouterHaveTheirOwnWeights) {
  const Problem problem =
      seeded_problem(parse_case_text("moe[" + kModelOfRunInputs +
                                     ",num_experts=4,moe_aux_loss_weight=0.25,moe_router_z_loss_weight=0.5]/"
                                     "text_len=5/train/loss=cross_entropy,z_loss_weight=0.001"));
  for (const BackendStatus& row : list_backends()) {
    if (!row.unavailable.empty()) continue;
    const Trace trace = make_backend(row.name)->run(problem, {});
    const auto value = [&](const std::string& tap) { return trace.at(tap).at(0); };
    EXPECT_GT(std::abs(value("aux_loss") - value("z_loss")), 1) << row.name;
    EXPECT_NEAR(value("loss.total"),
                value("loss.cross_entropy") + value("loss.logit_z") + 0.25 * value("aux_loss") +
                    0.5 * value("z_loss"),
                1e-5)
        << row.name;
  }
}

}  // namespace
}  // namespace forgecheck
