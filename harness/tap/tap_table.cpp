#include "harness/tap/tap_table.h"

#include <algorithm>

#include "harness/tap/tap_lengths.h"
#include "reference/error.h"
#include "reference/ops/expert_choice.h"

namespace forgecheck {

namespace {

using Dimensions = std::vector<Dimension>;

Dimension product(const Dimension& a, const Dimension& b) {
  return {a.letter + "*" + b.letter, a.size * b.size};
}

std::string both(const std::string& a, const std::string& b) {
  return a + (a.empty() || b.empty() ? "" : ", ") + b;
}

bool decodes(const Case& definition) {
  return definition.run == RunKind::decode || definition.run == RunKind::generate;
}

class Table {
 public:
  Table(const Case& definition, const Inputs& inputs)
      : definition_(definition),
        architecture_(definition.architecture),
        model_(definition.architecture.model),
        adapted_(inputs.vision_features.has_value()),
        inputs_(shapes_after_adapter(definition.architecture, inputs, decodes(definition))),
        lengths_(lengths_of(definition.architecture, inputs_)) {}

  std::vector<TapInfo> run() {
    switch (definition_.run) {
      case RunKind::forward:
        forward();
        after_forward();
        return std::move(taps_);
      case RunKind::loss:
        forward();
        losses();
        return std::move(taps_);
      case RunKind::decode:
        decode();
        return std::move(taps_);
      case RunKind::generate:
        generate();
        return std::move(taps_);
      case RunKind::gradients:
        break;
    }
    throw ConfigError("case.run = " + to_string(definition_.run) + ": not supported yet");
  }

 private:
  void add(const TapName& name, Dimensions shape, const std::string& when = "",
           TapType type = TapType::floating) {
    taps_.push_back({name, std::move(shape), type, when, meaning_of(name, architecture_)});
  }

  // 1. what the residual stream begins with, the layers, and what follows them

  void forward() {
    if (adapted_) {
      add(outside(TapModule::adapter), {batch(), images(), dim()}, "vision_features");
    }
    if (inputs_.tokens && !inputs_.inputs_embeds) {
      add(outside(TapModule::token_embedding), {batch(), {"T", lengths_.text}, dim()}, "tokens");
    }
    for (std::int64_t i = 0; i < model_.n_layers; ++i) layer(i);
    if (architecture_.is(VlmArch::mot)) {
      for (const std::string& modality : architecture_.vlm->mot_modalities) {
        TapName name = outside(TapModule::mot_norms);
        name.modality = modality;
        add(name, {batch(), stream(modality), dim()});
      }
    } else {
      add(outside(TapModule::norm), {batch(), residual(), dim()});
    }
    logits(TapPart::none, "");
    add(outside(TapModule::aux_loss), {});
    add(outside(TapModule::z_loss), {});
    router_states();
  }

  void layer(std::int64_t i) {
    if (architecture_.is(VlmArch::mot)) return mot_layer(i);
    const BlockKind kind = BlockKind::layers;
    const Dimensions stream = {batch(), residual(), dim()};
    add(in_block(kind, i, TapModule::attention_norm), stream);
    attention(in_block(kind, i, TapModule::attention), residual(), residual(), model_.n_heads,
              model_.kv_heads(), model_.qk_norm);
    add(in_block(kind, i, TapModule::mlp_norm), stream);
    if (architecture_.is(VlmArch::moma)) {
      expert_choice(in_block(kind, i, TapModule::mlp));
    } else {
      feed_forward(in_block(kind, i, TapModule::mlp), residual(), true);
    }
    add(in_block(kind, i, TapModule::none), stream);
    const bool cross = architecture_.is(VlmArch::cross_attention);
    const std::int64_t cadence = cross ? architecture_.vlm->cross_attention_every_n_layers : 1;
    if (cross && (i + 1) % cadence == 0) cross_attention_layer((i + 1) / cadence - 1);
  }

  void cross_attention_layer(std::int64_t j) {
    const BlockKind kind = BlockKind::cross_attention_layers;
    const Dimensions stream = {batch(), residual(), dim()};
    add(in_block(kind, j, TapModule::attn_norm), stream);
    attention(in_block(kind, j, TapModule::attn), residual(), images(),
              architecture_.vlm->resolved_heads(model_), architecture_.vlm->resolved_kv_heads(model_), false);
    add(in_block(kind, j, TapModule::mlp_norm), stream);
    mlp(in_block(kind, j, TapModule::mlp), {batch(), residual()}, {"F", model_.computed_ffn_hidden_dim()});
    add(in_block(kind, j, TapModule::none), stream);
  }

