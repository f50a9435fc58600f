// A model with two experts that a token may take as well as each other, and traces that take the other one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "tests/harness/verdict/problems.h"

namespace forgecheck {

inline const std::string kIndices = "layers.0.mlp.router.indices";
inline const std::string kGate = "layers.0.mlp.router.gate.weight";

/// A seeded problem in which expert `b` of layer 0 is routed to as expert `a` is, but for a few units in the
/// last place.
inline Problem tied_problem(const std::string& text, std::int64_t a, std::int64_t b,
                            float difference = 5e-7F) {
  Problem problem = small_problem(text);
  Tensor<float> gate = problem.parameters.at(kGate).to<float>();
  std::ranges::copy(gate.row(a), gate.row(b).begin());
  gate.row(b)[0] += difference;
  problem.parameters.insert_or_assign(kGate, Array::from(gate));
  return problem;
}

/// The rows in which a run took just one of the two experts take the other instead; at most `limit` of them.
inline Trace flipped(const Trace& trace, std::int64_t a, std::int64_t b, std::int64_t limit) {
  Tensor<std::int64_t> indices = trace.at(kIndices).to_int64();
  std::int64_t flips = 0;
  for (std::int64_t r = 0; r < indices.rows() && flips < limit; ++r) {
    const auto row = indices.row(r);
    const auto of_a = std::ranges::find(row, a), of_b = std::ranges::find(row, b);
    if ((of_a == row.end()) == (of_b == row.end())) continue;
    (of_a == row.end() ? *of_b : *of_a) = of_a == row.end() ? a : b;
    ++flips;
  }
  EXPECT_GT(flips, 0);
  Trace choices;
  choices.add(kIndices, Array::from(indices));
  return choices;
}

}  // namespace forgecheck
