// The value of a field, whatever its type, and its text in the one-line form of a case: true, 64, 1e-05,
// silu, [image,text], {image=2,text=3}, "any text".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace forgecheck {

/// Integers of a list, some of which may be missing: [5,null] in JSON, "5:" in text.
using Integers = std::vector<std::optional<std::int64_t>>;

using FieldValue = std::variant<bool, std::int64_t, std::uint64_t, double, std::string,
                                std::vector<std::string>, std::map<std::string, std::int64_t>, Integers>;
using FieldList = std::vector<std::pair<std::string, FieldValue>>;

/// The shortest text that parse_value reads back as the same value of the same type. Doubles are written as
/// Python writes them ("1e-05", "0.5", "500000.0"). A string is quoted only where its bare form would be read
/// as something else: where it is not a word of letters, digits, '_', '-' and '.' that begins with a letter
/// or '_', or where it is true, false, inf or nan. Integers are written as JSON writes them, for messages:
/// parse_value reads none.
std::string format_value(const FieldValue& value);

/// Throws ConfigError that quotes `text` where it is not a value.
FieldValue parse_value(std::string_view text);

/// "dim=64,moma_experts_per_modality={image=2,text=3}", and its inverse. Blanks are not skipped: the text
/// form of a case has none. Throws ConfigError on a key without a value, an empty key, or a key that comes
/// twice.
std::string format_fields(const FieldList& fields);
FieldList parse_fields(std::string_view text);

}  // namespace forgecheck
