#include "reference/numbers.h"

#include <algorithm>
#include <cmath>

namespace forgecheck {

double root_mean_square(std::span<const double> values) {
  double squares = 0;
  for (const double value : values) squares += std::isfinite(value) ? value * value : 0;
  return std::sqrt(squares / static_cast<double>(std::max<std::size_t>(1, values.size())));
}

}  // namespace forgecheck
