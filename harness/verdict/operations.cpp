#include "harness/verdict/operations.h"

#include "harness/case/config_value.h"
#include "harness/tap/tap_kind.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

std::string number(double value) {
  return format_value(value);
}

std::string norm_formula(const ModelConfig& model, double eps) {
  switch (model.norm_type) {
    case NormType::rmsnorm:
      return "out = x / sqrt(mean(x^2) + eps) * weight, eps = " + number(eps);
    case NormType::layernorm:
      return "out = (x - mean) / sqrt(var + eps) * weight + bias, eps = " + number(eps);
  }
  throw_not_an_enumerator("model.norm_type", model.norm_type);
}

std::string context_formula(const TapPlace& place, const Architecture& architecture) {
  const ModelConfig& model = architecture.model;
  const std::int64_t heads = place.cross() ? architecture.vlm->resolved_heads(model) : model.n_heads;
  const std::int64_t kv_heads = place.cross() ? architecture.vlm->resolved_kv_heads(model) : model.kv_heads();
  std::string text = "out = sum_j p_j v_j, p = softmax_j((q . k_j) / sqrt(head_dim = " +
                     std::to_string(model.head_dim_of(heads)) + "))";
  text += place.cross()                   ? " over the image tokens that image_mask shows"
          : architecture.is(VlmArch::mot) ? " over the visible keys of all modalities, image and text joined"
                                          : " over the visible keys: j <= i, same document, not padding";
  if (!place.cross()) {
    if (model.sliding_window > 0)
      text += ", j > i - sliding_window = i - " + std::to_string(model.sliding_window);
    text += "; q and k rotated by rope, theta = " + number(model.rope_theta);
    if (model.rope_scaling != RopeScaling::none) {
      text += ", rope_scaling = " + to_string(model.rope_scaling) + " by " + number(model.rope_factor);
    }
  }
  if (heads != kv_heads) text += "; head h reads key-value head h / " + std::to_string(heads / kv_heads);
  return text;
}

std::string hidden_formula(const ModelConfig& model) {
  switch (model.activation) {
    case Activation::silu:
      return "hidden = silu(gate_proj) * up_proj, silu(x) = x / (1 + e^-x)";
    case Activation::gelu:
      return "hidden = up_proj / 2 (1 + erf(up_proj / sqrt 2))";
    case Activation::relu:
      return "hidden = max(up_proj, 0)";
  }
  throw_not_an_enumerator("model.activation", model.activation);
}

std::string adapter_formula(const AdapterConfig& adapter) {
  switch (adapter.type) {
    case AdapterType::mlp_2layer:
      return "out = proj2(" + to_string(adapter.activation) + "(proj1(x))), proj(x) = x W^T + bias";
    case AdapterType::linear:
      return "out = x W^T + bias";
    case AdapterType::avgpool:
      return "out = mean(x over each window) W^T + bias, windows of pool_window^2 patches, pool_window = " +
             std::to_string(adapter.pool_window);
    case AdapterType::attentional_pool:
      return "out = out_proj(o_proj(attention(q = mean of the window, k and v = its patches)))";
  }
  throw_not_an_enumerator("adapter.type", adapter.type);
}

std::string scores_formula(const ModelConfig& model) {
  switch (model.moe_router) {
    case RouterType::softmax_topk:
      return "softmax(gate)";
    case RouterType::sigmoid_topk:
      return "sigmoid(gate + expert_bias)";
  }
  throw_not_an_enumerator("model.moe_router", model.moe_router);
}

std::string moe_formula(const ModelConfig& model, bool train) {
  std::string text = "out[n] = sum_k weights[n, k] * expert_(indices[n, k])(x[n])";
  if (model.moe_shared_experts > 0) text += " + shared_expert(x[n])";
  if (model.moe_capacity_factor > 0) {
    text += "; weights past the capacity max(1, ceil(N k / E * " + number(model.moe_capacity_factor) +
            ")) of an expert are 0";
  }
  if (model.moe_gradient_scale && train) text += "; expert_e scaled by (N k / E) / max(count_e, 1)";
  return text;
}

