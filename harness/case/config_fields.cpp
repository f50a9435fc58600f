#include "harness/case/config_fields.h"

#include <functional>
#include <optional>

#include "harness/case/nearest_name.h"
#include "reference/error.h"

namespace forgecheck {
namespace {

/// Sets `target` where the value holds exactly a T.
template <class T>
bool take(T& target, const FieldValue& value) {
  const T* given = std::get_if<T>(&value);
  if (given != nullptr) target = *given;
  return given != nullptr;
}

// What each type takes. `needs` says it in words, for a value that is not of that type.

bool assign(bool& target, const FieldValue& value, std::string& needs) {
  needs = "true or false";
  return take(target, value);
}
bool assign(std::int64_t& target, const FieldValue& value, std::string& needs) {
  needs = "an integer";
  return take(target, value);
}
bool assign(std::optional<std::int64_t>& target, const FieldValue& value, std::string& needs) {
  return assign(target.emplace(), value, needs);
}
bool assign(double& target, const FieldValue& value, std::string& needs) {
  needs = "a number";
  std::int64_t integer = 0;
  if (!take(integer, value)) return take(target, value);
  target = static_cast<double>(integer);
  return true;
}
bool assign(std::string& target, const FieldValue& value, std::string& needs) {
  needs = "a string";
  return take(target, value);
}
bool assign(std::vector<std::string>& target, const FieldValue& value, std::string& needs) {
  needs = "a list of strings";
  return take(target, value);
}
bool assign(std::map<std::string, std::int64_t>& target, const FieldValue& value, std::string& needs) {
  needs = "a table of integers";
  return take(target, value);
}

template <class Enum, std::size_t n>
bool assign_option(Enum& target, const FieldValue& value, std::string& needs, const Named<Enum> (&table)[n]) {
  std::string given;
  const bool is_string = take(given, value);
  needs.clear();
  for (const auto& [option, name] : table) {
    if (is_string && given == name) {
      target = option;
      return true;
    }
    needs += (needs.empty() ? "one of " : ", ") + std::string(name);
  }
  return false;
}
bool assign(NormType& target, const FieldValue& value, std::string& needs) {
  return assign_option(target, value, needs, kNormTypes);
}
bool assign(Activation& target, const FieldValue& value, std::string& needs) {
  return assign_option(target, value, needs, kActivations);
}
bool assign(RouterType& target, const FieldValue& value, std::string& needs) {
  return assign_option(target, value, needs, kRouterTypes);
}
bool assign(BiasSchedule& target, const FieldValue& value, std::string& needs) {
  return assign_option(target, value, needs, kBiasSchedules);
}
bool assign(VlmArch& target, const FieldValue& value, std::string& needs) {
  return assign_option(target, value, needs, kVlmArchs);
}
bool assign(AdapterType& target, const FieldValue& value, std::string& needs) {
  return assign_option(target, value, needs, kAdapterTypes);
}

template <class T>
FieldValue as_value(const T& member) {
  if constexpr (std::is_enum_v<T>) {
    return to_string(member);
  } else {
    return member;
  }
}
FieldValue as_value(const std::optional<std::int64_t>& member) {
  return *member;
}

template <class Config>
struct Field {
  std::string name;
  std::function<bool(Config&, const FieldValue&, std::string& needs)> set;
  /// The value where it differs from the default.
  std::function<std::optional<FieldValue>(const Config&)> changed;
};

template <class Config, class T>
Field<Config> field(const char* name, T Config::*member) {
  return {name,
          [member](Config& config, const FieldValue& value, std::string& needs) {
            T target = config.*member;
            const bool fits = assign(target, value, needs);
            if (fits) config.*member = std::move(target);
            return fits;
          },
          [member](const Config& config) -> std::optional<FieldValue> {
            if (config.*member == Config{}.*member) return std::nullopt;
            return as_value(config.*member);
          }};
}

const std::vector<Field<ModelConfig>>& fields_of(const ModelConfig&) {
  using C = ModelConfig;
  static const std::vector<Field<C>> fields = {
      field("dim", &C::dim),
      field("n_layers", &C::n_layers),
      field("n_heads", &C::n_heads),
      field("n_kv_heads", &C::n_kv_heads),
      field("vocab_size", &C::vocab_size),
      field("ffn_dim_multiplier", &C::ffn_dim_multiplier),
      field("ffn_hidden_dim", &C::ffn_hidden_dim),
      field("norm_type", &C::norm_type),
      field("norm_eps", &C::norm_eps),
      field("activation", &C::activation),
      field("max_seq_len", &C::max_seq_len),
      field("rope_theta", &C::rope_theta),
      field("tie_embeddings", &C::tie_embeddings),
      field("qk_norm", &C::qk_norm),
      field("init_std", &C::init_std),
      field("model_type", &C::model_type),
      field("sdpa_backend", &C::sdpa_backend),
      field("num_experts", &C::num_experts),
      field("moe_top_k", &C::moe_top_k),
      field("moe_frequency", &C::moe_frequency),
      field("moe_router", &C::moe_router),
      field("moe_shared_experts", &C::moe_shared_experts),
      field("moe_aux_loss_weight", &C::moe_aux_loss_weight),
      field("moe_capacity_factor", &C::moe_capacity_factor),
      field("moe_sequence_aux_loss_weight", &C::moe_sequence_aux_loss_weight),
      field("moe_gradient_scale", &C::moe_gradient_scale),
      field("moe_bias_schedule", &C::moe_bias_schedule),
      field("moe_packed_experts", &C::moe_packed_experts),
      field("moe_expert_ffn_multiplier", &C::moe_expert_ffn_multiplier),
      field("moe_router_z_loss_weight", &C::moe_router_z_loss_weight),
      // Not a key of upstream's files, but a case of a Hugging Face checkpoint must not lose it.
      field("qk_norm_eps", &C::qk_norm_eps),
  };
  return fields;
}

const std::vector<Field<VlmConfig>>& fields_of(const VlmConfig&) {
  using C = VlmConfig;
  static const std::vector<Field<C>> fields = {
      field("arch", &C::arch),
      field("max_text_len", &C::max_text_len),
      field("cross_attention_every_n_layers", &C::cross_attention_every_n_layers),
      field("cross_attention_n_heads", &C::cross_attention_n_heads),
      field("cross_attention_n_kv_heads", &C::cross_attention_n_kv_heads),
      field("mot_modalities", &C::mot_modalities),
      field("mot_image_n_heads", &C::mot_image_n_heads),
      field("mot_image_n_kv_heads", &C::mot_image_n_kv_heads),
      field("mot_warm_start_from_text", &C::mot_warm_start_from_text),
      field("mot_warm_start_path", &C::mot_warm_start_path),
      field("moma_modalities", &C::moma_modalities),
      field("moma_experts_per_modality", &C::moma_experts_per_modality),
      field("moma_capacity_factor", &C::moma_capacity_factor),
      field("moma_gumbel_noise", &C::moma_gumbel_noise),
  };
  return fields;
}

const std::vector<Field<VisionEncoderConfig>>& fields_of(const VisionEncoderConfig&) {
  using C = VisionEncoderConfig;
  static const std::vector<Field<C>> fields = {
      field("type", &C::type),
      field("path", &C::path),
      field("feature_dim", &C::feature_dim),
      field("num_tokens", &C::num_tokens),
  };
  return fields;
}

const std::vector<Field<AdapterConfig>>& fields_of(const AdapterConfig&) {
  using C = AdapterConfig;
  static const std::vector<Field<C>> fields = {
      field("type", &C::type),
      field("hidden_dim", &C::hidden_dim),
      field("activation", &C::activation),
      field("pool_window", &C::pool_window),
      field("pool_heads", &C::pool_heads),
  };
  return fields;
}

/// The architecture that a field of [vlm] belongs to, none for the fields of all: upstream has a class for
/// each architecture, and begins the names of its fields alike.
std::optional<VlmArch> owner(const std::string& name) {
  if (name.starts_with("cross_attention_")) return VlmArch::cross_attention;
  if (name.starts_with("mot_")) return VlmArch::mot;
  if (name.starts_with("moma_")) return VlmArch::moma;
  return std::nullopt;
}

template <class Config>
std::optional<VlmArch> foreign_owner(const Config&, const std::string&) {
  return std::nullopt;
}
std::optional<VlmArch> foreign_owner(const VlmConfig& config, const std::string& name) {
  const std::optional<VlmArch> arch = owner(name);
  return arch == config.arch ? std::nullopt : arch;
}

template <class Config>
std::string hint(const Config& config, std::string_view key) {
  std::vector<std::string> names;
  for (const auto& field : fields_of(config)) {
    if (!foreign_owner(config, field.name)) names.push_back(field.name);
  }
  const std::string name = nearest_name(key, names);
  return name.empty() ? "" : ", did you mean " + name + "?";
}

template <class Config>
void set(Config& config, const std::string& section, std::string_view key, const FieldValue& value) {
  const std::string given = section + "." + std::string(key) + " = " + format_value(value) + ": ";
  for (const auto& field : fields_of(config)) {
    if (field.name != key) continue;
    if (const auto arch = foreign_owner(config, field.name)) {
      throw ConfigError(given + "unknown field, it belongs to " + section + ".arch = " + to_string(*arch));
    }
    std::string needs;
    if (!field.set(config, value, needs)) throw ConfigError(given + "needs " + needs);
    return;
  }
  throw ConfigError(given + "unknown field" + hint(config, key));
}

template <class Config>
FieldList changed(const Config& config) {
  FieldList list;
  for (const auto& field : fields_of(config)) {
    if (foreign_owner(config, field.name)) continue;
    if (auto value = field.changed(config)) list.emplace_back(field.name, *std::move(value));
  }
  return list;
}

}  // namespace

void set_field(ModelConfig& config, std::string_view key, const FieldValue& value) {
  set(config, "model", key, value);
}
void set_field(VlmConfig& config, std::string_view key, const FieldValue& value) {
  set(config, "vlm", key, value);
}
void set_field(VisionEncoderConfig& config, std::string_view key, const FieldValue& value) {
  set(config, "vision_encoder", key, value);
}
void set_field(AdapterConfig& config, std::string_view key, const FieldValue& value) {
  set(config, "adapter", key, value);
}

FieldList changed_fields(const ModelConfig& config) {
  return changed(config);
}
FieldList changed_fields(const VlmConfig& config) {
  return changed(config);
}
FieldList changed_fields(const VisionEncoderConfig& config) {
  return changed(config);
}
FieldList changed_fields(const AdapterConfig& config) {
  return changed(config);
}

}  // namespace forgecheck
