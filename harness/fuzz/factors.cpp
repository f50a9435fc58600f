#include "harness/fuzz/factors.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "harness/case/case_fields.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::int64_t kAny = std::numeric_limits<std::int64_t>::max();

/// Which cases have a factor.
struct Domain {
  std::string words;
  bool (*has)(const Case&);
};
const Domain kAll = {"", [](const Case&) { return true; }};
const Domain kText = {"a text model", [](const Case& c) { return !c.architecture.vlm.has_value(); }};
const Domain kExperts = {"token-choice experts",
                         [](const Case& c) { return c.architecture.model.num_experts > 0; }};
const Domain kSigmoid = {"the sigmoid router", [](const Case& c) {
                           return c.architecture.model.num_experts > 0 &&
                                  keeps_state(c.architecture.model.moe_router);
                         }};
const Domain kImages = {"images", [](const Case& c) { return c.architecture.vlm.has_value(); }};
const Domain kAdapter = {"an adapter", [](const Case& c) { return c.architecture.adapter.has_value(); }};
const Domain kDocuments = {"documents", [](const Case& c) { return c.inputs.documents > 0; }};
const Domain kEmbeddings = {"embeddings or features", [](const Case& c) {
                              return c.inputs.embeds || c.inputs.image_tokens > 0 || c.inputs.patches > 0;
                            }};
const Domain kCross = {"cross_attention",
                       [](const Case& c) { return c.architecture.is(VlmArch::cross_attention); }};
const Domain kMot = {"mot", [](const Case& c) { return c.architecture.is(VlmArch::mot); }};
const Domain kMoma = {"moma", [](const Case& c) { return c.architecture.is(VlmArch::moma); }};
const Domain kDecode = {"run = decode", [](const Case& c) { return c.run == RunKind::decode; }};
const Domain kGenerate = {"run = generate", [](const Case& c) { return c.run == RunKind::generate; }};
const Domain kLoss = {"run = loss", [](const Case& c) { return c.run == RunKind::loss; }};
const Domain kScaled = {"rope_scaling",
                        [](const Case& c) { return c.architecture.model.rope_scaling != RopeScaling::none; }};

Factor factor(std::string name, const Domain& domain, std::vector<Level> levels) {
  return {std::move(name), domain.words, domain.has, std::move(levels)};
}

const CaseField& field_named(std::string_view section, std::string_view name) {
  for (const CaseField& field : case_fields()) {
    if (field.section == section && field.name == name) return field;
  }
  throw ConfigError(fmt::format("{}.{}: is no field", section, name));
}

std::string factor_name(const char* section, const char* name) {
  return *section == '\0' ? name : fmt::format("{}.{}", section, name);
}

/// A field with a few values, each of them a level.
Factor choices(const Domain& domain, const char* section, const char* name,
               const std::vector<const char*>& values, bool makes = true) {
  const CaseField& field = field_named(section, name);
  std::vector<Level> levels;
  for (const char* text : values) {
    const FieldValue value = parse_value(text);
    const auto is = [&field, value](const Case& c) {
      const auto now = field.get(c);
      return now == value;
    };
    levels.push_back({text, is,
                      makes ? [&field, value](Case& c, RandomDraws&) { field.set(c, value); }
                            : std::function<void(Case&, RandomDraws&)>()});
  }
  return factor(factor_name(section, name), domain, std::move(levels));
}
Factor flag(const Domain& domain, const char* section, const char* name) {
  return choices(domain, section, name, {"false", "true"});
}

/// A range of a size, and the values in it that are made.
struct Range {
  const char* name;
  std::int64_t low, high;
  std::vector<std::int64_t> made;
};
Factor sizes(const Domain& domain, const char* section, const char* name, const std::vector<Range>& ranges) {
  const CaseField& field = field_named(section, name);
  std::vector<Level> levels;
  for (const Range& range : ranges) {
    const auto is = [&field, range](const Case& c) {
      const auto now = field.get(c);
      const auto* value = now ? std::get_if<std::int64_t>(&*now) : nullptr;
      return value != nullptr && *value >= range.low && *value <= range.high;
    };
    levels.push_back({range.name, is,
                      range.made.empty() ? std::function<void(Case&, RandomDraws&)>()
                                         : [&field, range](Case& c, RandomDraws& draws) {
                                             field.set(c, draws.one_of(range.made));
                                           }});
  }
  return factor(factor_name(section, name), domain, std::move(levels));
}

