// Judging where anything may fail: what fails is a result too, and the other results are not lost.
#pragma once

#include <functional>
#include <string>

#include "harness/backend/backend.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

/// A judgement without a trace.
Judgement failure(Verdict verdict, const std::string& message);

/// What `judge` returns. If it throws: `rejected` for an input that is refused, `crashed` for a backend that
/// failed, for memory that ran out, and for anything that nobody foresaw.
Judgement judged_or_failure(const std::function<Judgement()>& judge);

/// Runs the backend on the problem, and judges what comes out at the type that the backend computes in. A case
/// that it refuses is `rejected`.
Judgement judge_backend(Backend& backend, const Problem& problem);

}  // namespace forgecheck
