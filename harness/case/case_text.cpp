// The one-line text form of a case, read and written by the table of fields.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "harness/case/case.h"
#include "harness/case/case_fields.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::array<std::string_view, 6> kArchitectures = {"dense",           "moe", "joint_decoder",
                                                            "cross_attention", "mot", "moma"};

[[noreturn]] void refuse(std::string_view segment, const std::string& rule) {
  throw ConfigError(fmt::format("case segment \"{}\": {}", segment, rule));
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

template <class Integer>
std::optional<Integer> parse_integer(std::string_view text) {
  Integer value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(value) : std::nullopt;
}

// ---- one value ----

/// "6+1+1" and "2:-1": integers with a separator between them, an empty one missing. None where the text is
/// not that.
std::optional<FieldValue> parse_integers(std::string_view text, char separator) {
  Integers integers;
  for (const std::string_view part : split(text, separator)) {
    integers.push_back(parse_integer<std::int64_t>(part));
    if (!part.empty() && !integers.back()) return std::nullopt;
  }
  return integers;
}

std::optional<FieldValue> parse_field(const CaseField& field, std::string_view text) {
  if (field.separator != '\0') return parse_integers(text, field.separator);
  // Seeds may be past the integers of parse_value.
  if (const auto integer = parse_integer<std::uint64_t>(text); integer && *integer > INT64_MAX)
    return *integer;
  try {
    return parse_value(text);
  } catch (const ConfigError&) {
    return std::nullopt;
  }
}

std::string format_field(const CaseField& field, const FieldValue& value) {
  if (field.separator == '\0') return format_value(value);
  std::string text;
  for (const auto& integer : std::get<Integers>(value)) {
    text += (integer ? fmt::to_string(*integer) : "") + field.separator;
  }
  text.pop_back();
  return text;
}

// ---- reading ----

const CaseField* field_in_text(Place place, std::string_view name) {
  const auto found = std::ranges::find_if(
      case_fields(), [&](const CaseField& field) { return field.place == place && field.text_name == name; });
  return found == case_fields().end() ? nullptr : &*found;
}

/// A field inside the brackets. Names of [vlm] are those of [model] where the model has no [vlm].
void read_bracket_field(Case& result, const std::string& name, const FieldValue& value) {
  const CaseField* const field = field_in_text(Place::brackets, name);
  const bool usable = field != nullptr && (field->section != "vlm" || result.architecture.vlm);
  if (usable) return set_field(result, field->section, field->name, value);
  constexpr std::string_view kAdapterPrefix = "adapter.";
  if (name.starts_with(kAdapterPrefix))
    return set_field(result, "adapter", name.substr(kAdapterPrefix.size()), value);
  set_field(result, "model", name, value);  // throws: it has no such field
}

/// "arch[fields]" of the first segment.
void read_architecture(Case& result, std::string_view head) {
  const std::size_t bracket = head.find('[');
  const std::string_view arch = head.substr(0, bracket);
  if (std::ranges::find(kArchitectures, arch) == kArchitectures.end()) {
    refuse(head, fmt::format("unknown architecture \"{}\", expected one of {}", arch,
                             fmt::join(kArchitectures, ", ")));
  }
  std::string_view inside;
  if (bracket != std::string_view::npos) {
    if (head.back() != ']') refuse(head, "the '[' is not closed by a ']' at its end");
    inside = head.substr(bracket + 1, head.size() - bracket - 2);
  }
  if (arch != "dense" && arch != "moe") set_field(result, "vlm", "arch", std::string(arch));
  for (const auto& [name, value] : parse_fields(inside)) read_bracket_field(result, name, value);
  const Architecture& architecture = result.architecture;
  if (!architecture.vlm && arch != arch_name(architecture)) {
    refuse(head, fmt::format("num_experts = {} makes it {}", architecture.model.num_experts,
                             arch_name(architecture)));
  }
}

/// Sets a field from the text of its value.
void read_field(Case& result, const CaseField& field, std::string_view segment, std::string_view text) {
  const std::optional<FieldValue> value = parse_field(field, text);
  if (value && field.set(result, *value)) return;
  const std::string between =
      field.separator == '\0' ? "" : fmt::format(" with '{}' between them", field.separator);
  refuse(segment, fmt::format("needs {}{}", field.takes, between));
}

/// "generate=5,top_k=3", the run being set: its first field under the run's name, then others of its section.
void read_run(Case& result, std::string_view segment, std::string_view name, std::string_view text) {
  if (result.run == RunKind::forward) refuse(segment, "the run forward has no fields");
  if (result.run == RunKind::decode) {
    return read_field(result, *find_field(result, "", "chunks"), segment, text);
  }
  const std::string section = result.run == RunKind::generate ? "generate" : "loss";
  const std::string first = result.run == RunKind::generate ? "max_new_tokens" : "kind";
  for (const auto& [key, value] : parse_fields(segment)) {
    if (key == first) refuse(segment, fmt::format("{} is given twice, {} is its value", first, name));
    set_field(result, section, key == name ? first : key, value);
  }
}

/// Reads a segment, and returns the names of what it decides.
std::vector<std::string> read_segment(Case& result, std::string_view segment) {
  const std::size_t equals = segment.find('=');
  const std::string_view name = segment.substr(0, equals);
  if (equals == std::string_view::npos) {
    const FieldValue word = std::string(segment);
    for (const CaseField& field : case_fields()) {
      const bool is_word = field.place == Place::word || (field.name == "run" && segment == "forward");
      if (is_word && field.set(result, word)) return {field.name};
    }
    refuse(segment, "unknown segment");
  }
  const std::string_view text = segment.substr(equals + 1);
  if (const CaseField* const field = field_in_text(Place::segment, name)) {
    read_field(result, *field, segment, text);
    return {field->name};
  }
  if (field_in_text(Place::sizes, name) != nullptr) {
    std::vector<std::string> names;
    for (const auto& [key, value] : parse_fields(segment)) {
      set_field(result, "inputs", key, value);
      names.push_back(key);
    }
    return names;
  }
  if (!find_field(result, "", "run")->set(result, std::string(name))) refuse(segment, "unknown segment");
  read_run(result, segment, name, text);
  return {"run"};
}

/// Splits at '/', which occurs nowhere inside a segment but in quoted strings of the first.
std::vector<std::string_view> segments_of(std::string_view text) {
  const std::size_t bracket = text.rfind(']');
  const std::size_t from = bracket == std::string_view::npos ? 0 : bracket;
  const std::size_t slash = text.find('/', from);
  std::vector<std::string_view> segments = {text.substr(0, slash)};
  if (slash != std::string_view::npos) {
    for (const std::string_view segment : split(text.substr(slash + 1), '/')) segments.push_back(segment);
  }
  return segments;
}

// ---- writing ----

/// Whether the segment of the run has the field, which belongs to that run.
bool is_of_run(const Case& value, const CaseField& field) {
  return field.section.empty() ? value.run == RunKind::decode : is_in_use(value, field.section);
}

}  // namespace

