// Names, shapes and kinds of all tensors, in the order of upstream's state_dict: a module's own parameters,
// its buffers, then its children as they were assigned. Sources: kempnerforge/model/{transformer,attention,
// mlp,moe,router,cross_attention,mot,moma,adapter}.py.
#include "reference/parameters.h"

#include <iterator>

#include "reference/error.h"

namespace forgecheck {

static_assert(is_complete<kParameterKinds>());

namespace {

/// Collects tensors whose names begin with a prefix that ends in a dot (or is empty).
class Table {
 public:
  explicit Table(const ModelConfig& config) : config_(config) {}

  void add(std::string name, Shape shape, ParameterKind kind) {
    list_.push_back({std::move(name), std::move(shape), kind});
  }
  void linear(const std::string& name, std::int64_t out, std::int64_t in) {
    add(name + ".weight", {out, in}, ParameterKind::linear);
  }
  /// RMSNorm has a weight, LayerNorm also a bias.
  void norm(const std::string& name) {
    add(name + ".weight", {config_.dim}, ParameterKind::norm_weight);
    if (has_bias(config_.norm_type)) add(name + ".bias", {config_.dim}, ParameterKind::norm_bias);
  }
  void attention(const std::string& prefix, std::int64_t heads, std::int64_t kv_heads, bool qk_norm,
                 const std::vector<std::string>& suffixes);
  void mlp(const std::string& prefix, std::int64_t width);
  void moe(const std::string& prefix);
  /// The mixture of experts of a MoE layer, otherwise the dense MLP.
  void feed_forward(const std::string& prefix, std::int64_t layer) {
    if (config_.is_moe_layer(layer)) {
      moe(prefix);
    } else {
      mlp(prefix, config_.computed_ffn_hidden_dim());
    }
  }
  std::vector<ParameterInfo> take() { return std::move(list_); }

