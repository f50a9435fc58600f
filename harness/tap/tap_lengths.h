// How long the streams of one forward call are, from its inputs.
#pragma once

#include "reference/inputs.h"

namespace forgecheck {

/// The inputs with vision_features turned into what the model reads, values left at 0, and frame_mask into
/// the mask of their tokens. Throws ShapeError where the model would refuse them; `with_kv_cache`: to decode.
Inputs shapes_after_adapter(const Architecture& architecture, const Inputs& inputs, bool with_kv_cache);

struct Lengths {
  std::int64_t batch = 0, text = 0, images = 0;
  std::int64_t residual = 0;  // what the layers work on
};

/// `inputs` after the adapter.
Lengths lengths_of(const Architecture& architecture, const Inputs& inputs);

/// Tokens of modality number `id` that are not padded.
std::int64_t count_tokens(const Inputs& inputs, std::int64_t id);

}  // namespace forgecheck
