// Which known name a mistyped one was meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace forgecheck {

/// The first of the names with the smallest edit distance from `given` (characters put in, left out or
/// replaced, and neighbours swapped); empty where even that is too far for a typing error: more than a third
/// of `given`, at least 1.
std::string nearest_name(std::string_view given, const std::vector<std::string>& names);

}  // namespace forgecheck
