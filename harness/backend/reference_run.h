// Runs a problem through the reference: what the oracle, the baseline and the backends `reference` and
// `cpu:*` do.
#pragma once

#include "harness/backend/problem.h"
#include "reference/linalg/matmul.h"
#include "reference/trace.h"

namespace forgecheck {

/// Computes the case in `precision` (f64, f32 or bf16) on weights and inputs rounded to the case's dtype;
/// every tap goes to `tracer`. Throws ConfigError or ShapeError where the case is refused, BackendError where
/// `kind` cannot compute it.
void run_reference(const Problem& problem, Dtype precision, linalg::Kind kind, Tracer& tracer);

}  // namespace forgecheck
