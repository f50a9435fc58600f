// SiLU as oneDNN computes it, several numbers at a time.
#pragma once

#include <cstdint>

namespace forgecheck::linalg {

/// x (n) := x / (1 + exp(-x)), within a few roundings; a result below float's normal numbers may be 0. Throws BackendError
/// where oneDNN refuses.
void onednn_silu(std::int64_t n, float* x);

}  // namespace forgecheck::linalg
