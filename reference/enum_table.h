// One table for each enumeration that has a text form: every value once, in declaration order. Code that
// branches on an enumeration uses a switch without default, followed by throw_not_an_enumerator(), so that a
// new value fails to compile there (-Wswitch) and at the table (is_complete).
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include "reference/error.h"

namespace forgecheck {

template <class Enum>
struct Named {
  Enum value;
  std::string_view name;
};

/// Whether `value` is an enumerator: the compiler prints an enumerator by name, and any other number as a
/// cast, "(Enum)7".
template <auto value>
consteval bool is_enumerator() {
  const std::string_view text = __PRETTY_FUNCTION__;
  constexpr std::string_view kBefore = "value = ";
  return text[text.rfind(kBefore) + kBefore.size()] != '(';
}

template <class Enum>
constexpr Enum value_of(const Named<Enum>& row) {
  return row.value;
}
template <class Enum>
constexpr Enum value_of(Enum value) {
  return value;
}

/// Whether a table (or a list) holds every value of an enumeration that counts from 0, in order.
template <const auto& table>
consteval bool is_complete() {
  using Enum = decltype(value_of(table[0]));
  for (std::size_t i = 0; i < std::size(table); ++i) {
    if (value_of(table[i]) != static_cast<Enum>(i)) return false;
  }
  return is_enumerator<static_cast<Enum>(std::size(table) - 1)>() &&
         !is_enumerator<static_cast<Enum>(std::size(table))>();
}

/// Whether `list` holds every value of `table`, each any number of times.
template <class Enum, std::size_t n, std::size_t m>
consteval bool holds_all_of(const Enum (&list)[n], const Named<Enum> (&table)[m]) {
  for (const Named<Enum>& row : table) {
    bool found = false;
    for (const Enum value : list) found = found || value == row.value;
    if (!found) return false;
  }
  return true;
}

/// The name of `value`. Throws Error naming `what` if the table has none.
template <class Enum, std::size_t n>
std::string_view name_of(const Named<Enum> (&table)[n], const char* what, Enum value) {
  for (const Named<Enum>& row : table) {
    if (row.value == value) return row.name;
  }
  throw_not_an_enumerator(what, value);
}

}  // namespace forgecheck
