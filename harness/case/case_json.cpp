#include <cstdint>
#include <nlohmann/json.hpp>

#include "harness/case/case.h"
#include "harness/case/config_fields.h"
#include "harness/case/input_fields.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& field, const Json& value, const std::string& rule) {
  throw ConfigError("case." + field + " = " + value.dump() + ": " + rule);
}

std::int64_t integer(const std::string& field, const Json& value) {
  if (!value.is_number_integer()) refuse(field, value, "must be an integer");
  if (value.is_number_unsigned() && value.get<std::uint64_t>() > INT64_MAX) {
    refuse(field, value, "must be below 2^63");
  }
  return value.get<std::int64_t>();
}

FieldValue field_value(const std::string& field, const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return integer(field, value);
  if (value.is_number_float()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::vector<std::string> list;
    for (const Json& item : value) {
      if (!item.is_string()) refuse(field, value, "must be a list of strings");
      list.push_back(item.get<std::string>());
    }
    return list;
  }
  if (value.is_object()) {
    std::map<std::string, std::int64_t> map;
    for (const auto& [key, item] : value.items()) {
      map.emplace(key, integer(field + "." + key, item));
    }
    return map;
  }
  refuse(field, value, "is not a value");
}

FieldList field_list(const std::string& section, const Json& object) {
  if (!object.is_object()) refuse(section, object, "must be an object");
  FieldList fields;
  for (const auto& [key, value] : object.items())
    fields.emplace_back(key, field_value(section + "." + key, value));
  return fields;
}

Json to_json(const FieldList& fields) {
  Json object = Json::object();
  for (const auto& [key, value] : fields) {
    Json& member = object[key];
    std::visit([&member](const auto& content) { member = content; }, value);
  }
  return object;
}

double number(const std::string& field, const Json& value) {
  if (!value.is_number()) refuse(field, value, "must be a number");
  return value.get<double>();
}

std::optional<std::int64_t> optional_integer(const std::string& field, const Json& value) {
  return value.is_null() ? std::nullopt : std::optional(integer(field, value));
}

const Json& pair_of(const std::string& field, const Json& value) {
  if (!value.is_array() || value.size() != 2) refuse(field, value, "must be a pair");
  return value;
}

template <class Choice>
Choice choose(const std::string& field, const Json& value,
              const std::vector<std::pair<std::string, Choice>>& choices) {
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (value == name) return choice;
    names += (names.empty() ? "" : ", ") + name;
  }
  refuse(field, value, "must be one of " + names);
}

template <class Enum, std::size_t n>
Enum choose(const std::string& field, const Json& value, const Named<Enum> (&table)[n]) {
  std::vector<std::pair<std::string, Enum>> choices;
  for (const Named<Enum>& row : table) choices.emplace_back(row.name, row.value);
  return choose<Enum>(field, value, choices);
}

void read_adapter(Case& result, const Json& object) {
  FieldList fields;
  for (auto& [key, value] : field_list("adapter", object)) {
    if (key == "feature_dim") {
      result.architecture.feature_dim = integer("adapter.feature_dim", object.at(key));
    } else {
      fields.emplace_back(key, value);
    }
  }
  set_fields(result.architecture.adapter.emplace(), fields);
}

void read_generate(Case& result, const Json& object) {
  if (!object.is_object()) refuse("generate", object, "must be an object");
  for (const auto& [key, value] : object.items()) {
    const std::string field = "generate." + key;
    GenerateOptions& options = result.generate;
    if (key == "max_new_tokens") {
      options.max_new_tokens = integer(field, value);
    } else if (key == "eos_token_id") {
      options.eos_token_id = optional_integer(field, value);
    } else if (key == "temperature") {
      options.sampling.temperature = number(field, value);
    } else if (key == "top_k") {
      options.sampling.top_k = integer(field, value);
    } else if (key == "top_p") {
      options.sampling.top_p = number(field, value);
    } else {
      refuse(field, value, "unknown field");
    }
  }
}

void read_loss(Case& result, const Json& object) {
  if (!object.is_object()) refuse("loss", object, "must be an object");
  for (const auto& [key, value] : object.items()) {
    const std::string field = "loss." + key;
    if (key == "kind") {
      result.loss.kind = choose(field, value, kLossKinds);
    } else if (key == "chunk_size") {
      result.loss.chunk_size = integer(field, value);
    } else if (key == "z_loss_weight") {
      result.loss.z_loss_weight = number(field, value);
    } else {
      refuse(field, value, "unknown field");
    }
  }
}

void read_chunks(Case& result, const Json& array) {
  if (!array.is_array()) refuse("chunks", array, "must be a list of integers");
  for (const Json& chunk : array) result.chunks.push_back(integer("chunks", chunk));
}

