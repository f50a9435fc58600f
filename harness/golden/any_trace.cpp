#include "harness/golden/any_trace.h"

#include <fmt/format.h>

#include "harness/golden/golden_file.h"
#include "reference/error.h"

namespace forgecheck {

namespace {

constexpr std::string_view kGumbel = "gumbel.";

/// Sets the input called `name`, if there is one.
bool set_input(Inputs& inputs, std::string_view name, const Array& value) {
  if (name.starts_with(kGumbel)) return inputs.gumbel.emplace(name.substr(kGumbel.size()), value).second;
  bool known = false;
  Inputs::visit(inputs, [&](const std::string& input, std::optional<Array>& slot) {
    if (name != input) return;
    slot = value;
    known = true;
  });
  return known;
}

}  // namespace

Trace taps_of(const SafetensorsFile& file) {
  bool prefixed = false;
  for (const auto& [name, array] : file.tensors) prefixed = prefixed || name.starts_with(kExpected);
  Trace trace;
  for (const auto& [name, array] : file.tensors) {
    if (prefixed && name.starts_with(kExpected)) trace.add(name.substr(kExpected.size()), array);
    if (!prefixed && !name.starts_with(kInput)) trace.add(name, array);
  }
  return trace;
}

Inputs inputs_of(const SafetensorsFile& file) {
  Inputs inputs;
  for (const auto& [name, array] : file.tensors) {
    if (name.starts_with(kInput) && !set_input(inputs, name.substr(kInput.size()), array)) {
      throw FormatError(fmt::format("has a tensor {}, which is not an input", name));
    }
  }
  return inputs;
}

}  // namespace forgecheck
