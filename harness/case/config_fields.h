// The fields of every section of a configuration by name: one table that the TOML reader, the JSON of a case
// and the one-line text form of a case share.
#pragma once

#include <string_view>

#include "harness/case/config_value.h"
#include "reference/config.h"

namespace forgecheck {

/// Sets one field. Throws ConfigError "model.n_head = 4: unknown field, did you mean n_heads?" on a name that
/// the section does not have, and "model.dim = 2.0: needs an integer" on a value of the wrong type; an
/// integer is taken where a double is needed. Whether the value is allowed is for validate() to say.
void set_field(ModelConfig& config, std::string_view key, const FieldValue& value);
/// The fields of another architecture than config.arch are unknown fields, so `arch` must be set first.
void set_field(VlmConfig& config, std::string_view key, const FieldValue& value);
void set_field(VisionEncoderConfig& config, std::string_view key, const FieldValue& value);
void set_field(AdapterConfig& config, std::string_view key, const FieldValue& value);

/// Sets all of them, `arch` before the others.
template <class Config>
void set_fields(Config& config, const FieldList& fields) {
  for (const auto& [key, value] : fields) {
    if (key == "arch") set_field(config, key, value);
  }
  for (const auto& [key, value] : fields) {
    if (key != "arch") set_field(config, key, value);
  }
}

/// The fields that differ from the defaults, in the order of their declaration; n_kv_heads and ffn_hidden_dim
/// whenever they are given. Giving them back to set_fields makes an equal configuration (of a VlmConfig: in
/// the fields of its own architecture).
FieldList changed_fields(const ModelConfig& config);
FieldList changed_fields(const VlmConfig& config);
FieldList changed_fields(const VisionEncoderConfig& config);
FieldList changed_fields(const AdapterConfig& config);

}  // namespace forgecheck
