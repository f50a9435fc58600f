// The ways in which right implementations of one model differ: in which order they sum, and where they round
// on the way. docs/tolerances.md lists who does which.
#pragma once

#include <cstdint>

#include "reference/linalg/matmul.h"

namespace forgecheck {

/// What attention multiplies the values by, p = e / sum e, rounds to T ...
enum class Probabilities {
  kept,               // nowhere, as upstream's plain path
  rounded,            // p
  rounded_undivided,  // e, and divides by the sum at the end: FlashAttention (Dao et al. 2022)
};

struct Arithmetic {
  linalg::Kind matmul = linalg::Kind::plain;
  Probabilities probabilities = Probabilities::kept;
  /// Matrix products are summed in parts of so many terms, each of them rounded to T: cuBLAS with
  /// reduced-precision reductions, which PyTorch allows by default. 0: no parts.
  std::int64_t split_k = 0;
  /// Norms round the normalised value to T before the gain, as transformers' LlamaRMSNorm does.
  bool round_before_gain = false;

  constexpr Arithmetic() = default;
  constexpr Arithmetic(linalg::Kind kind) : matmul(kind) {}  // NOLINT(google-explicit-constructor)
  constexpr Arithmetic(linalg::Kind kind, Probabilities p) : matmul(kind), probabilities(p) {}
};

inline constexpr Arithmetic kPermuted{linalg::Kind::permuted, Probabilities::rounded};
inline constexpr Arithmetic kReversed{linalg::Kind::reversed};
inline constexpr Arithmetic kUndivided{linalg::Kind::plain, Probabilities::rounded_undivided};

}  // namespace forgecheck
