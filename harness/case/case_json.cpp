#include "harness/case/case_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "harness/case/case_fields.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;

/// The integers of a list, null where one is missing. None where it holds anything else.
std::optional<FieldValue> integers_of(const Json& array) {
  Integers integers;
  for (const Json& item : array) {
    const bool fits =
        item.is_number_integer() && (!item.is_number_unsigned() || item.get<std::uint64_t>() <= INT64_MAX);
    if (!fits && !item.is_null()) return std::nullopt;
    integers.push_back(fits ? std::optional(item.get<std::int64_t>()) : std::nullopt);
  }
  return integers;
}

std::optional<FieldValue> strings_of(const Json& array) {
  std::vector<std::string> strings;
  for (const Json& item : array) {
    if (!item.is_string()) return std::nullopt;
    strings.push_back(item.get<std::string>());
  }
  return strings;
}

std::optional<FieldValue> table_of(const Json& object) {
  std::map<std::string, std::int64_t> table;
  for (const auto& [key, item] : object.items()) {
    const std::optional<FieldValue> number = integers_of(Json::array({item}));
    if (!number || item.is_null()) return std::nullopt;
    table.emplace(key, item.get<std::int64_t>());
  }
  return table;
}

/// None where no field takes such a value.
std::optional<FieldValue> value_of(const CaseField& field, const Json& json) {
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX) return json.get<std::uint64_t>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number_float()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) return field.separator == '\0' ? strings_of(json) : integers_of(json);
  if (json.is_object()) return table_of(json);
  return std::nullopt;
}

struct JsonWriter {
  Json operator()(const Integers& integers) const {
    Json array = Json::array();
    for (const auto& integer : integers) array.push_back(integer ? Json(*integer) : Json(nullptr));
    return array;
  }
  template <class Content>
  Json operator()(const Content& content) const {
    return content;
  }
};

void read_field(Case& result, std::string_view section, const std::string& name, const JsonValue& value) {
  const CaseField* const field = find_field(result, section, name);
  if (field == nullptr) value.refuse(unknown_field(result, section, name));
  const std::optional<FieldValue> given = value_of(*field, value.json());
  if (!given || !field->set(result, *given)) value.expect(field->takes);
}

bool is_section(std::string_view name) {
  return std::ranges::any_of(case_fields(), [&](const CaseField& field) {
    return field.place != Place::file && !name.empty() && field.section == name;
  });
}

void read_section(Case& result, const std::string& section, const JsonValue& object) {
  if (section == "vlm") result.architecture.vlm.emplace();
  if (section == "adapter") result.architecture.adapter.emplace();
  // The architecture decides which other fields there are.
  const std::optional<JsonValue> arch = object.find("arch");
  if (arch && section == "vlm") read_field(result, section, "arch", *arch);
  for (const auto& [name, value] : object.members()) read_field(result, section, name, value);
}

}  // namespace

Case read_case(const JsonValue& object) {
  Case result;
  for (const auto& [name, value] : object.members()) {
    if (is_section(name)) {
      read_section(result, name, value);
    } else {
      read_field(result, "", name, value);
    }
  }
  validate(result);
  return result;
}

Json case_document(const Case& value) {
  Json document = {{"model", Json::object()}};  // which every case has
  for (const CaseField& field : case_fields()) {
    const std::optional<FieldValue> current = written_value(value, field, Form::json);
    if (!current || !is_in_use(value, field.section)) continue;
    Json& object = field.section.empty() ? document : document[field.section];
    object[field.name] = std::visit(JsonWriter{}, *current);
  }
  return document;
}

Case parse_case_json(std::string_view json) {
  return read_case(parse_json(json, "").root("case"));
}

std::string case_json(const Case& value) {
  return case_document(value).dump();
}

}  // namespace forgecheck
