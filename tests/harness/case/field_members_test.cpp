// Each name of a field sets the member that it means, and no other: two that are exchanged would be read back
// as they were written.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "harness/case/case_fields.h"

namespace forgecheck {
namespace {

/// A value that is not the field's default, and the member that it must become.
struct Member {
  std::string section, name;
  FieldValue given;
  std::function<FieldValue(const Case&)> member;
};

void PrintTo(const Member& member, std::ostream* out) {
  *out << member.section << "." << member.name;
}

std::string text(const char* value) {
  return value;
}
std::int64_t number(std::int64_t value) {
  return value;
}
Integers pair(std::int64_t first, std::int64_t second) {
  return {first, second};
}

#define MEMBER(section, name, given, member)                                 \
  Member {                                                                   \
    section, name, given, [](const Case& c) -> FieldValue { return member; } \
  }
#define MODEL(name, given) MEMBER("model", #name, given, c.architecture.model.name)
#define VLM(name, given) MEMBER("vlm", #name, given, c.architecture.vlm.value().name)
#define VISION(name, given) MEMBER("vision_encoder", #name, given, c.architecture.vision_encoder.value().name)
#define ADAPTER(name, given) MEMBER("adapter", #name, given, c.architecture.adapter.value().name)
#define INPUTS(name, given) MEMBER("inputs", #name, given, c.inputs.name)

const Member kMembers[] = {
    MODEL(dim, number(64)),
    MODEL(n_layers, number(3)),
    MODEL(n_heads, number(8)),
    MEMBER("model", "n_kv_heads", number(2), c.architecture.model.n_kv_heads.value()),
    MODEL(vocab_size, number(61)),
    MODEL(ffn_dim_multiplier, 1.3),
    MEMBER("model", "ffn_hidden_dim", number(48), c.architecture.model.ffn_hidden_dim.value()),
    MEMBER("model", "norm_type", text("layernorm"), to_string(c.architecture.model.norm_type)),
    MODEL(norm_eps, 0.05),
    MEMBER("model", "activation", text("relu"), to_string(c.architecture.model.activation)),
    MODEL(max_seq_len, number(33)),
    MODEL(rope_theta, 500000.0),
    MODEL(tie_embeddings, true),
    MODEL(qk_norm, true),
    MODEL(init_std, 0.1),
    MODEL(model_type, text("other")),
    MODEL(sdpa_backend, text("flash")),
    MODEL(num_experts, number(5)),
    MODEL(moe_top_k, number(4)),
    MODEL(moe_frequency, number(6)),
    MEMBER("model", "moe_router", text("sigmoid_topk"), to_string(c.architecture.model.moe_router)),
    MODEL(moe_shared_experts, number(7)),
    MODEL(moe_aux_loss_weight, 0.2),
    MODEL(moe_capacity_factor, 1.25),
    MODEL(moe_sequence_aux_loss_weight, 0.001),
    MODEL(moe_gradient_scale, true),
    MEMBER("model", "moe_bias_schedule", text("cosine_decay"),
           to_string(c.architecture.model.moe_bias_schedule)),
    MODEL(moe_packed_experts, true),
    MODEL(moe_expert_ffn_multiplier, 0.5),
    MODEL(moe_router_z_loss_weight, 0.03),
    MODEL(qk_norm_eps, 1e-6),
    MEMBER("model", "head_dim", number(6), c.architecture.model.head_dim.value()),
    MODEL(qkv_bias, true),
    MODEL(sliding_window, number(3)),
    MEMBER("model", "rope_scaling", text("llama3"), to_string(c.architecture.model.rope_scaling)),
    MODEL(rope_factor, 8.0),
    MODEL(rope_low_freq_factor, 1.5),
    MODEL(rope_high_freq_factor, 5.0),
    MODEL(rope_original_max_seq_len, number(64)),
    MEMBER("model", "moe_ffn_hidden_dim", number(56), c.architecture.model.moe_ffn_hidden_dim.value()),
    MEMBER("vlm", "arch", text("moma"), to_string(c.architecture.vlm.value().arch)),
    VLM(max_text_len, number(16)),
    VLM(cross_attention_every_n_layers, number(1)),
    VLM(cross_attention_n_heads, number(8)),
    VLM(cross_attention_n_kv_heads, number(2)),
    VLM(mot_modalities, (std::vector<std::string>{"text", "image"})),
    VLM(mot_image_n_heads, number(4)),
    VLM(mot_image_n_kv_heads, number(3)),
    VLM(mot_warm_start_from_text, true),
    VLM(mot_warm_start_path, text("dense.pt")),
    VLM(moma_modalities, (std::vector<std::string>{"text", "image", "audio"})),
    VLM(moma_experts_per_modality, (std::map<std::string, std::int64_t>{{"image", 2}, {"text", 3}})),
    VLM(moma_capacity_factor, 0.6),
    VLM(moma_gumbel_noise, false),
    MEMBER("", "num_image_tokens", number(9), c.architecture.num_image_tokens),
    MEMBER("adapter", "type", text("avgpool"), to_string(c.architecture.adapter.value().type)),
    ADAPTER(hidden_dim, number(28)),
    MEMBER("adapter", "activation", text("relu"), to_string(c.architecture.adapter.value().activation)),
    ADAPTER(pool_window, number(3)),
    ADAPTER(pool_heads, number(4)),
    MEMBER("adapter", "feature_dim", number(10), c.architecture.feature_dim),
    VISION(type, text("clip")),
    VISION(path, text("a.pt")),
    VISION(feature_dim, number(20)),
    VISION(num_tokens, number(64)),
    INPUTS(batch, number(3)),
    INPUTS(text_len, number(12)),
    INPUTS(image_tokens, number(4)),
    INPUTS(patches, number(5)),
    INPUTS(frames, number(6)),
    INPUTS(documents, number(7)),
    INPUTS(embeds, true),
    INPUTS(padding, true),
    INPUTS(image_mask, true),
    INPUTS(interleaved, true),
    INPUTS(ignore_labels, true),
    INPUTS(documents_recur, true),
    INPUTS(scale, 0.25),
    MEMBER("", "seed", number(7), static_cast<std::int64_t>(c.seed)),
    MEMBER("", "mode", text("train"), text(c.train ? "train" : "eval")),
    MEMBER("", "dtype", text("bfloat16"), std::string(torch_name(c.dtype))),
    MEMBER("", "run", text("loss"), to_string(c.run)),
    MEMBER("", "chunks", pair(6, 1), Integers(c.chunks.begin(), c.chunks.end())),
    MEMBER("generate", "max_new_tokens", number(5), c.generate.max_new_tokens),
    MEMBER("generate", "eos_token_id", number(2), c.generate.eos_token_id.value()),
    MEMBER("generate", "temperature", 0.5, c.generate.sampling.temperature),
    MEMBER("generate", "top_k", number(3), c.generate.sampling.top_k),
    MEMBER("generate", "top_p", 0.9, c.generate.sampling.top_p),
    MEMBER("loss", "kind", text("chunked_cross_entropy"), to_string(c.loss.kind)),
    MEMBER("loss", "chunk_size", number(11), c.loss.chunk_size),
    MEMBER("loss", "z_loss_weight", 0.4, c.loss.z_loss_weight),
    MEMBER("", "output_slice", pair(1, -1), (Integers{c.output_slice->start, c.output_slice->stop})),
    MEMBER("", "moe_step", pair(4, 100), pair(c.moe_step->step, c.moe_step->max_steps)),
    MEMBER("", "stages", number(2), c.stages),
    MEMBER("", "mot_moe_totals", true, c.mot_moe_totals),
    MEMBER("", "greedy_from", pair(5, 10), pair(c.greedy_from, c.greedy_new_tokens)),
};

class FieldMember : public testing::TestWithParam<Member> {};

TEST_P(FieldMember, IsSetByItsName) {
  const auto& [section, name, given, member] = GetParam();
  Case value;
  for (const CaseField& field : case_fields()) {
    if (field.section != section || field.name != name) continue;
    EXPECT_NE(field.default_value, given) << "the test would see nothing";
    if (field.arch) value.architecture.vlm.emplace().arch = *field.arch;
  }
  set_field(value, section, name, given);
  EXPECT_EQ(member(value), given);
}

INSTANTIATE_TEST_SUITE_P(All, FieldMember, testing::ValuesIn(kMembers));

TEST(FieldMember, EveryFieldIsInThisTable) {
  std::set<std::pair<std::string, std::string>> fields, members;
  for (const CaseField& field : case_fields()) fields.emplace(field.section, field.name);
  for (const Member& member : kMembers) members.emplace(member.section, member.name);
  EXPECT_EQ(fields, members);
}

}  // namespace
}  // namespace forgecheck
