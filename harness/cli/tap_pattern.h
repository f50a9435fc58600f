// The pattern of `--taps`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace forgecheck {

/// The `count` names that are nearest to being matched by `pattern` (* and ?), or by what it would match with
/// a * on both sides: those from which the fewest characters have to be put in, left out or replaced.
std::vector<std::string> nearest_taps(std::string_view pattern, std::vector<std::string> names,
                                      std::size_t count);

}  // namespace forgecheck
