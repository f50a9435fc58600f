// The inputs of a case, made from its seed by the generator of the seeded tensors.
#pragma once

#include "harness/case/case.h"
#include "reference/weights.h"

namespace forgecheck {

/// Each input takes v_i of the key of "input.<name>" (see seeded.h):
///   embeddings and features   seeded_tensor with scale sqrt(3) times inputs.scale;  gumbel noise: scale 2
///   tokens, labels            v_i mod vocab_size (with ignore_labels: i % 4 == 3 is -100)
///   masks                     v_i mod 4 != 0; where that masks nothing, the last position of the first row
///                             is false (of rows of one position it stays as it is)
///   doc_ids                   documents of about the same length, boundaries shifted from row to row;
///                             documents_recur: twice as many, of which the second half has the ids of the first
///   modality_ids              image prefix, then text; interleaved: v_i mod 2
/// Throws ConfigError where the sizes do not make inputs for the architecture, or one would be ignored.
Inputs make_inputs(const Case& value);

/// Throws ConfigError "needs N GiB, this machine has M" where weights, inputs and the traces of a run would
/// not fit into the machine's memory: better refused than killed.
void require_memory(const Case& value);

/// seeded_parameter of every parameter of the architecture.
ParameterTable make_parameters(const Case& value);

}  // namespace forgecheck