/// Whether something is there.
Factor presence(const std::string& name, const Domain& domain, const std::function<bool(const Case&)>& has,
                const std::function<void(Case&, RandomDraws&)>& add,
                const std::function<void(Case&, RandomDraws&)>& remove) {
  return factor(name, domain, {{"no", [has](const Case& c) { return !has(c); }, remove}, {"yes", has, add}});
}

Factor architectures() {
  std::vector<Level> levels;
  for (const char* name : {"dense", "moe", "joint_decoder", "cross_attention", "mot", "moma"}) {
    levels.push_back({name, [name](const Case& c) { return arch_name(c.architecture) == name; }, {}});
  }
  return factor("arch", kAll, std::move(levels));
}

Factor runs() {
  std::vector<Level> levels;
  for (const RunKind run : {RunKind::forward, RunKind::loss, RunKind::decode, RunKind::generate}) {
    levels.push_back({to_string(run), [run](const Case& c) { return c.run == run; },
                      [run](Case& c, RandomDraws&) {
                        c.run = run;
                        c.chunks.clear();
                        if (run == RunKind::decode) c.chunks = {c.inputs.text_len};
                        if (run == RunKind::generate) c.generate.max_new_tokens = 3;
                        if (run != RunKind::loss) c.inputs.ignore_labels = false;
                      }});
  }
  return factor("run", kAll, std::move(levels));
}

std::vector<Factor> input_factors() {
  return {
      sizes(kAll, "inputs", "batch", {{"1", 1, 1, {1}}, {"more", 2, kAny, {2, 3}}}),
      sizes(kAll, "inputs", "text_len", {{"1", 1, 1, {}}, {"2 .. 4", 2, 4, {}}, {"more", 5, kAny, {}}}),
      sizes(kAll, "inputs", "documents", {{"none", 0, 0, {0}}, {"some", 1, kAny, {2, 3}}}),
      flag(kDocuments, "inputs", "documents_recur"),
      flag(kText, "inputs", "embeds"),
      factor("inputs.scale", kEmbeddings,
             {{"1", [](const Case& c) { return c.inputs.scale == 1; },
               [](Case& c, RandomDraws&) { c.inputs.scale = 1; }},
              {"tiny", [](const Case& c) { return c.inputs.scale < 1; },
               [](Case& c, RandomDraws& draws) { c.inputs.scale = tiny_scale(c, draws); }},
              {"large", [](const Case& c) { return c.inputs.scale > 1; },
               [](Case& c, RandomDraws& draws) { c.inputs.scale = draws.one_of(kLargeScales); }}}),
      flag(kAll, "inputs", "padding"),
      presence(
          "output_slice", kAll, [](const Case& c) { return c.output_slice.has_value(); },
          [](Case& c, RandomDraws&) {
            c.output_slice = OutputSlice{0, 1};
          },
          [](Case& c, RandomDraws&) { c.output_slice.reset(); }),
      sizes(kText, "", "stages", {{"none", 0, 0, {0}}, {"1", 1, 1, {1}}, {"more", 2, kAny, {2}}}),
      presence(
          "moe_step", kAll, [](const Case& c) { return c.moe_step.has_value(); },
          [](Case& c, RandomDraws& draws) {
            c.moe_step = MoeStep{draws.between(0, 20), 20};
          },
          [](Case& c, RandomDraws&) { c.moe_step.reset(); }),
      presence("images from an adapter", kImages,
               [](const Case& c) { return c.architecture.adapter.has_value(); }, {}, {}),
      choices(kAdapter, "adapter", "type", {"mlp_2layer", "linear", "avgpool", "attentional_pool"}, false),
      choices(kAdapter, "adapter", "activation", {"silu", "gelu", "relu"}),
      presence(
          "adapter.hidden_dim", kAdapter,
          [](const Case& c) { return c.architecture.adapter->hidden_dim > 0; },
          [](Case& c, RandomDraws&) { c.architecture.adapter->hidden_dim = 12; },
          [](Case& c, RandomDraws&) { c.architecture.adapter->hidden_dim = 0; }),
      sizes(kAdapter, "inputs", "frames", {{"none", 0, 0, {0}}, {"1", 1, 1, {1}}, {"more", 2, kAny, {2}}}),
      flag(kCross, "inputs", "image_mask"),
      flag({"mot or moma", [](const Case& c) { return kMot.has(c) || kMoma.has(c); }}, "inputs",
           "interleaved"),
  };
}

