// Numeric functions that are used in more than one place.
#pragma once

#include <limits>
#include <span>

namespace forgecheck {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Root mean square; an element that is not finite counts as 0. 0 if there are no elements.
double root_mean_square(std::span<const double> values);

}  // namespace forgecheck
