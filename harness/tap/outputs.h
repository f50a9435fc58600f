// The taps that a run is for.
#pragma once

#include <algorithm>
#include <iterator>
#include <string_view>

namespace forgecheck {

inline constexpr std::string_view kOutputs[] = {"logits", "tokens", "loss.total"};

inline bool is_output(std::string_view tap) {
  return std::ranges::find(kOutputs, tap) != std::end(kOutputs);
}

}  // namespace forgecheck
