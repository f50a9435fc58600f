// How a row of the table of fields is made: from a section, a name and a member. Only case_fields.cpp
// includes this.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "harness/case/case_fields.h"
#include "harness/case/field_types.h"

namespace forgecheck {

/// A part of a case that holds the members of one section.
template <class Part>
struct Section {
  const char* name;
  Place place;
  const Part* (*find)(const Case&);  // null where the case has none
  Part& (*make)(Case&);              // made where the case has none
};

/// The architecture that a field of [vlm] belongs to, none for the fields of all: upstream has a class for
/// each architecture, and begins the names of its fields alike.
inline std::optional<VlmArch> arch_of(std::string_view name) {
  if (name.starts_with("cross_attention_")) return VlmArch::cross_attention;
  if (name.starts_with("mot_")) return VlmArch::mot;
  if (name.starts_with("moma_")) return VlmArch::moma;
  return std::nullopt;
}

/// A row of the table, and what may be said of it.
struct Row : CaseField {
  Row is(Written when) const {
    return with([=](Row& row) { row.written = when; });
  }
  Row at(Place where) const {
    return with([=](Row& row) { row.place = where; });
  }
  Row in(const char* other) const {
    return with([=](Row& row) { row.section = other; });
  }
  Row at_least(double value) const {
    return with([=](Row& row) { row.smallest = value; });
  }
  Row split_by(char c) const {
    return with([=](Row& row) { row.separator = c; });
  }

 private:
  template <class Change>
  Row with(const Change& change) const {
    Row row = *this;
    change(row);
    return row;
  }
};

/// What every row has. `Part` is made once more for the default.
template <class Part, class Get, class Set>
Row row(const Section<Part>& section, const char* name, std::string takes, const Get& get, const Set& set) {
  Row result;
  result.section = section.name;
  result.name = name;
  result.text_name = result.section == "adapter" ? fmt::format("adapter.{}", name) : name;
  result.place = section.place;
  result.takes = std::move(takes);
  if (result.section == "vlm") result.arch = arch_of(name);
  result.default_value = get(Part{});
  result.get = [section, get](const Case& value) -> std::optional<FieldValue> {
    const Part* part = section.find(value);
    return part == nullptr ? std::nullopt : get(*part);
  };
  result.set = [section, set](Case& value, const FieldValue& given) {
    return set(section.make(value), given);
  };
  return result;
}

template <class Part, class T>
Row field(const Section<Part>& section, const char* name, T Part::*member) {
  return row(
      section, name, std::string(FieldType<T>::takes),
      [member](const Part& part) { return FieldType<T>::value(part.*member); },
      [member](Part& part, const FieldValue& given) {
        std::optional<T> value = FieldType<T>::read(given);
        if (!value) return false;
        part.*member = *std::move(value);
        return true;
      });
}

/// A member whose values have names.
template <class Part, class T>
Row choice(const Section<Part>& section, const char* name, T Part::*member,
           const std::vector<std::pair<std::string, T>>& choices) {
  std::vector<std::string> names;
  for (const auto& [text, value] : choices) names.push_back(text);
  return row(
      section, name, fmt::format("one of {}", fmt::join(names, ", ")),
      [member, choices](const Part& part) -> std::optional<FieldValue> {
        for (const auto& [text, value] : choices) {
          if (value == part.*member) return text;
        }
        return std::nullopt;
      },
      [member, choices](Part& part, const FieldValue& given) {
        for (const auto& [text, value] : choices) {
          if (given != FieldValue(text)) continue;
          part.*member = value;
          return true;
        }
        return false;
      });
}

/// The rows of an enumeration's table.
template <class Enum, std::size_t n>
std::vector<std::pair<std::string, Enum>> named(const Named<Enum> (&table)[n]) {
  std::vector<std::pair<std::string, Enum>> choices;
  for (const Named<Enum>& row : table) choices.emplace_back(row.name, row.value);
  return choices;
}

}  // namespace forgecheck
