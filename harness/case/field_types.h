// What a field takes, by the type of its member: in words, from a FieldValue, and back.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/case/case.h"
#include "harness/case/config_value.h"

namespace forgecheck {

/// `takes`: in words, as messages need it. `read`: none where the value is of another type. `value`: none
/// where the member has no value.
template <class T>
struct FieldType {
  static constexpr std::string_view takes = std::is_same_v<T, bool>          ? "true or false"
                                            : std::is_same_v<T, std::string> ? "a string"
                                            : std::is_same_v<T, std::vector<std::string>>
                                                ? "a list of strings"
                                                : "a table of integers";

  static std::optional<T> read(const FieldValue& given) {
    const T* value = std::get_if<T>(&given);
    return value == nullptr ? std::nullopt : std::optional(*value);
  }
  static std::optional<FieldValue> value(const T& member) { return member; }
};

template <>
struct FieldType<std::int64_t> {
  static constexpr std::string_view takes = "an integer";
  static std::optional<std::int64_t> read(const FieldValue& given) {
    const auto* value = std::get_if<std::int64_t>(&given);
    return value == nullptr ? std::nullopt : std::optional(*value);
  }
  static std::optional<FieldValue> value(std::int64_t member) { return member; }
};

template <>
struct FieldType<std::uint64_t> {
  static constexpr std::string_view takes = "an integer in 0 .. 2^64 - 1";
  static std::optional<std::uint64_t> read(const FieldValue& given) {
    if (const auto* value = std::get_if<std::uint64_t>(&given)) return *value;
    const auto* value = std::get_if<std::int64_t>(&given);
    if (value == nullptr || *value < 0) return std::nullopt;
    return static_cast<std::uint64_t>(*value);
  }
  static std::optional<FieldValue> value(std::uint64_t member) { return member; }
};

template <>
struct FieldType<double> {
  static constexpr std::string_view takes = "a number";
  static std::optional<double> read(const FieldValue& given) {
    if (const auto* integer = std::get_if<std::int64_t>(&given)) return static_cast<double>(*integer);
    const auto* value = std::get_if<double>(&given);
    return value == nullptr ? std::nullopt : std::optional(*value);
  }
  static std::optional<FieldValue> value(double member) { return member; }
};

template <>
struct FieldType<std::optional<std::int64_t>> {
  static constexpr std::string_view takes = "an integer";
  static std::optional<std::optional<std::int64_t>> read(const FieldValue& given) {
    const auto value = FieldType<std::int64_t>::read(given);
    if (!value) return std::nullopt;
    return value;
  }
  static std::optional<FieldValue> value(const std::optional<std::int64_t>& member) {
    return member ? std::optional<FieldValue>(*member) : std::nullopt;
  }
};

template <>
struct FieldType<std::vector<std::int64_t>> {
  static constexpr std::string_view takes = "a list of integers";
  static std::optional<std::vector<std::int64_t>> read(const FieldValue& given) {
    const auto* integers = std::get_if<Integers>(&given);
    if (integers == nullptr) return std::nullopt;
    std::vector<std::int64_t> result;
    for (const std::optional<std::int64_t>& integer : *integers) {
      if (!integer) return std::nullopt;
      result.push_back(*integer);
    }
    return result;
  }
  static std::optional<FieldValue> value(const std::vector<std::int64_t>& member) {
    return Integers(member.begin(), member.end());
  }
};

/// Two integers, both given.
inline std::optional<std::pair<std::int64_t, std::int64_t>> read_pair(const FieldValue& given) {
  const auto integers = FieldType<std::vector<std::int64_t>>::read(given);
  if (!integers || integers->size() != 2) return std::nullopt;
  return std::pair((*integers)[0], (*integers)[1]);
}

template <>
struct FieldType<std::optional<MoeStep>> {
  static constexpr std::string_view takes = "a pair of integers";
  static std::optional<std::optional<MoeStep>> read(const FieldValue& given) {
    const auto pair = read_pair(given);
    if (!pair) return std::nullopt;
    return MoeStep{pair->first, pair->second};
  }
  static std::optional<FieldValue> value(const std::optional<MoeStep>& member) {
    return member ? std::optional<FieldValue>(Integers{member->step, member->max_steps}) : std::nullopt;
  }
};

template <>
struct FieldType<std::optional<OutputSlice>> {
  static constexpr std::string_view takes = "a pair of integers, either of which may be missing";
  static std::optional<std::optional<OutputSlice>> read(const FieldValue& given) {
    const auto* pair = std::get_if<Integers>(&given);
    if (pair == nullptr || pair->size() != 2) return std::nullopt;
    return OutputSlice{(*pair)[0], (*pair)[1]};
  }
  static std::optional<FieldValue> value(const std::optional<OutputSlice>& member) {
    return member ? std::optional<FieldValue>(Integers{member->start, member->stop}) : std::nullopt;
  }
};

}  // namespace forgecheck