  /// A step for all modalities before the next step, up to the attention; then each modality to its end.
  void mot_layer(std::int64_t i) {
    const auto& modalities = architecture_.vlm->mot_modalities;
    const auto name = [i](TapModule module, const std::string& modality) {
      return in_block(BlockKind::layers, i, module, modality);
    };
    for (const std::string& modality : modalities) {
      add(name(TapModule::attn_norm, modality), {batch(), stream(modality), dim()});
    }
    for (const std::string& modality : modalities) {
      projections(name(TapModule::attn, modality), stream(modality), stream(modality), model_.n_heads,
                  model_.kv_heads(), model_.qk_norm);
    }
    for (const std::string& modality : modalities) {
      attended(name(TapModule::attn, modality), stream(modality), model_.n_heads);
    }
    for (const std::string& modality : modalities) {
      add(name(TapModule::mlp_norm, modality), {batch(), stream(modality), dim()});
      feed_forward(name(TapModule::mlp, modality), stream(modality), definition_.mot_moe_totals);
      add(name(TapModule::none, modality), {batch(), stream(modality), dim()});
    }
  }

  // 2. attention

  void attention(const TapName& name, const Dimension& queries, const Dimension& keys, std::int64_t heads,
                 std::int64_t kv_heads, bool qk_norm) {
    projections(name, queries, keys, heads, kv_heads, qk_norm);
    attended(name, queries, heads);
  }

  void projections(const TapName& name, const Dimension& queries, const Dimension& keys, std::int64_t heads,
                   std::int64_t kv_heads, bool qk_norm) {
    const Dimension h{"H", heads}, k{"K", kv_heads}, d{"d", model_.head_dim_of(heads)};
    add(with_part(name, TapPart::q_proj), {batch(), queries, product(h, d)});
    add(with_part(name, TapPart::k_proj), {batch(), keys, product(k, d)});
    add(with_part(name, TapPart::v_proj), {batch(), keys, product(k, d)});
    if (!qk_norm) return;
    add(with_part(name, TapPart::q_norm), {batch(), queries, h, d}, "qk_norm");
    add(with_part(name, TapPart::k_norm), {batch(), keys, k, d}, "qk_norm");
  }

  void attended(const TapName& name, const Dimension& queries, std::int64_t heads) {
    const Dimension h{"H", heads}, d{"d", model_.head_dim_of(heads)};
    add(with_part(name, TapPart::context), {batch(), queries, product(h, d)});
    add(name, {batch(), queries, dim()});
  }

  // 3. feed-forward

  void feed_forward(const TapName& name, const Dimension& length, bool counted) {
    if (model_.is_moe_layer(name.index)) return mixture(name, length, counted);
    mlp(name, {batch(), length}, {"F", model_.computed_ffn_hidden_dim()},
        model_.num_experts > 0 ? "layers without experts" : "");
  }

  void mlp(const TapName& name, const Dimensions& rows, const Dimension& width,
           const std::string& when = "") {
    const auto shape = [&](const Dimension& last) {
      Dimensions result = rows;
      result.push_back(last);
      return result;
    };
    if (model_.activation == Activation::silu) {
      add(with_part(name, TapPart::gate_proj), shape(width), both(when, "activation = silu"));
    }
    add(with_part(name, TapPart::up_proj), shape(width), when);
    add(with_part(name, TapPart::hidden), shape(width), when);
    add(name, shape(dim()), when);
  }

  /// Of the tokens' choice.
  void mixture(const TapName& name, const Dimension& length, bool counted) {
    const std::string when = "layers with experts";
    const Dimension tokens = product(batch(), length), experts{"E", model_.num_experts};
    const Dimension top_k{"k", model_.moe_top_k};
    add(with_part(name, TapPart::router_gate), {tokens, experts}, when);
    add(with_part(name, TapPart::indices), {tokens, top_k}, when, TapType::integers);
    add(with_part(name, TapPart::weights), {tokens, top_k}, when);
    if (model_.moe_shared_experts > 0) {
      TapName shared = name;
      shared.shared_expert = true;
      mlp(shared, {tokens}, {"F_e", model_.computed_expert_ffn_hidden_dim()},
          both(when, "moe_shared_experts > 0"));
    }
    add(name, {batch(), length, dim()}, when);
    if (!counted) return;
    const std::string totals = architecture_.is(VlmArch::mot) ? "mot_moe_totals" : "";
    add(with_part(name, TapPart::expert_counts), {experts}, both(when, totals), TapType::counts);
  }

