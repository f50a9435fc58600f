// A right trace with one mistake in it, and the hint that the judge gives.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {

/// The first divergence of a trace that must fail at `tap`.
inline FirstDivergence divergence_at(const Problem& problem, const Trace& trace, const std::string& tap,
                                     Dtype type = Dtype::f32) {
  const Judgement judgement = judge(problem, trace, type, false);
  EXPECT_FALSE(is_success(judgement.verdict));
  if (!judgement.first_divergence) {
    ADD_FAILURE() << "nothing diverges";
    return {};
  }
  EXPECT_EQ(judgement.first_divergence->tap, tap);
  return *judgement.first_divergence;
}

inline std::string hint_at(const Problem& problem, const Trace& trace, const std::string& tap,
                           Dtype type = Dtype::f32) {
  return divergence_at(problem, trace, tap, type).hint;
}

/// The hint where a right trace has other values at one tap.
template <class T>
std::string hint_of(const Problem& problem, const std::string& tap, const Tensor<T>& values) {
  return hint_at(problem, with_tap(run_permuted(problem, Dtype::f32), tap, Array::from(values)), tap);
}

/// The same with the values of the tap, changed.
template <class Change>
std::string hint_of_changed(const Problem& problem, const std::string& tap, const Change& change) {
  Tensor<float> values = run_permuted(problem, Dtype::f32).at(tap).to<float>();
  change(values);
  return hint_of(problem, tap, values);
}

/// The hint where a whole run was made with a mistake in the problem, and first shows at `tap`.
template <class Change>
std::string hint_of_run(const Problem& problem, const std::string& tap, const Change& change) {
  Problem mistaken = problem;
  change(mistaken);
  return hint_at(problem, run_permuted(mistaken, Dtype::f32), tap);
}

}  // namespace forgecheck
