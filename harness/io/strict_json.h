// JSON from outside, read strictly: no key twice in an object, no unknown key where the keys are known, no
// wrong type, no number out of range. Every message names the file and the path of the value:
//
//   report.json: results[3].used: expected a number, got "x"
#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace forgecheck {

/// A value inside a document, which it refers to. Everything that it throws is a FormatError.
class JsonValue {
 public:
  JsonValue(const nlohmann::json& value, const std::string& source, std::string path)
      : value_(&value), source_(&source), path_(std::move(path)) {}

  const nlohmann::json& json() const { return *value_; }
  bool is_null() const { return value_->is_null(); }

  /// "<source>: <path>: <what>".
  [[noreturn]] void refuse(const std::string& what) const;
  /// "<source>: <path>: expected <what>, got <the value>".
  [[noreturn]] void expect(const std::string& what) const;

  /// That this is the number of a schema, in 1 .. newest. Of a newer one nothing else is to be read: its fields are unknown.
  void require_schema(std::int64_t newest) const;

  /// The members of an object, those whose value is null among them.
  std::vector<std::pair<std::string, JsonValue>> members() const;
  /// Refuses everything but an object whose keys are all among these; of an unknown key it names the nearest.
  void require_keys(const std::vector<std::string>& keys) const;
  /// A member that must be there, and one that need not be there.
  JsonValue at(const std::string& key) const;
  std::optional<JsonValue> find(const std::string& key) const;

  std::vector<JsonValue> items() const;
  std::string text() const;
  std::string text_among(const std::vector<std::string>& choices) const;
  double number() const;
  bool flag() const;
  std::int64_t integer(std::int64_t smallest = std::numeric_limits<std::int64_t>::min(),
                       std::int64_t largest = std::numeric_limits<std::int64_t>::max()) const;

 private:
  const nlohmann::json* value_;
  const std::string* source_;
  std::string path_;
};

/// A whole document, and where it comes from: a file, or the part of a file that messages name.
struct JsonDocument {
  std::string source;
  nlohmann::json value;

  JsonValue root(const std::string& path = "") const { return {value, source, path}; }
};

inline constexpr int kMaxJsonDepth = 64;  // no document of forgecheck needs more than 8

/// Throws FormatError "<source>: <path>: ..." on a key that is there twice, on a number that no double can
/// hold, and on more than `max_depth` levels; "<source>: is not valid JSON: ..." on everything else that is
/// not JSON.
JsonDocument parse_json(std::string_view text, const std::string& source, int max_depth = kMaxJsonDepth);

/// The document in a file, whose path is the source. Throws FormatError where it cannot be read, too.
JsonDocument read_json(const std::filesystem::path& path);

/// JSON text of a value for a message, cut where it is long.
std::string shown(const nlohmann::json& value);

}  // namespace forgecheck