std::vector<Factor> model_factors() {
  const auto model = [](Case& c) -> ModelConfig& { return c.architecture.model; };
  const auto heads = [](const Case& c) { return c.architecture.model.n_heads; };
  const auto kv_heads = [](const Case& c) { return c.architecture.model.kv_heads(); };
  const auto share = [=](std::int64_t kv) {
    return [=](Case& c, RandomDraws&) { model(c).n_kv_heads = kv; };
  };
  return {
      sizes(kAll, "model", "n_layers", {{"1", 1, 1, {1}}, {"more", 2, kAny, {2, 3}}}),
      factor("heads", kAll,
             {{"one for each", [=](const Case& c) { return kv_heads(c) == heads(c) && heads(c) > 1; },
               [=](Case& c, RandomDraws&) { model(c).n_kv_heads.reset(); }},
              {"grouped", [=](const Case& c) { return kv_heads(c) < heads(c) && kv_heads(c) > 1; }, share(2)},
              {"one for all", [=](const Case& c) { return kv_heads(c) == 1 && heads(c) > 1; }, share(1)},
              {"only one", [=](const Case& c) { return heads(c) == 1; }, {}}}),
      choices(kAll, "model", "norm_type", {"rmsnorm", "layernorm"}),
      presence(
          "model.norm_eps is large", kAll, [](const Case& c) { return c.architecture.model.norm_eps > 1e-4; },
          [=](Case& c, RandomDraws&) { model(c).norm_eps = 1e-2; },
          [=](Case& c, RandomDraws&) { model(c).norm_eps = 1e-5; }),
      choices(kAll, "model", "activation", {"silu", "gelu", "relu"}),
      flag(kAll, "model", "tie_embeddings"),
      flag(kAll, "model", "qk_norm"),
      presence(
          "model.head_dim", kText, [](const Case& c) { return c.architecture.model.head_dim.has_value(); },
          [=](Case& c, RandomDraws& draws) { model(c).head_dim = 2 * draws.between(1, 8); },
          [=](Case& c, RandomDraws&) { model(c).head_dim.reset(); }),
      flag(kText, "model", "qkv_bias"),
      sizes(kText, "model", "sliding_window",
            {{"none", 0, 0, {0}}, {"1", 1, 1, {1}}, {"more", 2, kAny, {2, 3, 5}}}),
      choices(kText, "model", "rope_scaling", {"none", "linear", "llama3"}),
      presence(
          "model.rope_factor", kScaled, [](const Case& c) { return c.architecture.model.rope_factor != 1.0; },
          [=](Case& c, RandomDraws& draws) {
            model(c).rope_factor = draws.one_of({2.0, 8.0});
          },
          [=](Case& c, RandomDraws&) { model(c).rope_factor = 1.0; }),
  };
}

