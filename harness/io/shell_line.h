// Commands as text: to be typed again, or for sh -c.
#pragma once

#include <string>
#include <vector>

namespace forgecheck {

/// The words as one line that a shell reads as the same words.
std::string shell_line(const std::vector<std::string>& words);

}  // namespace forgecheck
