// The formulas that a failure shows are those of the case: where a field of the configuration decides, both ways.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "harness/verdict/operations.h"

namespace forgecheck {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string formula(const std::string& text, const std::string& tap) {
  return operation_of(tap, parse_case_text(text)).formula;
}

const std::string kModel = "[dim=16,n_layers=1,n_heads=4,vocab_size=31,max_seq_len=32";

std::string moe(const std::string& fields, const std::string& mode = "") {
  return "moe" + kModel + ",num_experts=4" + fields + "]/text_len=4" + mode;
}

TEST(Formulas, OfContextAreThoseOfItsHeadsAndKeys) {
  const std::string dense =
      formula("dense" + kModel + ",n_kv_heads=2,rope_theta=500]/text_len=4", "layers.0.attention.context");
  EXPECT_EQ(
      dense,
      "out = sum_j p_j v_j, p = softmax_j((q . k_j) / sqrt(head_dim = 4)) over the visible keys: j <= "
      "i, same "
      "document, not padding; q and k rotated by rope, theta = 500.0; head h reads key-value head h / 2");
  EXPECT_THAT(formula("dense" + kModel + "]/text_len=4", "layers.0.attention.context"),
              Not(HasSubstr("head h")));
  EXPECT_THAT(formula("mot" + kModel + ",max_text_len=8,num_image_tokens=3]/text_len=4,image_tokens=3",
                      "layers.0.attn.context.image"),
              AllOf(HasSubstr("of all modalities, image and text joined"), HasSubstr("rope")));
  EXPECT_THAT(formula("cross_attention" + kModel +
                          ",max_text_len=8,cross_attention_every_n_layers=1,cross_attention_n_heads=2,"
                          "cross_attention_n_kv_heads=1]/text_len=4,image_tokens=3",
                      "cross_attention_layers.0.attn.context"),
              AllOf(HasSubstr("head_dim = 8"), HasSubstr("over the image tokens that image_mask shows"),
                    HasSubstr("head h / 2"), Not(HasSubstr("rope"))));
}

TEST(Formulas, OfProjectionsNameTheirWeight) {
  for (const std::string part : {"attention.v_proj", "mlp.up_proj"}) {
    const std::string tap = "layers.0." + part;
    EXPECT_EQ(formula("dense" + kModel + "]/text_len=4", tap),
              part.substr(part.find('.') + 1) + " = x W^T, W = " + tap + ".weight (out, in)");
  }
}

TEST(Formulas, OfActivationsAreThoseOfTheModel) {
  const auto hidden = [](const std::string& activation) {
    return formula("dense" + kModel + ",activation=" + activation + "]/text_len=4", "layers.0.mlp.hidden");
  };
  EXPECT_THAT(hidden("silu"), HasSubstr("silu(gate_proj) * up_proj"));
  EXPECT_THAT(hidden("gelu"), HasSubstr("up_proj / 2 (1 + erf(up_proj / sqrt 2))"));
  EXPECT_THAT(hidden("relu"), HasSubstr("max(up_proj, 0)"));
}

TEST(Formulas, OfAdaptersAreThoseOfTheirType) {
  const auto adapter = [](const std::string& fields) {
    return formula("joint_decoder" + kModel + ",max_text_len=8,feature_dim=6,adapter.type=" + fields +
                       "]/text_len=4,patches=4",
                   "adapter");
  };
  EXPECT_THAT(adapter("mlp_2layer,adapter.activation=relu"), HasSubstr("proj2(relu(proj1(x)))"));
  EXPECT_EQ(adapter("linear"), "out = x W^T + bias");
  EXPECT_THAT(
      adapter("avgpool,adapter.pool_window=2"),
      HasSubstr("mean(x over each window) W^T + bias, windows of pool_window^2 patches, pool_window = 2"));
  EXPECT_THAT(adapter("attentional_pool,adapter.pool_window=2,adapter.pool_heads=2"),
              HasSubstr("out_proj(o_proj(attention("));
}

TEST(Formulas, OfRoutersAreThoseOfTheirScores) {
  const std::string sigmoid =
      ",moe_router=sigmoid_topk,moe_sequence_aux_loss_weight=0.25,moe_bias_schedule=cosine_decay";
  const std::string indices = "layers.0.mlp.router.indices", weights = "layers.0.mlp.router.weights";
  EXPECT_EQ(formula(moe(",moe_top_k=3"), indices), "each token's 3 best experts by softmax(gate)");
  EXPECT_EQ(formula(moe(sigmoid), indices), "each token's 2 best experts by sigmoid(gate + expert_bias)");
  EXPECT_EQ(formula(moe(""), weights), "weights = s / sum(s), s = softmax(gate) at indices");
  EXPECT_THAT(formula(moe(""), "aux_loss"), HasSubstr("p_e = mean of softmax"));
  EXPECT_THAT(formula(moe(sigmoid), "aux_loss"), HasSubstr("0.25 * E * sum_e f_e p_e"));
  EXPECT_THAT(formula(moe(sigmoid, "/train"), "layers.0.mlp.router.expert_bias"),
              HasSubstr("moe_bias_schedule = cosine_decay"));
  EXPECT_THAT(formula(moe(""), "layers.0.mlp.expert_counts"), HasSubstr("how often e stands in indices"));
  const std::string moma =
      "moma" + kModel +
      ",max_text_len=8,moma_experts_per_modality={image=2,text=3}]/text_len=6,image_tokens=4";
  EXPECT_THAT(formula(moma, "layers.0.mlp.experts.text.router.indices"),
              HasSubstr("each expert's k_e best tokens"));
}

TEST(Formulas, OfMixturesNameWhatTheModelHas) {
  const std::string tap = "layers.0.mlp", scaled = "expert_e scaled by (N k / E)";
  EXPECT_EQ(formula(moe(""), tap), "out[n] = sum_k weights[n, k] * expert_(indices[n, k])(x[n])");
  EXPECT_THAT(formula(moe(",moe_shared_experts=1"), tap), HasSubstr(" + shared_expert(x[n])"));
  EXPECT_THAT(formula(moe(",moe_capacity_factor=1.5"), tap),
              HasSubstr("max(1, ceil(N k / E * 1.5)) of an expert are 0"));
  EXPECT_THAT(formula(moe(",moe_gradient_scale=true", "/train"), tap), HasSubstr(scaled));
  EXPECT_THAT(formula(moe(",moe_gradient_scale=true"), tap), Not(HasSubstr(scaled))) << "not in evaluation";
}

TEST(Formulas, OfBlocksLogitsAndLosses) {
  const std::string dense = "dense" + kModel + "]/text_len=4",
                    loss = "/loss=cross_entropy,z_loss_weight=0.125";
  EXPECT_EQ(formula(dense, "layers.0"),
            "middle = x + attention(attention_norm(x)), out = middle + mlp(mlp_norm(middle))");
  EXPECT_EQ(formula("mot" + kModel + ",max_text_len=8,num_image_tokens=3]/text_len=4,image_tokens=3",
                    "layers.0.text"),
            "middle = x + attn(attn_norm(x)), out = middle + mlp(mlp_norm(middle))");
  EXPECT_THAT(formula(dense, "logits"), HasSubstr("W = output_head.proj.weight"));
  EXPECT_THAT(formula("dense" + kModel + ",tie_embeddings=true]/text_len=4", "logits"),
              HasSubstr("W = token_embedding.embedding.weight"));
  EXPECT_EQ(formula(dense + loss, "loss.logit_z"), "0.125 * mean(logsumexp(logits)^2)");
  EXPECT_EQ(formula(moe(",moe_aux_loss_weight=0.5,moe_router_z_loss_weight=0.75", loss), "loss.total"),
            "cross_entropy + logit_z + 0.5 * aux_loss + 0.75 * z_loss");
}

}  // namespace
}  // namespace forgecheck