 private:
  const ModelConfig& config_;
  std::vector<ParameterInfo> list_;
};

/// q, k, v, o and the per-head norms, each once per suffix: "" or, in a MoT block, ".{modality}".
void Table::attention(const std::string& prefix, std::int64_t heads, std::int64_t kv_heads, bool qk_norm,
                      const std::vector<std::string>& suffixes) {
  const std::int64_t dim = config_.dim, head_dim = config_.head_dim_of(heads);
  const auto projection = [&](const std::string& name, std::int64_t out) {
    linear(name, out, dim);
    if (config_.qkv_bias) add(name + ".bias", {out}, ParameterKind::linear_bias);
  };
  for (const auto& s : suffixes) projection(prefix + "q_proj" + s, heads * head_dim);
  for (const auto& s : suffixes) projection(prefix + "k_proj" + s, kv_heads * head_dim);
  for (const auto& s : suffixes) projection(prefix + "v_proj" + s, kv_heads * head_dim);
  for (const auto& s : suffixes) linear(prefix + "o_proj" + s, dim, heads * head_dim);
  if (!qk_norm) return;
  for (const char* norm : {"q_norm", "k_norm"}) {
    for (const auto& s : suffixes) add(prefix + norm + s + ".weight", {head_dim}, ParameterKind::norm_weight);
  }
}

void Table::mlp(const std::string& prefix, std::int64_t width) {
  if (is_swiglu(config_.activation)) linear(prefix + "gate_proj", width, config_.dim);
  linear(prefix + "up_proj", width, config_.dim);
  linear(prefix + "down_proj", config_.dim, width);
}

void Table::moe(const std::string& prefix) {
  const std::int64_t dim = config_.dim;
  const std::int64_t experts = config_.num_experts;
  const std::int64_t width = config_.computed_expert_ffn_hidden_dim();
  if (config_.moe_packed_experts) {
    add(prefix + "up_w", {experts, dim, width}, ParameterKind::packed_linear);
    add(prefix + "down_w", {experts, width, dim}, ParameterKind::packed_linear);
    if (is_swiglu(config_.activation)) {
      add(prefix + "gate_w", {experts, dim, width}, ParameterKind::packed_linear);
    }
  }
  if (keeps_state(config_.moe_router)) {
    add(prefix + "router.expert_bias", {experts}, ParameterKind::expert_bias);
    add(prefix + "router.expert_ema", {experts}, ParameterKind::expert_ema);
  }
  add(prefix + "router.gate.weight", {experts, dim}, ParameterKind::router_gate);
  // Any number of shared experts makes one MLP.
  if (config_.moe_shared_experts > 0) mlp(prefix + "shared_expert.", width);
  if (config_.moe_packed_experts) return;
  for (std::int64_t e = 0; e < experts; ++e) mlp(prefix + "experts." + std::to_string(e) + ".", width);
}

void text_layer(Table& table, const ModelConfig& model, const std::string& prefix, std::int64_t layer) {
  table.norm(prefix + "attention_norm");
  table.attention(prefix + "attention.", model.n_heads, model.kv_heads(), model.qk_norm, {""});
  table.norm(prefix + "mlp_norm");
  table.feed_forward(prefix + "mlp.", layer);
}

void mot_layer(Table& table, const ModelConfig& model, const VlmConfig& vlm, const std::string& prefix,
               std::int64_t layer) {
  std::vector<std::string> suffixes;
  for (const std::string& modality : vlm.mot_modalities) suffixes.push_back("." + modality);
  for (const std::string& suffix : suffixes) table.norm(prefix + "attn_norm" + suffix);
  table.attention(prefix + "attn.", model.n_heads, model.kv_heads(), model.qk_norm, suffixes);
  for (const std::string& suffix : suffixes) table.norm(prefix + "mlp_norm" + suffix);
  for (const std::string& suffix : suffixes) table.feed_forward(prefix + "mlp" + suffix + ".", layer);
}

void moma_layer(Table& table, const ModelConfig& model, const VlmConfig& vlm, const std::string& prefix) {
  table.norm(prefix + "attention_norm");
  table.attention(prefix + "attention.", model.n_heads, model.kv_heads(), model.qk_norm, {""});
  table.norm(prefix + "mlp_norm");
  for (const std::string& modality : vlm.moma_modalities) {
    const std::string group = prefix + "mlp.experts." + modality + ".";
    const std::int64_t experts = vlm.moma_experts_per_modality.at(modality);
    table.add(group + "router.gate.weight", {experts, model.dim}, ParameterKind::router_gate);
    for (std::int64_t e = 0; e < experts; ++e) {
      table.mlp(group + "experts." + std::to_string(e) + ".", model.computed_expert_ffn_hidden_dim());
    }
  }
}

void cross_attention_layer(Table& table, const ModelConfig& model, const VlmConfig& vlm,
                           const std::string& prefix) {
  table.norm(prefix + "attn_norm");
  table.attention(prefix + "attn.", vlm.resolved_heads(model), vlm.resolved_kv_heads(model), false, {""});
  table.norm(prefix + "mlp_norm");
  table.mlp(prefix + "mlp.", model.computed_ffn_hidden_dim());
}

void layer(Table& table, const Architecture& architecture, const std::string& prefix, std::int64_t index) {
  const ModelConfig& model = architecture.model;
  if (!architecture.vlm) return text_layer(table, model, prefix, index);
  switch (architecture.vlm->arch) {
    case VlmArch::joint_decoder:
    case VlmArch::cross_attention:
      return text_layer(table, model, prefix, index);
    case VlmArch::mot:
      return mot_layer(table, model, *architecture.vlm, prefix, index);
    case VlmArch::moma:
      return moma_layer(table, model, *architecture.vlm, prefix);
  }
  throw_not_an_enumerator("vlm.arch", architecture.vlm->arch);
}

}  // namespace

std::vector<ParameterInfo> model_parameters(const Architecture& architecture) {
  const ModelConfig& model = architecture.model;
  Table table(model);
  table.add("token_embedding.embedding.weight", {model.vocab_size, model.dim}, ParameterKind::embedding);
  for (std::int64_t i = 0; i < model.n_layers; ++i) {
    const std::string prefix = "layers." + std::to_string(i) + ".";
    layer(table, architecture, prefix, i);
  }
  if (architecture.is(VlmArch::cross_attention)) {
    const std::int64_t blocks = model.n_layers / architecture.vlm->cross_attention_every_n_layers;
    for (std::int64_t j = 0; j < blocks; ++j) {
      cross_attention_layer(table, model, *architecture.vlm,
                            "cross_attention_layers." + std::to_string(j) + ".");
    }
  }
  table.norm("norm");  // also in a MoT model, where nothing reads it
  if (architecture.is(VlmArch::mot)) {
    for (const std::string& modality : architecture.vlm->mot_modalities) table.norm("mot_norms." + modality);
  }
  if (!model.tie_embeddings) table.linear("output_head.proj", model.vocab_size, model.dim);
  return table.take();
}

std::vector<ParameterInfo> adapter_parameters(const Architecture& architecture) {
  if (!architecture.adapter || architecture.feature_dim <= 0) return {};
  const AdapterConfig& adapter = *architecture.adapter;
  const std::int64_t in = architecture.feature_dim;
  const std::int64_t out = architecture.model.dim;
  std::vector<ParameterInfo> list;
  const auto linear = [&list](const std::string& name, std::int64_t rows, std::int64_t columns) {
    list.push_back({"adapter." + name + ".weight", {rows, columns}, ParameterKind::adapter_weight});
    list.push_back({"adapter." + name + ".bias", {rows}, ParameterKind::adapter_bias});
  };
  switch (adapter.type) {
    case AdapterType::mlp_2layer: {
      const std::int64_t hidden = adapter.hidden_dim > 0 ? adapter.hidden_dim : out;
      linear("proj1", hidden, in);
      linear("proj2", out, hidden);
      return list;
    }
    case AdapterType::linear:
    case AdapterType::avgpool:
      linear("proj", out, in);
      return list;
    case AdapterType::attentional_pool:
      for (const char* name : {"q_proj", "k_proj", "v_proj", "o_proj"}) linear(name, in, in);
      linear("out_proj", out, in);
      return list;
  }
  throw_not_an_enumerator("adapter.type", adapter.type);
}

std::vector<ParameterInfo> all_parameters(const Architecture& architecture) {
  std::vector<ParameterInfo> list = model_parameters(architecture);
  std::vector<ParameterInfo> adapter = adapter_parameters(architecture);
  list.insert(list.end(), std::make_move_iterator(adapter.begin()), std::make_move_iterator(adapter.end()));
  return list;
}

}  // namespace forgecheck
