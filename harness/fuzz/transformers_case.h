// The cases that models of the transformers library compute, for campaigns against scripts/transformers_worker.py.
#pragma once

#include "harness/case/case.h"

namespace forgecheck {

/// The case without images, and without what only models with images have.
Case without_images(const Case& value);

/// The nearest case that is a Llama, Mistral, Mixtral, Qwen2 or Qwen3 with tokens alone, in eval mode, forward or decoded.
Case for_transformers(const Case& value);

}  // namespace forgecheck