std::string aux_loss_formula(const ModelConfig& model) {
  switch (model.moe_router) {
    case RouterType::softmax_topk:
      return "sum over the layers of E * sum_e f_e p_e, f_e = counts_e / assignments, p_e = mean of softmax";
    case RouterType::sigmoid_topk:
      return "sum over the layers of " + number(model.moe_sequence_aux_loss_weight) +
             " * E * sum_e f_e p_e, f_e = counts_e / (assignments + 1e-8), p_e = mean of the scores";
  }
  throw_not_an_enumerator("model.moe_router", model.moe_router);
}

std::string block_formula(const TapPlace& place, const Architecture& architecture) {
  const std::string attention = place.cross() || architecture.is(VlmArch::mot) ? "attn" : "attention";
  return "middle = x + " + attention + "(" + (attention == "attn" ? "attn_norm" : "attention_norm") +
         "(x)), out = middle + mlp(mlp_norm(middle))";
}

std::string total_formula(const ModelConfig& model) {
  return "cross_entropy + logit_z + " + number(model.moe_aux_loss_weight) + " * aux_loss + " +
         number(model.moe_router_z_loss_weight) + " * z_loss";
}

std::string generation_formula(const SamplingOptions& sampling) {
  return sampling.temperature == 0
             ? "next token = argmax(logits of the last position), one at a time"
             : "next token drawn from softmax(logits / temperature) after top-k and top-p";
}

/// Where a block is written: upstream's file, and the reference's.
struct BlockFiles {
  const char* upstream;
  const char* source;
};

BlockFiles files_of_block(const TapPlace& place, const Architecture& architecture) {
  constexpr BlockFiles kDense{"transformer.py", "dense_block.cpp"};
  if (place.cross()) return {"cross_attention.py", "cross_attention_block.cpp"};
  if (!architecture.vlm) return kDense;
  switch (architecture.vlm->arch) {
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
      return kDense;
    case VlmArch::mot:
      return {"mot.py", "mot_block.cpp"};
    case VlmArch::moma:
      return {"moma.py", "moma_block.cpp"};
  }
  throw_not_an_enumerator("vlm.arch", architecture.vlm->arch);
}

std::string block_file(const TapPlace& place, const Architecture& architecture) {
  return files_of_block(place, architecture).upstream;
}

std::string block_source(const TapPlace& place, const Architecture& architecture) {
  return files_of_block(place, architecture).source;
}

}  // namespace

