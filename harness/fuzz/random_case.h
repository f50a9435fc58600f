// Random valid cases: small models of every architecture, with what the configuration allows on or off.
#pragma once

#include <vector>

#include "harness/case/case.h"

namespace forgecheck {

/// Whose options a case may have: KempnerForge's; those of the models of transformers that for_transformers() names; or, of a
/// text model, all that checkpoints need.
enum class Family { kempnerforge, transformers, any };

/// The largest sizes that are drawn.
struct CaseSizes {
  std::vector<std::int64_t> head_dims = {2, 4, 6, 8, 16, 32};
  std::int64_t dim = 128;
  std::int64_t kv_heads = 3;
  std::int64_t groups = 3;  // query heads that share a key-value head
  std::int64_t layers = 4;
  std::int64_t vocab = 97;
  std::int64_t ffn = 96;
  std::int64_t batch = 3;
  std::int64_t long_text = 24;  // at least 9; most texts have at most half of it
};

/// The case of that seed, in float32: always the same one, and always valid. All architectures, runs
/// (forward, loss, decode, generate) and modes come up, and every field of [model] and [vlm] that changes a
/// result, except moe_aux_loss_weight, qk_norm_eps, moma_modalities and the heads of cross-attention blocks
/// (fuzz_case.h draws those too). With the default sizes widths stay at most 128 and sequences at most 64, so
/// that a run takes milliseconds.
Case random_case(std::uint64_t seed, Family family = Family::kempnerforge, const CaseSizes& sizes = {});

}  // namespace forgecheck
