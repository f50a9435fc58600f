// Runs a problem through the reference: what the oracle, the baseline and the backends `reference` and
// `cpu:*` do.
#pragma once

#include <vector>

#include "harness/backend/problem.h"
#include "reference/arithmetic.h"
#include "reference/trace.h"

namespace forgecheck {

/// Computes the case in `precision` (f64, f32 or bf16) on weights and inputs rounded to the case's dtype;
/// every tap goes to `tracer`. Throws ConfigError or ShapeError where the case is refused, BackendError where
/// `arithmetic` cannot compute it.
void run_reference(const Problem& problem, Dtype precision, const Arithmetic& arithmetic, Tracer& tracer);

/// The seconds that each of `runs` such runs took without taps, their weights converted before, after one that does not
/// count.
std::vector<double> time_reference(const Problem& problem, Dtype precision, const Arithmetic& arithmetic,
                                   int runs);

/// The orders of rounding that sampled runs take in turn, and which of them a seed takes.
inline constexpr std::size_t kSampledOrders = 3;
std::size_t sampled_order(std::uint64_t seed);

/// The same in Monte Carlo arithmetic (reference/sampled.h): what a right implementation chosen at random
/// computes in `precision` (f32 or bf16). The same seed gives the same run.
void run_sampled(const Problem& problem, Dtype precision, std::uint64_t seed, Tracer& tracer);

}  // namespace forgecheck
