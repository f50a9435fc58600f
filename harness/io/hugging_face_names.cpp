// Tensor names: transformers, models/{llama,mixtral,qwen2,qwen3,qwen3_moe}/modeling_*.py. KempnerForge's own
// converter: scripts/convert_checkpoint.py.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "harness/io/hugging_face.h"

namespace forgecheck {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::array<Pair, 3> kModelNames = {{
    {"model.embed_tokens.weight", "token_embedding.embedding.weight"},
    {"model.norm.weight", "norm.weight"},
    {"lm_head.weight", "output_head.proj.weight"},
}};

constexpr std::array<Pair, 16> kLayerNames = {{
    {"input_layernorm.weight", "attention_norm.weight"},
    {"self_attn.q_proj.weight", "attention.q_proj.weight"},
    {"self_attn.k_proj.weight", "attention.k_proj.weight"},
    {"self_attn.v_proj.weight", "attention.v_proj.weight"},
    {"self_attn.o_proj.weight", "attention.o_proj.weight"},
    {"self_attn.q_proj.bias", "attention.q_proj.bias"},  // Qwen2
    {"self_attn.k_proj.bias", "attention.k_proj.bias"},
    {"self_attn.v_proj.bias", "attention.v_proj.bias"},
    {"self_attn.q_norm.weight", "attention.q_norm.weight"},
    {"self_attn.k_norm.weight", "attention.k_norm.weight"},
    {"post_attention_layernorm.weight", "mlp_norm.weight"},
    {"mlp.gate_proj.weight", "mlp.gate_proj.weight"},
    {"mlp.up_proj.weight", "mlp.up_proj.weight"},
    {"mlp.down_proj.weight", "mlp.down_proj.weight"},
    {"mlp.gate.weight", "mlp.router.gate.weight"},               // Qwen3-MoE
    {"block_sparse_moe.gate.weight", "mlp.router.gate.weight"},  // Mixtral
}};

/// After "experts.{e}.": Mixtral's expert is w2(silu(w1 x) * w3 x).
constexpr std::array<Pair, 6> kExpertNames = {{
    {"w1.weight", "gate_proj.weight"},
    {"w3.weight", "up_proj.weight"},
    {"w2.weight", "down_proj.weight"},
    {"gate_proj.weight", "gate_proj.weight"},
    {"up_proj.weight", "up_proj.weight"},
    {"down_proj.weight", "down_proj.weight"},
}};

template <std::size_t size>
std::string_view find(const std::array<Pair, size>& names, std::string_view name) {
  const auto pair =
      std::find_if(names.begin(), names.end(), [name](const Pair& p) { return p.first == name; });
  return pair == names.end() ? std::string_view() : pair->second;
}

/// The other way, of several the first whose file's name begins with `start` ("" for any).
template <std::size_t size>
std::string_view find_back(const std::array<Pair, size>& names, std::string_view own,
                           std::string_view start = "") {
  for (const Pair& pair : names) {
    if (pair.second == own && pair.first.starts_with(start)) return pair.first;
  }
  return {};
}

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// Takes "12." from the front; empty where there is no such index.
std::string_view take_index(std::string_view& text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const bool plain = digits > 0 && (digits == 1 || text.front() != '0');
  if (!plain || digits >= text.size() || text[digits] != '.') return {};
  const std::string_view index = text.substr(0, digits);
  text.remove_prefix(digits + 1);
  return index;
}

}  // namespace

std::string kempnerforge_name(std::string_view hf_name) {
  std::string_view rest = hf_name;
  if (!take_prefix(rest, "model.layers.")) return std::string(find(kModelNames, hf_name));
  const std::string_view layer = take_index(rest);
  if (layer.empty()) return "";
  const bool mixtral = take_prefix(rest, "block_sparse_moe.experts.");
  if (mixtral || take_prefix(rest, "mlp.experts.")) {
    const std::string_view expert = take_index(rest);
    const std::string_view name = find(kExpertNames, rest);
    const bool known = !expert.empty() && !name.empty() && rest.starts_with('w') == mixtral;
    return known ? fmt::format("layers.{}.mlp.experts.{}.{}", layer, expert, name) : "";
  }
  const std::string_view name = find(kLayerNames, rest);
  return name.empty() ? "" : fmt::format("layers.{}.{}", layer, name);
}

std::string hugging_face_name(std::string_view own_name, bool mixtral) {
  std::string_view rest = own_name;
  std::string result;
  if (!take_prefix(rest, "layers.")) {
    result = find_back(kModelNames, own_name);
  } else if (const std::string_view layer = take_index(rest); take_prefix(rest, "mlp.experts.")) {
    const std::string_view expert = take_index(rest);
    const std::string_view name = find_back(kExpertNames, rest, mixtral ? "w" : "");
    result = fmt::format("model.layers.{}.{}.experts.{}.{}", layer, mixtral ? "block_sparse_moe" : "mlp",
                         expert, mixtral ? name : rest);
  } else {
    const bool router = mixtral && rest.starts_with("mlp.router.");
    const std::string_view name = find_back(kLayerNames, rest, router ? "block_sparse_moe." : "");
    if (!name.empty()) result = fmt::format("model.layers.{}.{}", layer, name);
  }
  return result.empty() ? std::string(own_name) : result;
}

}  // namespace forgecheck