Case parse_case_text(std::string_view text) {
  Case result;
  const auto segments = segments_of(text);
  read_architecture(result, segments[0]);
  std::set<std::string> decided;
  for (std::size_t i = 1; i < segments.size(); ++i) {
    for (const std::string& name : read_segment(result, segments[i])) {
      if (!decided.insert(name).second) refuse(segments[i], fmt::format("{} is given twice", name));
    }
  }
  validate(result);
  return result;
}

std::string case_text(const Case& value) {
  std::vector<std::string> brackets, segments;
  Place last = Place::name;
  for (const CaseField& field : case_fields()) {
    if (field.place == Place::name || (field.place == Place::run && !is_of_run(value, field))) continue;
    const std::optional<FieldValue> current = written_value(value, field, Form::text);
    if (!current) continue;
    std::string text = format_field(field, *current);
    const bool first = field.place != last;
    if (field.place != Place::word) {
      const bool names_run = field.place == Place::run && first;
      text = fmt::format("{}={}", names_run ? to_string(value.run) : field.text_name, text);
    }
    if (field.place == Place::brackets) {
      brackets.push_back(text);
    } else if (!first && (field.place == Place::sizes || field.place == Place::run)) {
      segments.back() += "," + text;
    } else {
      segments.push_back(text);
    }
    last = field.place;
  }
  const std::string inside = brackets.empty() ? "" : fmt::format("[{}]", fmt::join(brackets, ","));
  return fmt::format("{}{}/{}", arch_name(value.architecture), inside, fmt::join(segments, "/"));
}

}  // namespace forgecheck
