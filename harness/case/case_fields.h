// Every field of a case and of its configuration, described once: its name, section, default, range, and how
// it is set and read. The text form, the JSON form, the TOML reader and validate() are all derived from this
// table.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/case/case.h"
#include "harness/case/config_value.h"

namespace forgecheck {

/// Where the text form of a case has a field.
enum class Place {
  name,      // the word in front of the brackets (arch), or the name of the segment of the run
  brackets,  // dense[dim=64]
  sizes,     // /batch=2,text_len=8
  segment,   // /seed=7
  word,      // /train: the value without its name
  run,       // /generate=5,top_k=3: the first such field of the run under the run's name, then the others
  file,      // nowhere: a field of configuration files only
};

/// When a field is written, in text and in JSON.
enum class Written { where_changed, always, always_in_text, always_in_json, where_chunked };

struct CaseField {
  std::string section;  // the object of the JSON that holds it; empty: the case itself
  std::string name;
  std::string text_name;  // in the text form, where all sections share one list of names
  Place place = Place::segment;
  Written written = Written::where_changed;
  std::string takes;               // what it takes, in words: "an integer"
  char separator = '\0';           // between the integers of a list, in the text form
  std::optional<VlmArch> arch;     // of the fields of [vlm]: the architecture that has it; none: all of them
  std::optional<double> smallest;  // of a number, or of each in a list; then it must be finite, too
  std::optional<FieldValue> default_value;
  /// False where the value is not what the field takes; then the field is unchanged.
  std::function<bool(Case&, const FieldValue&)> set;
  /// None where the case has no such section, or no value for it.
  std::function<std::optional<FieldValue>(const Case&)> get;
};

/// In the order in which the text form writes them.
const std::vector<CaseField>& case_fields();

/// The field of that name that a case of this architecture has; null where there is none.
const CaseField* find_field(const Case& value, std::string_view section, std::string_view name);

/// Why find_field found none: "unknown field", and the nearest name or the architecture that has it.
std::string unknown_field(const Case& value, std::string_view section, std::string_view name);

/// Sets one field. Throws ConfigError "model.n_head = 4: unknown field, did you mean n_heads?" and "model.dim
/// = 2.0: needs an integer". Whether the value is allowed is for validate() to say. In section "vlm", `arch`
/// must be set before the others: it decides which there are.
void set_field(Case& value, std::string_view section, std::string_view name, const FieldValue& given);

enum class Form { text, json };

/// The field's value where this form writes it.
std::optional<FieldValue> written_value(const Case& value, const CaseField& field, Form form);

/// Whether the run of the case has the fields of this section: those of generate and loss are written only
/// then.
bool is_in_use(const Case& value, std::string_view section);

/// Throws ConfigError for the first value below the smallest that its field takes.
void validate_ranges(const Case& value);

}  // namespace forgecheck
