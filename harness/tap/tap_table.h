// Every tap of a case in the order of execution: name, shape, kind of values and meaning. Only the inputs'
// shapes (and, under expert choice, their modalities and padding) are read; nothing is run.
//
// Dimension letters, of the tap's own block where blocks differ:
//   B batch              T text length          N image tokens          S = length of the residual stream
//   S_m its part of modality m                  S_out positions with logits (S without an output slice)
//   D dim                H query heads          K key-value heads       d head_dim
//   F hidden width of the feed-forward          F_e that of an expert   V vocab_size
//   E experts            k experts of a token   E_m experts of modality m
//   n_m tokens of modality m that take part     k_m tokens of each of its experts
//   P prompt length      G generated tokens
#pragma once

#include <string>
#include <vector>

#include "harness/case/case.h"
#include "harness/tap/tap_kind.h"
#include "reference/tensor.h"

namespace forgecheck {

struct Dimension {
  std::string letter;
  std::int64_t size = 0;
  bool at_most = false;  // the run may end before: generation that waits for eos_token_id
};

enum class TapType {
  floating,
  counts,    // whole numbers, stored as floating point
  integers,  // indices and tokens
};

struct TapInfo {
  TapName name;
  std::vector<Dimension> shape;
  TapType type = TapType::floating;
  std::string when;  // what the case must have for it to be there; empty where it always is
  std::string meaning;
};

std::string to_string(TapType type);

/// "(B, S, H*d)"; "()" of a scalar.
std::string letters_of(const TapInfo& tap);
/// The numbers; the largest possible where a dimension is `at_most`.
Shape shape_of(const TapInfo& tap);

/// In the order in which a run of the case records them. Throws ConfigError for a run that is not supported,
/// ShapeError for inputs that the model refuses.
std::vector<TapInfo> tap_table(const Case& definition, const Inputs& inputs);

/// What a tap holds, in a few words; `architecture` as for kind_of().
std::string meaning_of(const TapName& name, const Architecture& architecture);

}  // namespace forgecheck
