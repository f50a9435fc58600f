// How correct implementations of one model differ: the order in which they sum, and the intermediate values
// that they round. docs/tolerances.md lists which implementation does what.
#pragma once

#include <cstdint>

#include "reference/enum_table.h"

namespace forgecheck {

namespace linalg {

/// What computes a matrix product and, in float32 and bfloat16, onednn also silu.
enum class Library {
  plain,  // our own loop
  openblas,
  onednn,  // float only
};

/// The order in which our own loops sum: all are correct, but each rounds differently. A library has its own
/// order.
enum class Order { forward, permuted, reversed };

inline constexpr Named<Library> kLibraries[] = {
    {Library::plain, "plain"},
    {Library::openblas, "openblas"},
    {Library::onednn, "onednn"},
};
inline constexpr Named<Order> kOrders[] = {
    {Order::forward, "forward"},
    {Order::permuted, "permuted"},
    {Order::reversed, "reversed"},
};

}  // namespace linalg

/// Where attention's weights of the values, p = e / sum e, are rounded to T:
enum class Probabilities {
  kept,               // nowhere, as in upstream's plain path
  rounded,            // p
  rounded_undivided,  // e, and divides by the sum at the end: FlashAttention (Dao et al. 2022)
};

inline constexpr Named<Probabilities> kProbabilities[] = {
    {Probabilities::kept, "kept"},
    {Probabilities::rounded, "rounded"},
    {Probabilities::rounded_undivided, "rounded_undivided"},
};

struct Arithmetic {
  /// What computes matrix products, and silu.
  linalg::Library library = linalg::Library::plain;
  /// The order of the reference's own sums: those of the plain product, and attention's over the keys.
  linalg::Order order = linalg::Order::forward;
  Probabilities probabilities = Probabilities::kept;
  /// Matrix products are summed in parts of this many terms, and each part is rounded to T, as in cuBLAS with
  /// reduced-precision reductions, which PyTorch allows by default. 0: no parts.
  std::int64_t split_k = 0;
  /// Norms round the normalised value to T before the gain, as transformers' LlamaRMSNorm does.
  bool round_before_gain = false;
  /// Products round to T before their bias is added: code that adds it by itself, and cuBLAS with beta = 1 for some shapes.
  bool round_before_bias = false;

  bool operator==(const Arithmetic&) const = default;
};

/// The arithmetic of the oracle and of the plain reference.
inline constexpr Arithmetic kPlain{};
inline constexpr Arithmetic kPermuted{.order = linalg::Order::permuted,
                                      .probabilities = Probabilities::rounded};
inline constexpr Arithmetic kReversed{.order = linalg::Order::reversed};
inline constexpr Arithmetic kUndivided{.probabilities = Probabilities::rounded_undivided};

}  // namespace forgecheck
