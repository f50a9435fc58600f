#include "harness/io/strict_json.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "harness/case/nearest_name.h"
#include "harness/io/mapped_file.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

using Json = nlohmann::json;

std::string joined(const std::string& source, const std::string& path, const std::string& what) {
  return fmt::format("{}{}{}{}{}", source, source.empty() ? "" : ": ", path, path.empty() ? "" : ": ", what);
}

std::string shortened(const std::string& text, std::size_t end) {
  if (text.size() <= end) return text;
  while ((text[end] & 0xc0) == 0x80) --end;  // not inside a UTF-8 sequence
  return text.substr(0, end) + "...";
}

/// The path of a member: a key that is no plain word is quoted, as in header["layers.0.norm.weight"].shape.
std::string member_path(const std::string& path, const std::string& key) {
  constexpr std::string_view kWord = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  const bool word = !key.empty() && key.find_first_not_of(kWord) == std::string::npos;
  if (!word) return fmt::format("{}[{}]", path, shown(key));
  return path.empty() ? key : path + "." + key;
}

/// Builds the document and always knows where in it the parser is.
class Builder : public nlohmann::json_sax<Json> {
 public:
  Builder(const std::string& source, int max_depth) : source_(source), max_depth_(max_depth) {}

  Json take() { return std::move(root_); }

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t&) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }  // JSON text has none
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }

  bool key(string_t& key) override {
    Level& level = levels_.back();
    level.path = member_path(level.own_path, key);
    if (level.value->contains(key)) refuse("is given twice");
    level.key = key;
    return true;
  }

  bool parse_error(std::size_t, const std::string& token, const Json::exception& error) override {
    constexpr int kNumberOverflow = 406;
    if (error.id == kNumberOverflow) {
      step();
      refuse(fmt::format("the number {} is too large", token));
    }
    std::string reason = error.what();  // "[json.exception.parse_error.101] parse error at line 1, ..."
    if (const std::size_t end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
    throw FormatError(joined(source_, "", fmt::format("is not valid JSON: {}", shortened(reason, 200))));
  }

 private:
  /// An object or array that is not closed yet.
  struct Level {
    Json* value;
    std::string own_path;
    std::string key;   // of the member that comes next
    std::string path;  // of the member or element that comes next
  };

  [[noreturn]] void refuse(const std::string& what) const {
    throw FormatError(joined(source_, levels_.empty() ? "" : levels_.back().path, what));
  }

  /// Sets the path of the next element of an array; that of a member was set with its key.
  void step() {
    if (levels_.empty() || !levels_.back().value->is_array()) return;
    levels_.back().path = fmt::format("{}[{}]", levels_.back().own_path, levels_.back().value->size());
  }

  template <class Value>
  Json* add(Value&& value) {
    step();
    if (levels_.empty()) {
      root_ = std::forward<Value>(value);
      return &root_;
    }
    Level& level = levels_.back();
    Json& place = level.value->is_array() ? level.value->emplace_back() : (*level.value)[level.key];
    place = std::forward<Value>(value);
    return &place;
  }

  template <class Value>
  bool put(Value&& value) {
    add(std::forward<Value>(value));
    return true;
  }

  bool open(Json empty) {
    Json* const value = add(std::move(empty));
    const std::string path = levels_.empty() ? "" : levels_.back().path;
    levels_.push_back({value, path, "", path});
    if (std::ssize(levels_) > max_depth_) {
      throw FormatError(joined(source_, "", fmt::format("is nested more than {} levels deep", max_depth_)));
    }
    return true;
  }

  bool close() {
    levels_.pop_back();
    return true;
  }

  const std::string& source_;
  const int max_depth_;
  Json root_;
  std::vector<Level> levels_;
};

}  // namespace

std::string shown(const Json& value) {
  return shortened(value.dump(-1, ' ', false, Json::error_handler_t::replace), 120);
}

