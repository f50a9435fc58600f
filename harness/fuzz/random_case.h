// Random valid cases: small models of every architecture, with what the configuration allows on or off.
#pragma once

#include "harness/case/case.h"

namespace forgecheck {

/// Whose options a case may have: KempnerForge's, or, of a text model, those that other families' checkpoints need
/// too.
enum class Family { kempnerforge, any };

/// The case of that seed, in float32: always the same one, and always valid. All architectures, runs
/// (forward, loss, decode, generate) and modes come up, and every field of [model] and [vlm] that changes a
/// result, except moe_aux_loss_weight, qk_norm_eps, moma_modalities and the heads of cross-attention blocks;
/// widths stay at most 128, sequences at most 64, so that a run takes milliseconds.
Case random_case(std::uint64_t seed, Family family = Family::kempnerforge);

}  // namespace forgecheck
