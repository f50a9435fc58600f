// The tensors of a trace whatever program wrote it, with metadata or without.
#pragma once

#include "harness/io/safetensors.h"
#include "reference/inputs.h"
#include "reference/trace.h"

namespace forgecheck {

/// The "expected." tensors, without that word; in a file without any, all tensors but the inputs.
Trace taps_of(const SafetensorsFile& file);

/// The "input." tensors. Throws FormatError for one that is not an input of any case.
Inputs inputs_of(const SafetensorsFile& file);

}  // namespace forgecheck
