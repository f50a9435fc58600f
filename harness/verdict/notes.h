// What a right trace does not test: parts of the case that change nothing in it, so that an implementation
// without them, or with them in another order, would give the same values. Such findings are no fault of the
// trace. They are notes on a result that matches.
#pragma once

#include <string>
#include <vector>

#include "harness/verdict/run_forced.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// An expert without a token is worth a note where this many tokens or more would be its share.
inline constexpr double kExpectedTokens = 64.0;

/// A sentence for each part of the case that the trace does not exercise:
///   a mask that masks nothing: key_padding_mask, image_mask or frame_mask all true, one document in every row
///   an expert that gets no token where kExpectedTokens or more would be its share
///   expert_bias that is zero in every layer
///   QK-norm whose gains are all equal, without a q_norm or k_norm tap: RMSNorm with one gain g,
///     g x / rms(x), and a rotation, which keeps rms(x), can change places
///   norms whose gains are all 1
/// and, where the weights come from a checkpoint, so that the batch is a real one (in a case with seeded
/// weights, one token or a large capacity is deliberate):
///   moe_capacity_factor where no expert is over its capacity
///   a sequence of one position, which RoPE and the causal mask do not change
/// `oracle`: forced to `candidate`.
std::vector<std::string> notes_on(const Problem& problem, const Trace& candidate, const ReferenceRun& oracle);

/// Makes a success with notes a failure: untrusted, with the notes as its message. For --strict.
void fail_on_notes(Judgement& judgement);

}  // namespace forgecheck