  /// Of the experts' choice: a group of experts for each modality. One without tokens has nothing to choose.
  void expert_choice(const TapName& name) {
    const VlmConfig& vlm = *architecture_.vlm;
    for (std::int64_t id = 0; id < std::ssize(vlm.moma_modalities); ++id) {
      TapName group = name;
      group.module = TapModule::expert_group;
      group.modality = vlm.moma_modalities[static_cast<std::size_t>(id)];
      const Dimension experts{"E_m", vlm.moma_experts_per_modality.at(group.modality)};
      const Dimension tokens{"n_m", count_tokens(inputs_, id)};
      const Dimension chosen{"k_m",
                             tokens_per_expert(tokens.size, vlm.effective_capacity_factor(group.modality))};
      if (tokens.size > 0) {
        const std::string when = "n_m > 0";
        add(with_part(group, TapPart::router_gate), {tokens, experts}, when);
        add(with_part(group, TapPart::indices), {experts, chosen}, when, TapType::integers);
        add(with_part(group, TapPart::scores), {experts, chosen}, when);
      }
      add(with_part(group, TapPart::expert_counts), {experts}, "", TapType::counts);
    }
    add(name, {batch(), residual(), dim()});
  }

  // 4. outputs

  void logits(TapPart part, const std::string& when) {
    std::int64_t positions = lengths_.residual;
    if (definition_.output_slice) {
      const auto [begin, end] = definition_.output_slice->resolve(positions);
      positions = end - begin;
    }
    add(outside(TapModule::logits, part), {batch(), {"S_out", positions}, {"V", model_.vocab_size}}, when);
  }

  /// In the order of the parameters' names, "layers.10" before "layers.2".
  void router_states() {
    if (model_.num_experts == 0 || model_.moe_router != RouterType::sigmoid_topk) return;
    const bool mot = architecture_.is(VlmArch::mot);
    std::vector<TapName> mixtures;
    for (std::int64_t i = 0; i < model_.n_layers; ++i) {
      if (!model_.is_moe_layer(i)) continue;
      for (const std::string& modality :
           mot ? architecture_.vlm->mot_modalities : std::vector<std::string>{""}) {
        mixtures.push_back(in_block(BlockKind::layers, i, TapModule::mlp, modality));
      }
    }
    std::ranges::sort(mixtures, {},
                      [](const TapName& name) { return to_string(with_part(name, TapPart::expert_ema)); });
    const std::string when = "layers with experts, moe_router = sigmoid_topk";
    for (const TapName& mixture : mixtures) {
      add(with_part(mixture, TapPart::expert_ema), {{"E", model_.num_experts}}, when);
      add(with_part(mixture, TapPart::expert_bias), {{"E", model_.num_experts}}, when);
    }
  }

  void after_forward() {
    if (definition_.stages > 0) logits(TapPart::staged, "stages");
    if (definition_.greedy_from == 0) return;
    TapName name = outside(TapModule::greedy_from);
    name.index = definition_.greedy_from;
    add(name, {batch(), {"P+G", definition_.greedy_from + definition_.greedy_new_tokens}}, "greedy_from",
        TapType::integers);
  }

  void losses() {
    for (const TapPart part : {TapPart::cross_entropy, TapPart::logit_z, TapPart::total}) {
      add(outside(TapModule::loss, part), {});
    }
  }

  void decode() {
    const Dimensions shape = {
        batch(), {"K", model_.kv_heads()}, {"T", lengths_.text}, {"d", model_.computed_head_dim()}};
    for (std::int64_t i = 0; i < model_.n_layers; ++i) {
      const TapName cache = in_block(BlockKind::layers, i, TapModule::kv_cache);
      add(with_part(cache, TapPart::k), shape);
      add(with_part(cache, TapPart::v), shape);
    }
    add(outside(TapModule::logits), {batch(), {"T", lengths_.text}, {"V", model_.vocab_size}});
  }

  void generate() {
    const GenerateOptions& options = definition_.generate;
    const Dimension length{"P+G", lengths_.text + options.max_new_tokens, options.eos_token_id.has_value()};
    add(outside(TapModule::tokens), {batch(), length}, "", TapType::integers);
  }

  Dimension batch() const { return {"B", lengths_.batch}; }
  Dimension residual() const { return {"S", lengths_.residual}; }
  Dimension images() const { return {"N", lengths_.images}; }
  Dimension dim() const { return {"D", model_.dim}; }
  Dimension stream(const std::string& modality) const {
    const std::int64_t image = architecture_.num_image_tokens;
    return {"S_m", modality == "image" ? image : lengths_.residual - image};
  }

  const Case& definition_;
  const Architecture& architecture_;
  const ModelConfig& model_;
  const bool adapted_;  // whether there are vision_features
  const Inputs inputs_;
  Lengths lengths_;
  std::vector<TapInfo> taps_;
};

}  // namespace

std::vector<TapInfo> tap_table(const Case& definition, const Inputs& inputs) {
  return Table(definition, inputs).run();
}

}  // namespace forgecheck