JsonDocument parse_json(std::string_view text, const std::string& source, int max_depth) {
  // The parser would take a NUL byte for the end of the text and ignore what follows.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) {
    throw FormatError(joined(source, "", fmt::format("has a NUL byte at offset {}", nul)));
  }
  Builder builder(source, max_depth);
  Json::sax_parse(text.begin(), text.end(), &builder);
  return {source, builder.take()};
}

JsonDocument read_json(const std::filesystem::path& path) {
  const MappedFile file = map_file(path);
  refuse_lfs_pointer(path, text_of(file));
  return parse_json(text_of(file), path.string());
}

void JsonValue::refuse(const std::string& what) const {
  throw FormatError(joined(*source_, path_, what));
}

void JsonValue::expect(const std::string& what) const {
  refuse(fmt::format("expected {}, got {}", what, shown(*value_)));
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::members() const {
  if (!value_->is_object()) expect("an object");
  std::vector<std::pair<std::string, JsonValue>> result;
  for (const auto& [key, value] : value_->items()) {
    result.emplace_back(key, JsonValue(value, *source_, member_path(path_, key)));
  }
  return result;
}

void JsonValue::require_keys(const std::vector<std::string>& keys) const {
  for (const auto& [key, value] : members()) {
    if (std::ranges::find(keys, key) != keys.end()) continue;
    const std::string nearest = nearest_name(key, keys);
    value.refuse(nearest.empty() ? fmt::format("unknown field, expected one of {}", fmt::join(keys, ", "))
                                 : fmt::format("unknown field, did you mean {}?", nearest));
  }
}

JsonValue JsonValue::at(const std::string& key) const {
  if (const std::optional<JsonValue> member = find(key)) return *member;
  throw FormatError(joined(*source_, member_path(path_, key), "is missing"));
}

std::optional<JsonValue> JsonValue::find(const std::string& key) const {
  if (!value_->is_object()) expect("an object");
  const auto member = value_->find(key);
  if (member == value_->end()) return std::nullopt;
  return JsonValue(*member, *source_, member_path(path_, key));
}

std::vector<JsonValue> JsonValue::items() const {
  if (!value_->is_array()) expect("a list");
  std::vector<JsonValue> result;
  for (std::size_t i = 0; i < value_->size(); ++i) {
    result.emplace_back((*value_)[i], *source_, fmt::format("{}[{}]", path_, i));
  }
  return result;
}

std::string JsonValue::text() const {
  if (!value_->is_string()) expect("a text");
  return value_->get<std::string>();
}

std::string JsonValue::text_among(const std::vector<std::string>& choices) const {
  if (!value_->is_string() ||
      std::ranges::find(choices, value_->get_ref<const std::string&>()) == choices.end()) {
    expect(fmt::format("one of {}", fmt::join(choices, ", ")));
  }
  return value_->get<std::string>();
}

double JsonValue::number() const {
  if (!value_->is_number()) expect("a number");
  return value_->get<double>();
}

bool JsonValue::flag() const {
  if (!value_->is_boolean()) expect("true or false");
  return value_->get<bool>();
}

void JsonValue::require_schema(std::int64_t newest) const {
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > static_cast<std::uint64_t>(newest)) {
    refuse(
        fmt::format("is {}, of a newer forgecheck; this one reads {}", value_->get<std::uint64_t>(), newest));
  }
  (void)integer(1, newest);
}

std::int64_t JsonValue::integer(std::int64_t smallest, std::int64_t largest) const {
  constexpr auto kLargest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  const bool fits =
      value_->is_number_unsigned() ? value_->get<std::uint64_t>() <= kLargest : value_->is_number_integer();
  if (fits && value_->get<std::int64_t>() >= smallest && value_->get<std::int64_t>() <= largest) {
    return value_->get<std::int64_t>();
  }
  if (smallest == largest) expect(fmt::to_string(smallest));
  const bool any_size = smallest == std::numeric_limits<std::int64_t>::min();
  const bool bounded = largest != std::numeric_limits<std::int64_t>::max();
  if (bounded) expect(fmt::format("an integer from {} to {}", smallest, largest));
  expect(any_size ? "an integer below 2^63" : fmt::format("an integer from {} to 2^63 - 1", smallest));
}

}  // namespace forgecheck
