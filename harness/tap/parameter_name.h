// Names of parameters: the module that one belongs to, and its own last word.
#pragma once

#include "harness/tap/tap_name.h"

namespace forgecheck {

struct ParameterName {
  TapName module;
  std::string leaf;  // "weight", "bias", "up_w"
};

std::string to_string(const ParameterName& name);
/// to_string() gives the name back. None where its module is none of the architecture's.
std::optional<ParameterName> parse_parameter_name(std::string_view name, const Architecture& architecture);

}  // namespace forgecheck
