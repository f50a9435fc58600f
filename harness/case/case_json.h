// The JSON form of a case, for those who hold the document.
#pragma once

#include <nlohmann/json.hpp>

#include "harness/case/case.h"
#include "harness/io/strict_json.h"

namespace forgecheck {

/// Reads and validates a case. Throws FormatError with the path of a field that is unknown or of the wrong
/// type, and ConfigError with the name and the value of one that breaks a rule.
Case read_case(const JsonValue& object);

/// Only fields that differ from the defaults, but always seed, mode, dtype and run.
nlohmann::json case_document(const Case& value);

}  // namespace forgecheck
