// The sizes of inputs that were recorded.
#pragma once

#include "harness/case/case.h"

namespace forgecheck {

/// The SeededInputs whose inputs have these shapes and are of these kinds: of inputs that make_inputs made,
/// the same again. Tensors of a shape that no case has are ignored: running the case refuses them.
SeededInputs sizes_of(const Inputs& inputs, const Architecture& architecture);

}  // namespace forgecheck