std::vector<Factor> expert_factors() {
  const auto model = [](Case& c) -> ModelConfig& { return c.architecture.model; };
  const auto weight = [=](const char* name, double ModelConfig::*member, double value) {
    return presence(
        name, kExperts, [=](const Case& c) { return c.architecture.model.*member > 0; },
        [=](Case& c, RandomDraws&) { c.architecture.model.*member = value; },
        [=](Case& c, RandomDraws&) { c.architecture.model.*member = 0.0; });
  };
  return {
      choices(kExperts, "model", "moe_router", {"softmax_topk", "sigmoid_topk"}),
      factor("model.moe_top_k", kExperts,
             {{"1", [](const Case& c) { return c.architecture.model.moe_top_k == 1; },
               [=](Case& c, RandomDraws&) { model(c).moe_top_k = 1; }},
              {"some",
               [](const Case& c) {
                 const ModelConfig& m = c.architecture.model;
                 return m.moe_top_k > 1 && m.moe_top_k < m.num_experts;
               },
               [=](Case& c, RandomDraws&) { model(c).moe_top_k = 2; }},
              {"all",
               [](const Case& c) {
                 const ModelConfig& m = c.architecture.model;
                 return m.moe_top_k > 1 && m.moe_top_k == m.num_experts;
               },
               [=](Case& c, RandomDraws&) { model(c).moe_top_k = model(c).num_experts; }}}),
      sizes(kExperts, "model", "moe_frequency", {{"1", 1, 1, {1}}, {"more", 2, kAny, {2}}}),
      sizes(kExperts, "model", "moe_shared_experts", {{"none", 0, 0, {0}}, {"some", 1, kAny, {1, 2}}}),
      weight("model.moe_capacity_factor", &ModelConfig::moe_capacity_factor, 0.5),
      flag(kExperts, "model", "moe_gradient_scale"),
      flag(kExperts, "model", "moe_packed_experts"),
      weight("model.moe_aux_loss_weight", &ModelConfig::moe_aux_loss_weight, 0.5),
      weight("model.moe_sequence_aux_loss_weight", &ModelConfig::moe_sequence_aux_loss_weight, 0.05),
      weight("model.moe_router_z_loss_weight", &ModelConfig::moe_router_z_loss_weight, 0.001),
      choices(kSigmoid, "model", "moe_bias_schedule", {"constant", "cosine_decay", "linear_warmup"}),
  };
}

std::vector<Factor> image_factors() {
  const auto vlm = [](Case& c) -> VlmConfig& { return *c.architecture.vlm; };
  return {
      sizes(kCross, "vlm", "cross_attention_every_n_layers", {{"1", 1, 1, {1}}, {"more", 2, kAny, {2}}}),
      presence(
          "vlm.cross_attention_n_heads", kCross,
          [](const Case& c) { return c.architecture.vlm->cross_attention_n_heads > 0; },
          [=](Case& c, RandomDraws&) { vlm(c).cross_attention_n_heads = 1; },
          [=](Case& c, RandomDraws&) {
            vlm(c).cross_attention_n_heads = vlm(c).cross_attention_n_kv_heads = 0;
          }),
      presence("vlm.mot_modalities = [text,image]", kMot,
               [](const Case& c) { return c.architecture.vlm->mot_modalities.front() == "text"; }, {}, {}),
      flag(kMot, "", "mot_moe_totals"),
      presence("vlm.moma_modalities = [text,image]", kMoma,
               [](const Case& c) { return c.architecture.vlm->moma_modalities.front() == "text"; }, {}, {}),
      presence(
          "vlm.moma_capacity_factor", kMoma,
          [](const Case& c) { return c.architecture.vlm->moma_capacity_factor > 0; },
          [=](Case& c, RandomDraws&) { vlm(c).moma_capacity_factor = 0.5; },
          [=](Case& c, RandomDraws&) { vlm(c).moma_capacity_factor = 0.0; }),
      flag(kMoma, "vlm", "moma_gumbel_noise"),
  };
}