void read_field(Case& result, const std::string& key, const Json& value) {
  Architecture& architecture = result.architecture;
  if (key == "model") {
    set_fields(architecture.model, field_list(key, value));
  } else if (key == "vlm") {
    set_fields(architecture.vlm.emplace(), field_list(key, value));
  } else if (key == "adapter") {
    read_adapter(result, value);
  } else if (key == "num_image_tokens") {
    architecture.num_image_tokens = integer(key, value);
  } else if (key == "inputs") {
    set_input_fields(result.inputs, field_list(key, value));
  } else if (key == "seed") {
    if (!value.is_number_unsigned()) refuse(key, value, "must be an integer, not negative");
    result.seed = value.get<std::uint64_t>();
  } else if (key == "mode") {
    result.train = choose<bool>(key, value, {{"eval", false}, {"train", true}});
  } else if (key == "dtype") {
    result.dtype = choose<Dtype>(key, value, {{"float32", Dtype::f32}, {"bfloat16", Dtype::bf16}});
  } else if (key == "run") {
    result.run = choose(key, value, kRunKinds);
  } else if (key == "output_slice") {
    const Json& pair = pair_of(key, value);
    result.output_slice = OutputSlice{optional_integer(key, pair[0]), optional_integer(key, pair[1])};
  } else if (key == "moe_step") {
    const Json& pair = pair_of(key, value);
    result.moe_step = MoeStep{integer(key, pair[0]), integer(key, pair[1])};
  } else if (key == "stages") {
    result.stages = integer(key, value);
  } else if (key == "chunks") {
    read_chunks(result, value);
  } else if (key == "generate") {
    read_generate(result, value);
  } else if (key == "loss") {
    read_loss(result, value);
  } else if (key == "mot_moe_totals") {
    if (!value.is_boolean()) refuse(key, value, "must be true or false");
    result.mot_moe_totals = value.get<bool>();
  } else if (key == "greedy_from") {
    const Json& pair = pair_of(key, value);
    result.greedy_from = integer(key, pair[0]);
    result.greedy_new_tokens = integer(key, pair[1]);
  } else {
    refuse(key, value, "unknown field");
  }
}

Json generate_json(const GenerateOptions& options) {
  Json object = {{"max_new_tokens", options.max_new_tokens}};
  if (options.eos_token_id) object["eos_token_id"] = *options.eos_token_id;
  const SamplingOptions defaults;
  if (options.sampling.temperature != defaults.temperature)
    object["temperature"] = options.sampling.temperature;
  if (options.sampling.top_k != defaults.top_k) object["top_k"] = options.sampling.top_k;
  if (options.sampling.top_p != defaults.top_p) object["top_p"] = options.sampling.top_p;
  return object;
}

Json optional_json(const std::optional<std::int64_t>& value) {
  return value ? Json(*value) : Json(nullptr);
}

}  // namespace

Case parse_case_json(std::string_view json) {
  const Json object = Json::parse(json, nullptr, false);
  if (object.is_discarded() || !object.is_object()) throw ConfigError("case: is not a JSON object");
  Case result;
  for (const auto& [key, value] : object.items()) read_field(result, key, value);
  validate(result);
  return result;
}

std::string case_json(const Case& value) {
  const Architecture& architecture = value.architecture;
  Json object = {{"model", to_json(changed_fields(architecture.model))},
                 {"seed", value.seed},
                 {"mode", value.train ? "train" : "eval"},
                 {"dtype", torch_name(value.dtype)},
                 {"run", to_string(value.run)}};
  if (architecture.vlm) {
    object["vlm"] = to_json(changed_fields(*architecture.vlm));
    object["vlm"]["arch"] = to_string(architecture.vlm->arch);
  }
  if (architecture.num_image_tokens != 0) object["num_image_tokens"] = architecture.num_image_tokens;
  if (architecture.adapter) {
    object["adapter"] = to_json(changed_fields(*architecture.adapter));
    object["adapter"]["type"] = to_string(architecture.adapter->type);
    object["adapter"]["feature_dim"] = architecture.feature_dim;
  }
  if (const FieldList inputs = changed_input_fields(value.inputs); !inputs.empty()) {
    object["inputs"] = to_json(inputs);
  }
  if (value.output_slice) {
    object["output_slice"] = {optional_json(value.output_slice->start),
                              optional_json(value.output_slice->stop)};
  }
  if (value.moe_step) object["moe_step"] = {value.moe_step->step, value.moe_step->max_steps};
  if (value.stages != 0) object["stages"] = value.stages;
  if (!value.chunks.empty()) object["chunks"] = value.chunks;
  if (value.run == RunKind::generate) object["generate"] = generate_json(value.generate);
  if (value.run == RunKind::loss || value.run == RunKind::gradients) {
    object["loss"] = {{"kind", to_string(value.loss.kind)}};
    if (value.loss.kind == LossKind::chunked_cross_entropy)
      object["loss"]["chunk_size"] = value.loss.chunk_size;
    if (value.loss.z_loss_weight != 0) object["loss"]["z_loss_weight"] = value.loss.z_loss_weight;
  }
  if (value.mot_moe_totals) object["mot_moe_totals"] = true;
  if (value.greedy_from != 0) object["greedy_from"] = {value.greedy_from, value.greedy_new_tokens};
  return object.dump();
}

}  // namespace forgecheck
