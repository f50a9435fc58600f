// The fields of SeededInputs by name, for both forms of a case.
#pragma once

#include "harness/case/case.h"
#include "harness/case/config_value.h"

namespace forgecheck {

bool is_input_field(std::string_view key);

/// Throws ConfigError "inputs.<field> = <value>: <rule>" on an unknown field or a wrong type.
void set_input_fields(SeededInputs& inputs, const FieldList& fields);

/// The fields that differ from the defaults, in the order of their declaration.
FieldList changed_input_fields(const SeededInputs& inputs);

}  // namespace forgecheck
