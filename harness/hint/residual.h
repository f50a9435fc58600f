// The residual stream where a block or a norm reads it, reassembled from the taps before.
#pragma once

#include <optional>
#include <string>

#include "harness/hint/wrong_tap.h"

namespace forgecheck {

/// The case's inputs with vision_features turned into what the model reads; the adapter's values are its
/// tap's.
Inputs model_inputs(const WrongTap& wrong);

/// The stream at the input of the block that contains `place`, or after the last block for a place outside;
/// of the place's modality in a Mixture-of-Transformers. None where a tap is missing from the case.
std::optional<Tensor<double>> residual_before(const WrongTap& wrong, const TapPlace& place);

/// The attention module of the block that contains `name`, and of its modality: "layers.0.attention",
/// "layers.0.attn.image", "cross_attention_layers.0.attn".
TapName attention_of(const TapName& name, const Architecture& architecture);

}  // namespace forgecheck
