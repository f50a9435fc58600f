// The rows of a large wrong tap that are looked at first: what explains or excuses it is cheaper to compute for a few rows.
#pragma once

#include <set>
#include <string>

#include "harness/verdict/compare_trace.h"

namespace forgecheck {

/// How many rows of a tap are looked at.
inline constexpr std::size_t kWorstRows = 8;
/// Smaller taps are looked at as a whole.
inline constexpr std::int64_t kLargeTap = std::int64_t{1} << 14;

/// Of each large floating point tap among `names` in which elements are beyond their tolerance: the rows of the worst of them,
/// kWorstRows at most. Taps of another shape than the oracle's, and choices, have none.
TapRows worst_rows(const std::set<std::string>& names, const Trace& candidate, const Evidence& evidence,
                   Dtype type);

/// Whether the tap has an element beyond its tolerance in one of `rows`.
bool is_wrong_in(const std::vector<std::int64_t>& rows, const std::string& name, const Trace& candidate,
                 const Evidence& evidence, Dtype type);

/// The numbers of `rows`, and zero in all others.
Tensor<double> only(const std::vector<std::int64_t>& rows, const Tensor<double>& values);

}  // namespace forgecheck