Operation operation_of(const std::string& tap, const Case& definition) {
  const Architecture& architecture = definition.architecture;
  const ModelConfig& model = architecture.model;
  const TapPlace place = place_of(tap, architecture);
  const std::string name(part_text(place.name.part));
  const std::string ops = "reference/ops/", models = "reference/models/";
  const std::string upstream = "kempnerforge/model/", training = "kempnerforge/training/";
  // Cross-attention and Mixture-of-Transformers have attention modules of their own.
  const bool joint = architecture.is(VlmArch::mot);
  const std::string attention_file =
      upstream + (place.cross() || joint ? block_file(place, architecture) : "attention.py");
  const std::string attention_source =
      models + (place.cross() || joint ? block_source(place, architecture) : "self_attention.cpp");
  const bool expert_choice = architecture.is(VlmArch::moma);
  const std::string router_file = upstream + (expert_choice ? "moma.py" : "router.py");

  switch (place.kind) {
    case TapKind::unknown:
      return {};
    case TapKind::embedding:
      return {"out[b, t] = weight[tokens[b, t]]", ops + "embedding.cpp", upstream + "embedding.py"};
    case TapKind::adapter:
      return {adapter_formula(*architecture.adapter), models + "adapter.cpp", upstream + "adapter.py"};
    case TapKind::norm:
      return {norm_formula(model, place.cross() ? 1e-5 : model.norm_eps), ops + "norm.cpp",
              upstream + "norm.py"};
    case TapKind::head_norm:
      return {"out = x / sqrt(mean(x^2) + eps) * weight over each head, before rope, eps = " +
                  number(model.qk_norm_eps),
              ops + "norm.cpp", upstream + "norm.py"};
    case TapKind::projection:
      return {name + " = x W^T, W = " + tap + ".weight (out, in)",
              place.cross() ? attention_source : models + "self_attention.cpp", attention_file};
    case TapKind::context:
      return {context_formula(place, architecture), ops + "attention.cpp", attention_file};
    case TapKind::attention:
      return {"out = context W^T, W = o_proj.weight (out, in)", attention_source, attention_file};
    case TapKind::expansion:
      return {name + " = x W^T, W = " + tap + ".weight (out, in)", models + "feed_forward.cpp",
              upstream + "mlp.py"};
    case TapKind::hidden:
      return {hidden_formula(model), ops + "activation.cpp", upstream + "mlp.py"};
    case TapKind::mlp:
      return {"out = hidden W^T, W = down_proj.weight (out, in)", models + "feed_forward.cpp",
              upstream + "mlp.py"};
    case TapKind::router_gate:
      return {"gate = x W^T, W = gate.weight (E, dim)",
              models + (expert_choice ? "moma_block.cpp" : "feed_forward.cpp"), router_file};
    case TapKind::indices:
      return {expert_choice ? "each expert's k_e best tokens by sigmoid(gate + noise), k_e = min(max(1, "
                              "ceil(capacity_factor * n)), n)"
                            : "each token's " + std::to_string(model.moe_top_k) + " best experts by " +
                                  scores_formula(model),
              ops + (expert_choice ? "expert_choice.cpp" : "router.cpp"), router_file};
    case TapKind::router_weights:
      return {"weights = s / sum(s), s = " + scores_formula(model) + " at indices", ops + "router.cpp",
              router_file};
    case TapKind::router_scores:
      return {"scores[e, j] = sigmoid(gate + noise) of token indices[e, j]", ops + "expert_choice.cpp",
              router_file};
    case TapKind::expert_counts:
      return expert_choice ? Operation{"counts[e] = k_e, tokens that each expert takes",
                                       ops + "expert_choice.cpp", router_file}
                           : Operation{"counts[e] = how often e stands in indices", ops + "router.cpp",
                                       upstream + "moe.py"};
    case TapKind::moe:
      return {moe_formula(model, definition.train), models + "feed_forward.cpp", upstream + "moe.py"};
    case TapKind::expert_choice:
      return {
          "out[n] = sum of scores[e, j] * expert_e(x[n]) over all (e, j) with indices[e, j] = n, inside "
          "each modality",
          models + "moma_block.cpp", upstream + "moma.py"};
    case TapKind::block:
      return {block_formula(place, architecture), models + block_source(place, architecture),
              upstream + block_file(place, architecture)};
    case TapKind::logits:
      return {std::string("logits = h W^T, W = ") +
                  (model.tie_embeddings ? "token_embedding.embedding.weight" : "output_head.proj.weight") +
                  " (vocab_size, dim)",
              models + "transformer.cpp", upstream + "transformer.py"};
    case TapKind::staged_logits:
      return {"logits of the model cut into pipeline stages, equal to those of one piece",
              models + "transformer.cpp", upstream + "transformer.py"};
    case TapKind::aux_loss:
      return {aux_loss_formula(model), ops + "router.cpp", upstream + "router.py"};
    case TapKind::z_loss:
      return {"sum over the layers of mean(logsumexp(gate)^2)", ops + "router.cpp", upstream + "router.py"};
    case TapKind::expert_ema:
      return {"ema += (u - ema) (1 - 0.99), u_e = counts_e / (assignments + 1e-8), in training",
              ops + "router.cpp", upstream + "router.py"};
    case TapKind::expert_bias:
      return {"bias += rate (1 / E - ema), in training; rate 0.001 by moe_bias_schedule = " +
                  to_string(model.moe_bias_schedule),
              ops + "router.cpp", upstream + "router.py"};
    case TapKind::cross_entropy:
      return {"mean over the labels != -100 of logsumexp(logits) - logits[label]", ops + "loss.cpp",
              training + "loss.py"};
    case TapKind::logit_z:
      return {number(definition.loss.z_loss_weight) + " * mean(logsumexp(logits)^2)", ops + "loss.cpp",
              training + "loss.py"};
    case TapKind::total_loss:
      return {total_formula(model), models + "objective.cpp", "scripts/train.py"};
    case TapKind::cached_keys:
      return {"keys (B, K, S, d) after rope, in the order of positions", models + "self_attention.cpp",
              upstream + "attention.py"};
    case TapKind::cached_values:
      return {"values (B, K, S, d), in the order of positions", models + "self_attention.cpp",
              upstream + "attention.py"};
    case TapKind::tokens:
      return {generation_formula(definition.generate.sampling), models + "generate.cpp",
              upstream + "generate.py"};
  }
  throw_not_an_enumerator("kind of tap", place.kind);
}

}  // namespace forgecheck
