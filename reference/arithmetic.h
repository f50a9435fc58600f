// The ways in which right implementations of one model differ: in which order they sum, and where they round
// on the way. docs/tolerances.md lists who does which.
#pragma once

#include <cstdint>

#include "reference/enum_table.h"

namespace forgecheck {

namespace linalg {

/// Who computes a matrix product.
enum class Library {
  plain,  // our own loop
  openblas,
  onednn,  // float only
};

/// In which order our own loops sum: equally right, each with a rounding of its own. A library has an order of
/// its own.
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

/// What attention multiplies the values by, p = e / sum e, rounds to T ...
enum class Probabilities {
  kept,               // nowhere, as upstream's plain path
  rounded,            // p
  rounded_undivided,  // e, and divides by the sum at the end: FlashAttention (Dao et al. 2022)
};

inline constexpr Named<Probabilities> kProbabilities[] = {
    {Probabilities::kept, "kept"},
    {Probabilities::rounded, "rounded"},
    {Probabilities::rounded_undivided, "rounded_undivided"},
};

struct Arithmetic {
  /// Who computes matrix products.
  linalg::Library library = linalg::Library::plain;
  /// In which order the reference's own sums run: those of the plain product, and attention's over the keys.
  linalg::Order order = linalg::Order::forward;
  Probabilities probabilities = Probabilities::kept;
  /// Matrix products are summed in parts of so many terms, each of them rounded to T: cuBLAS with
  /// reduced-precision reductions, which PyTorch allows by default. 0: no parts.
  std::int64_t split_k = 0;
  /// Norms round the normalised value to T before the gain, as transformers' LlamaRMSNorm does.
  bool round_before_gain = false;

  bool operator==(const Arithmetic&) const = default;
};

/// What the oracle and the plain reference take.
inline constexpr Arithmetic kPlain{};
inline constexpr Arithmetic kPermuted{.order = linalg::Order::permuted,
                                      .probabilities = Probabilities::rounded};
inline constexpr Arithmetic kReversed{.order = linalg::Order::reversed};
inline constexpr Arithmetic kUndivided{.probabilities = Probabilities::rounded_undivided};

}  // namespace forgecheck
