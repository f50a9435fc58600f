#include "harness/case/config_value.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "reference/error.h"

namespace forgecheck {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_word_part(char c) {
  return is_letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.';
}

/// Whether a string needs no quotes.
bool is_word(std::string_view text) {
  if (text == "true" || text == "false" || text == "inf" || text == "nan") return false;
  return !text.empty() && is_letter(text.front()) && std::all_of(text.begin(), text.end(), is_word_part);
}

std::string format_string(const std::string& value) {
  if (is_word(value)) return value;
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '\n') {
      quoted += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

/// Python's repr: the shortest digits, an exponent below 1e-4 and from 1e16 on, and always a sign of being a
/// double (".0" or an exponent).
std::string format_double(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  std::array<char, 64> buffer{};
  const double size = std::abs(value);
  const bool fixed = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = fixed ? std::chars_format::fixed : std::chars_format::scientific;
  char* const end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, format).ptr;
  std::string text(buffer.data(), end);
  if (fixed && text.find('.') == std::string::npos) text += ".0";
  return text;
}

[[noreturn]] void fail(std::string_view text, const std::string& why) {
  throw ConfigError(fmt::format("\"{}\": {}", text, why));
}

/// Reads a text from left to right; every function begins at `rest` and removes what it read.
class Reader {
 public:
  explicit Reader(std::string_view text) : whole_(text), rest_(text) {}

  bool done() const { return rest_.empty(); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(whole_, fmt::format("expected '{}' before \"{}\"", c, rest_));
  }
  FieldValue value();
  /// A quoted or bare string; a bare one must be a word.
  std::string string(const char* what);

 private:
  /// Everything before the next character that ends a bare value.
  std::string_view bare() {
    const std::string_view text = rest_.substr(0, rest_.find_first_of(",]}=\"[{"));
    rest_.remove_prefix(text.size());
    return text;
  }
  std::string quoted();
  std::vector<std::string> list();
  std::map<std::string, std::int64_t> map();
  FieldValue scalar();

  std::string_view whole_;
  std::string_view rest_;
};

/// After the opening quote.
std::string Reader::quoted() {
  std::string text;
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == '"') return text;
    if (c != '\\') {
      text += c;
    } else if (take('n')) {
      text += '\n';
    } else if (take('"')) {
      text += '"';
    } else if (take('\\')) {
      text += '\\';
    } else {
      fail(whole_, "a backslash must be followed by n, a quote or a backslash");
    }
  }
  fail(whole_, "a quote is not closed");
}

std::string Reader::string(const char* what) {
  if (take('"')) return quoted();
  const std::string_view text = bare();
  if (!is_word(text)) fail(whole_, fmt::format("{} \"{}\" must be a word or quoted", what, text));
  return std::string(text);
}

std::vector<std::string> Reader::list() {
  std::vector<std::string> items;
  if (take(']')) return items;
  do {
    items.push_back(string("the list entry"));
  } while (take(','));
  expect(']');
  return items;
}

std::map<std::string, std::int64_t> Reader::map() {
  std::map<std::string, std::int64_t> entries;
  if (take('}')) return entries;
  do {
    const std::string key = string("the key");
    expect('=');
    const FieldValue number = scalar();
    if (!std::holds_alternative<std::int64_t>(number)) fail(whole_, key + " needs an integer");
    if (!entries.emplace(key, std::get<std::int64_t>(number)).second) fail(whole_, key + " is given twice");
  } while (take(','));
  expect('}');
  return entries;
}

FieldValue Reader::scalar() {
  const std::string_view text = bare();
  if (text == "true") return true;
  if (text == "false") return false;
  if (is_word(text)) return std::string(text);
  const char* const end = text.data() + text.size();
  std::int64_t integer = 0;
  const auto as_integer = std::from_chars(text.data(), end, integer);
  if (!text.empty() && as_integer.ec == std::errc() && as_integer.ptr == end) return integer;
  const bool too_large = as_integer.ec == std::errc::result_out_of_range && as_integer.ptr == end;
  double number = 0;
  const auto as_double = std::from_chars(text.data(), end, number);
  if (!too_large && !text.empty() && as_double.ec == std::errc() && as_double.ptr == end) return number;
  fail(whole_, too_large ? "is past the range of 64-bit integers"
                         : fmt::format("\"{}\" is neither a number nor a word", text));
}

FieldValue Reader::value() {
  if (take('"')) return quoted();
  if (take('[')) return list();
  if (take('{')) return map();
  return scalar();
}

}  // namespace

std::string format_value(const FieldValue& value) {
  struct Formatter {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return fmt::to_string(v); }
    std::string operator()(std::uint64_t v) const { return fmt::to_string(v); }
    std::string operator()(double v) const { return format_double(v); }
    std::string operator()(const std::string& v) const { return format_string(v); }
    std::string operator()(const std::vector<std::string>& items) const {
      std::string text;
      for (const auto& item : items) text += (text.empty() ? "" : ",") + format_string(item);
      return "[" + text + "]";
    }
    std::string operator()(const std::map<std::string, std::int64_t>& entries) const {
      std::string text;
      for (const auto& [key, number] : entries) {
        text += fmt::format("{}{}={}", text.empty() ? "" : ",", format_string(key), number);
      }
      return "{" + text + "}";
    }
    std::string operator()(const Integers& integers) const {
      std::string text;
      for (const auto& integer : integers) {
        text += (text.empty() ? "" : ",") + (integer ? fmt::to_string(*integer) : "null");
      }
      return "[" + text + "]";
    }
  };
  return std::visit(Formatter{}, value);
}

FieldValue parse_value(std::string_view text) {
  Reader reader(text);
  FieldValue value = reader.value();
  if (!reader.done()) fail(text, "has more after its value");
  return value;
}

std::string format_fields(const FieldList& fields) {
  std::string text;
  for (const auto& [key, value] : fields) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", key, format_value(value));
  }
  return text;
}

FieldList parse_fields(std::string_view text) {
  FieldList fields;
  if (text.empty()) return fields;
  Reader reader(text);
  do {
    const std::string key = reader.string("the key");
    reader.expect('=');
    for (const auto& field : fields) {
      if (field.first == key) fail(text, key + " is given twice");
    }
    fields.emplace_back(key, reader.value());
  } while (reader.take(','));
  if (!reader.done()) fail(text, "expected a comma between fields");
  return fields;
}

}  // namespace forgecheck
