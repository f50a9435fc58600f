#include "reference/options.h"

#include <cmath>
#include <string>

#include "reference/error.h"

namespace forgecheck {

static_assert(is_complete<kLossKinds>() && is_complete<kProbabilities>());

std::string to_string(LossKind kind) {
  return std::string(name_of(kLossKinds, "loss.kind", kind));
}

void validate(const SamplingOptions& options) {
  if (!(options.temperature >= 0.0) || std::isinf(options.temperature)) {
    throw ConfigError("generate.temperature = " + std::to_string(options.temperature) +
                      ": must be a finite number, not negative");
  }
  if (options.top_k < 0) {
    throw ConfigError("generate.top_k = " + std::to_string(options.top_k) + ": must not be negative");
  }
  if (!(options.top_p > 0.0 && options.top_p <= 1.0)) {
    throw ConfigError("generate.top_p = " + std::to_string(options.top_p) + ": must be in (0, 1]");
  }
}

}  // namespace forgecheck
