#include "harness/tap/parameter_name.h"

namespace forgecheck {

std::string to_string(const ParameterName& name) {
  return to_string(name.module) + "." + name.leaf;
}

std::optional<ParameterName> parse_parameter_name(std::string_view name, const Architecture& architecture) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot + 1 == name.size()) return std::nullopt;
  const auto module = parse_tap_name(name.substr(0, dot), architecture);
  if (!module) return std::nullopt;
  return ParameterName{*module, std::string(name.substr(dot + 1))};
}

}  // namespace forgecheck
