// Comparisons about nothing: they pass, or fail, without saying anything of an implementation. Their verdict
// is `untrusted`.
#pragma once

#include <string>

#include "harness/backend/problem.h"
#include "harness/verdict/run_along.h"
#include "reference/array.h"

namespace forgecheck {

/// Experts that a router with seeded gates leaves without a token are suspicious from this many expected
/// tokens on.
inline constexpr double kExpectedTokens = 64.0;

/// Why a case that matches shows nothing of what it was made for, or "":
///   - a mask that masks nothing: key_padding_mask, image_mask or frame_mask all true, or one document in every
///     row;
///   - seeded weights, and a router that leaves an expert without a token where its share would be about
///     kExpectedTokens or more (with trained weights that is the model's own doing);
///   - logits that are all the same number.
/// `oracle` was run teacher-forced by the candidate's trace.
std::string vacuity(const Problem& problem, const ReferenceRun& oracle);

/// What a floating point tap that is wrong holds instead of results, or "": memory that nobody wrote to
/// (every bit set, as fresh device memory is), zeros, or one number everywhere, where `oracle` has other
/// values. The shapes are the same.
std::string emptiness(const Array& candidate, const Tensor<double>& oracle);

}  // namespace forgecheck