std::vector<Factor> run_factors() {
  const auto sampling = [](Case& c) -> SamplingOptions& { return c.generate.sampling; };
  return {
      runs(),
      choices(kAll, "", "mode", {"eval", "train"}),
      choices(kAll, "", "dtype", {"float32", "bfloat16"}),
      factor("chunks", kDecode,
             {{"one", [](const Case& c) { return c.chunks.size() == 1; },
               [](Case& c, RandomDraws&) { c.chunks = {c.inputs.text_len}; }},
              {"single tokens",
               [](const Case& c) {
                 return c.chunks.size() > 1 && std::ranges::all_of(c.chunks.begin() + 1, c.chunks.end(),
                                                                   [](std::int64_t n) { return n == 1; });
               },
               [](Case& c, RandomDraws&) {
                 c.chunks = {c.inputs.text_len - 1, 1};
               }},
              {"mixed",
               [](const Case& c) {
                 return c.chunks.size() > 1 && std::ranges::any_of(c.chunks.begin() + 1, c.chunks.end(),
                                                                   [](std::int64_t n) { return n > 1; });
               },
               [](Case& c, RandomDraws&) {
                 c.chunks = {1, c.inputs.text_len - 1};
               }}}),
      presence(
          "generate.temperature", kGenerate, [](const Case& c) { return !c.generate.sampling.greedy(); },
          [=](Case& c, RandomDraws&) { sampling(c).temperature = 1.0; },
          [=](Case& c, RandomDraws&) { sampling(c).temperature = 0.0; }),
      presence(
          "generate.top_k", kGenerate, [](const Case& c) { return c.generate.sampling.top_k > 0; },
          [=](Case& c, RandomDraws&) { sampling(c).top_k = 3; },
          [=](Case& c, RandomDraws&) { sampling(c).top_k = 0; }),
      presence(
          "generate.top_p", kGenerate, [](const Case& c) { return c.generate.sampling.top_p < 1.0; },
          [=](Case& c, RandomDraws&) { sampling(c).top_p = 0.5; },
          [=](Case& c, RandomDraws&) { sampling(c).top_p = 1.0; }),
      presence(
          "generate.eos_token_id", kGenerate,
          [](const Case& c) { return c.generate.eos_token_id.has_value(); },
          [](Case& c, RandomDraws&) { c.generate.eos_token_id = 0; },
          [](Case& c, RandomDraws&) { c.generate.eos_token_id.reset(); }),
      choices(kLoss, "loss", "kind", {"cross_entropy", "chunked_cross_entropy"}),
      presence(
          "loss.z_loss_weight", kLoss, [](const Case& c) { return c.loss.z_loss_weight > 0; },
          [](Case& c, RandomDraws&) { c.loss.z_loss_weight = 0.001; },
          [](Case& c, RandomDraws&) { c.loss.z_loss_weight = 0.0; }),
      flag(kLoss, "inputs", "ignore_labels"),
  };
}

std::vector<Factor> all_factors() {
  std::vector<Factor> all = {architectures()};
  for (const auto& part :
       {run_factors(), input_factors(), model_factors(), expert_factors(), image_factors()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

/// Factor and level of each position.
const std::vector<std::pair<const Factor*, const Level*>>& positions() {
  static const auto table = [] {
    std::vector<std::pair<const Factor*, const Level*>> rows;
    for (const Factor& factor : factors()) {
      for (const Level& level : factor.levels) rows.emplace_back(&factor, &level);
    }
    return rows;
  }();
  return table;
}

}  // namespace

const std::vector<Factor>& factors() {
  static const std::vector<Factor> table = all_factors();
  return table;
}

std::size_t level_count() {
  return positions().size();
}
const Factor& factor_at(std::size_t position) {
  return *positions()[position].first;
}
const Level& level_at(std::size_t position) {
  return *positions()[position].second;
}
std::string level_name(std::size_t position) {
  return fmt::format("{} = {}", factor_at(position).name, level_at(position).name);
}

std::vector<std::size_t> levels_of(const Case& value) {
  std::vector<std::size_t> found;
  std::size_t position = 0;
  for (const Factor& factor : factors()) {
    if (factor.applies(value)) {
      const auto level = std::ranges::find_if(factor.levels, [&](const Level& row) { return row.is(value); });
      if (level != factor.levels.end()) {
        found.push_back(position + static_cast<std::size_t>(level - factor.levels.begin()));
      }
    }
    position += factor.levels.size();
  }
  return found;
}

}  // namespace forgecheck
