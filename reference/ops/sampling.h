// Choice of the next token. Source: kempnerforge/model/generate.py; Holtzman et al. 2020 (top-p).
#pragma once

#include "reference/options.h"
#include "reference/tensor.h"

namespace forgecheck {

/// Index of the largest logit; the lowest index among equals.
template <class T>
std::int64_t argmax(std::span<const T> logits);

/// Probabilities (V) after temperature, top-k (every logit >= the k-th largest is kept) and top-p (sorted
/// descending, a token is kept while the mass before it is < p), in double. temperature must be > 0.
template <class T>
std::vector<double> sampling_probabilities(std::span<const T> logits, const SamplingOptions& options);

/// The token at which the running sum of `probabilities` first exceeds `uniform` in [0, 1).
std::int64_t draw(const std::vector<double>& probabilities, double uniform);

/// For each token minus the distance of `uniform` from where the token would be drawn, which is the range of the running
/// sum that it adds: 0 for the token that is drawn. What differs by the error of the probabilities alone may be drawn
/// instead.
std::vector<double> draw_scores(const std::vector<double>& probabilities, double uniform);

}  // namespace forgecheck
