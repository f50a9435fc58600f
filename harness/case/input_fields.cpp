#include "harness/case/input_fields.h"

#include "reference/error.h"

namespace forgecheck {

namespace {

struct IntegerField {
  std::string_view name;
  std::int64_t SeededInputs::*member;
};
constexpr IntegerField kIntegers[] = {
    {"batch", &SeededInputs::batch},
    {"text_len", &SeededInputs::text_len},
    {"image_tokens", &SeededInputs::image_tokens},
    {"patches", &SeededInputs::patches},
    {"frames", &SeededInputs::frames},
    {"documents", &SeededInputs::documents},
};

struct FlagField {
  std::string_view name;
  bool SeededInputs::*member;
};
constexpr FlagField kFlags[] = {
    {"embeds", &SeededInputs::embeds},
    {"padding", &SeededInputs::padding},
    {"image_mask", &SeededInputs::image_mask},
    {"interleaved", &SeededInputs::interleaved},
    {"ignore_labels", &SeededInputs::ignore_labels},
};

[[noreturn]] void refuse(std::string_view key, const FieldValue& value, const std::string& rule) {
  throw ConfigError("inputs." + std::string(key) + " = " + format_value(value) + ": " + rule);
}

void set_input_field(SeededInputs& inputs, std::string_view key, const FieldValue& value) {
  for (const auto& [name, member] : kIntegers) {
    if (name != key) continue;
    const auto* integer = std::get_if<std::int64_t>(&value);
    if (integer == nullptr) refuse(key, value, "needs an integer");
    if (*integer < 0) refuse(key, value, "must not be negative");
    inputs.*member = *integer;
    return;
  }
  for (const auto& [name, member] : kFlags) {
    if (name != key) continue;
    const auto* flag = std::get_if<bool>(&value);
    if (flag == nullptr) refuse(key, value, "needs true or false");
    inputs.*member = *flag;
    return;
  }
  refuse(key, value, "unknown field");
}

}  // namespace

bool is_input_field(std::string_view key) {
  for (const auto& field : kIntegers) {
    if (field.name == key) return true;
  }
  for (const auto& field : kFlags) {
    if (field.name == key) return true;
  }
  return false;
}

void set_input_fields(SeededInputs& inputs, const FieldList& fields) {
  for (const auto& [key, value] : fields) set_input_field(inputs, key, value);
}

FieldList changed_input_fields(const SeededInputs& inputs) {
  const SeededInputs defaults;
  FieldList fields;
  for (const auto& [name, member] : kIntegers) {
    if (inputs.*member != defaults.*member) fields.emplace_back(name, inputs.*member);
  }
  for (const auto& [name, member] : kFlags) {
    if (inputs.*member != defaults.*member) fields.emplace_back(name, inputs.*member);
  }
  return fields;
}

}  // namespace forgecheck
