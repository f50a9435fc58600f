// How far a backend's results move when nothing but rounding changes, measured on the backend itself: a tolerance where there
// is no oracle.
//
// Every weight is moved up or down, at random, by about what an operation that reads it may round. What that does to a tap, its
// own rounding does too. Two runs of one computation may differ by
//   kOwnNoise max over the row of |moved - plain|  + 2 h
// where h is half a unit in the last place of the type (both runs round), and the maximum is over kMovedRuns runs. A tap or a
// row that no run moves must be the same but for that rounding.
#pragma once

#include <vector>

#include "harness/backend/backend.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

struct OwnNoise {
  Trace plain;               // of the problem itself
  std::vector<Trace> moved;  // of kMovedRuns problems with moved weights (tolerance.h)
};

/// Throws what the backend throws, and BackendError where other weights give other taps, or a floating point tap of another
/// shape.
OwnNoise measure_own_noise(Backend& backend, const Problem& problem, const TapFilter& wants);

/// Compares `other` with the plain run's tap of that name and shape, both computed in `type`; the rows of a floating point tap
/// for which `is_compared` is false are left out (an empty function: none). Of choices (`has_order` false) the order in their
/// row does not matter. `undecided` where a tap of integers differs, and does so in a moved run too: a choice between near
/// equals.
TapResult compare_own(const std::string& name, const Array& other, const OwnNoise& noise, Dtype type,
                      const std::function<bool(std::int64_t row)>& is_compared = {}, bool has_order = true);

/// Whether two choices of tokens by experts, both (E, k), differ only between tokens whose scores the backend's own rounding does
/// not tell apart: tokens that are the same stay the same with other weights. `scores` (N, E) is a tap of the plain run.
bool tokens_tie(const Array& chosen, const Array& other, const OwnNoise& noise, const std::string& scores,
                Dtype type);

}  // namespace forgecheck
