// Dispatch of tokens to the experts, and combination of the experts' outputs. Source:
// kempnerforge/model/moe.py. N tokens, E experts, k slots per token; assignment n * k + slot is the choice of
// token n in that slot.
#pragma once

#include <vector>

#include "gpu/runtime/device.h"

namespace forgecheck::gpu {

/// max(1, ceil(N * k / E * capacity_factor)), in double from left to right; never more than N * k.
std::int64_t expert_capacity(std::int64_t tokens, std::int64_t top_k, std::int64_t num_experts,
                             double capacity_factor);

/// weights (N, k) with 0 past the capacity: in each slot separately, the first `capacity` tokens of an expert
/// keep their weight, later ones lose it. Nothing is renormalised.
template <class T>
DeviceTensor<T> apply_capacity(Device& device, const DeviceTensor<T>& weights,
                               const DeviceTensor<std::int64_t>& indices, std::int64_t num_experts,
                               std::int64_t capacity);

/// The assignments sorted by expert, within an expert by token, then slot. Dropped ones are included.
struct Dispatch {
  DeviceTensor<std::int64_t> experts;      // (N, k): the router's indices
  DeviceTensor<std::int64_t> order;        // (N * k): the assignment in each place of the sorted order
  DeviceTensor<std::int64_t> places;       // (N * k): the place of each assignment: the inverse
  DeviceTensor<std::int64_t> offsets;      // (E + 1): expert e has the places offsets[e] .. offsets[e+1] - 1
  std::vector<std::int64_t> host_offsets;  // the same on the host
};

/// Sorts the assignments indices (N, k); every index must be in 0 .. E - 1. Waits for the device.
Dispatch dispatch(Device& device, const DeviceTensor<std::int64_t>& indices, std::int64_t num_experts);

/// out (N * k, D): for each place of the dispatch, its token's row of x (N, D).
template <class T>
DeviceTensor<T> gather_tokens(Device& device, const DeviceTensor<T>& x, const Dispatch& dispatch,
                              std::int64_t top_k);

/// out (N, D): each token's sum of weight * expert output over its slots, in order of expert index.
/// expert_output (N * k, D) in the dispatch's order, weights (N, k). The product is rounded, then the sum.
/// With `scales` (E, or empty: none) expert e's output is first multiplied by scales[e] and rounded.
template <class T>
DeviceTensor<T> combine(Device& device, const DeviceTensor<T>& expert_output, const DeviceTensor<T>& weights,
                        const Dispatch& dispatch, const std::vector<double>& scales);

/// Rows offsets[e] .. offsets[e + 1] - 1 of x (M, in) times weight[e] (in, out), for every e: (M, out).
/// weight (E, in, out), packed. Sums in float, rounds once.
template <class T>
DeviceTensor<T> grouped_linear(Device& device, const DeviceTensor<T>& x, const DeviceTensor<T>& weight,
                               const std::vector<std::int64_t>& offsets);

/// x * factor, elementwise, the factor as a float; rounded once.
template <class T>
DeviceTensor<T> scale(Device& device, const DeviceTensor<T>& x, double factor);

}  // namespace forgecheck::gpu
