// What is done with the table of fields: finding one by name, setting it, and deciding what is written.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "harness/case/case_fields.h"
#include "harness/case/nearest_name.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

/// Whether a case of this architecture has the field.
bool has_field(const Case& value, const CaseField& field) {
  return !field.arch || (value.architecture.vlm && value.architecture.vlm->arch == *field.arch);
}

/// "model.dim"; of the case itself "case.seed".
std::string full_name(std::string_view section, std::string_view name) {
  return fmt::format("{}.{}", section.empty() ? "case" : section, name);
}

struct Number {
  double value;
  std::string text;  // every digit of it
};

/// The numbers of a value that has any.
std::vector<Number> numbers_of(const FieldValue& value) {
  const auto number = [](auto x) { return Number{static_cast<double>(x), fmt::format("{}", x)}; };
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return {number(*integer)};
  if (const auto* real = std::get_if<double>(&value)) return {number(*real)};
  std::vector<Number> numbers;
  if (const auto* integers = std::get_if<Integers>(&value)) {
    for (const auto& integer : *integers) {
      if (integer) numbers.push_back(number(*integer));
    }
  }
  return numbers;
}

}  // namespace

const CaseField* find_field(const Case& value, std::string_view section, std::string_view name) {
  for (const CaseField& field : case_fields()) {
    if (field.section == section && field.name == name) return has_field(value, field) ? &field : nullptr;
  }
  return nullptr;
}

std::string unknown_field(const Case& value, std::string_view section, std::string_view name) {
  std::vector<std::string> names;
  for (const CaseField& field : case_fields()) {
    if (section.empty() && field.place != Place::file)
      names.push_back(field.section);  // the case has it, too
    if (field.section != section) continue;
    if (has_field(value, field)) names.push_back(field.name);
    if (field.name == name && field.arch) {
      return fmt::format("unknown field, it belongs to {}.arch = {}", section, to_string(*field.arch));
    }
  }
  const std::string nearest = nearest_name(name, names);
  return nearest.empty() ? "unknown field" : fmt::format("unknown field, did you mean {}?", nearest);
}

void set_field(Case& value, std::string_view section, std::string_view name, const FieldValue& given) {
  const auto refuse = [&](const std::string& rule) {
    throw ConfigError(fmt::format("{} = {}: {}", full_name(section, name), format_value(given), rule));
  };
  const CaseField* const field = find_field(value, section, name);
  if (field == nullptr) return refuse(unknown_field(value, section, name));
  if (!field->set(value, given)) refuse(fmt::format("needs {}", field->takes));
}

std::optional<FieldValue> written_value(const Case& value, const CaseField& field, Form form) {
  if (field.place == Place::file || !has_field(value, field)) return std::nullopt;
  std::optional<FieldValue> current = field.get(value);
  const auto is_written = [&] {
    const bool changed = current != field.default_value;
    switch (field.written) {
      case Written::where_changed:
        return changed;
      case Written::always:
        return true;
      case Written::always_in_text:
        return changed || form == Form::text;
      case Written::always_in_json:
        return changed || form == Form::json;
      case Written::where_chunked:
        return value.loss.kind == LossKind::chunked_cross_entropy;
    }
    throw ConfigError(fmt::format("field {}: nobody knows when it is written", field.name));
  };
  return current && is_written() ? current : std::nullopt;
}

bool is_in_use(const Case& value, std::string_view section) {
  if (section == "generate") return value.run == RunKind::generate;
  if (section == "loss") return value.run == RunKind::loss || value.run == RunKind::gradients;
  return true;
}

void validate_ranges(const Case& value) {
  for (const CaseField& field : case_fields()) {
    if (!field.smallest) continue;
    const std::optional<FieldValue> current = field.get(value);
    for (const Number& number : current ? numbers_of(*current) : std::vector<Number>()) {
      const bool finite = std::isfinite(number.value);
      if (number.value >= *field.smallest && finite) continue;
      throw ConfigError(fmt::format("{} = {}: must be {}at least {}", full_name(field.section, field.name),
                                    number.text, finite ? "" : "finite and ", *field.smallest));
    }
  }
}

}  // namespace forgecheck
