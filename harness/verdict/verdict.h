// The outcome of a comparison.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace forgecheck {

enum class Verdict {
  match,
  undecided,  // a match but for choices between scores that are equal within their error
  mismatch,
  untrusted,    // the trace says nothing: a tap is zero or constant where it should not be, or is missing
  rejected,     // the backend refused the case
  crashed,      // the backend failed
  unsupported,  // forgecheck itself cannot judge this kind of case yet
};

std::string to_string(Verdict verdict);

/// Whether exit status 0 is still right.
bool is_success(Verdict verdict);

struct TapResult {
  std::string name;
  Verdict verdict = Verdict::match;
  double error = 0.0;      // at the row that used most of its tolerance
  double tolerance = 0.0;  // of that row
  double used = 0.0;       // the largest share of a tolerance; infinite where none can help
  std::string message;     // what is wrong, with index and values; empty for a match
};

/// A choice that the candidate made differently between scores too close to tell.
struct UndecidedChoice {
  std::string tap;
  std::int64_t row = 0;  // the token, or the expert under expert choice
  std::vector<std::int64_t> candidate;
  std::vector<std::int64_t> oracle;
  double margin = 0.0;  // how much better the oracle's choice is by its own scores
  double bound = 0.0;   // what rounding may make of that
};

struct FirstDivergence {
  std::string tap;
  double local_error = 0.0;
  double inherited_error = 0.0;
  double tolerance = 0.0;
};

struct Judgement {
  Verdict verdict = Verdict::match;
  double used = 0.0;            // the largest share of a tolerance over all taps
  std::vector<TapResult> taps;  // in the order of execution
  std::vector<UndecidedChoice> undecided;
  std::optional<FirstDivergence> first_divergence;
  std::string message;
};

}  // namespace forgecheck
