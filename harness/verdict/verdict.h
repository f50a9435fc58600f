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
  untrusted,    // the comparison is vacuous: a tap is zero or constant where it should not be, or missing
  rejected,     // the backend refused the case, or the recording cannot be read
  crashed,      // the backend failed
  unsupported,  // forgecheck itself cannot judge this kind of case yet
};

/// All of them, in this order.
inline constexpr Verdict kVerdicts[] = {
    Verdict::match,    Verdict::undecided, Verdict::mismatch,    Verdict::untrusted,
    Verdict::rejected, Verdict::crashed,   Verdict::unsupported,
};

std::string to_string(Verdict verdict);

/// Whether the exit status may be 0.
bool is_success(Verdict verdict);

/// The more severe of two: match < undecided < unsupported < untrusted < mismatch < rejected < crashed.
Verdict worse(Verdict a, Verdict b);

struct TapResult {
  std::string name;
  Verdict verdict = Verdict::match;
  double error = 0.0;      // at the row that used most of its tolerance
  double tolerance = 0.0;  // of that row
  double used = 0.0;       // the largest share of a tolerance; infinite where none can help
  std::string message{};   // what is wrong, with index and values; empty for a match
  double local = 0.0;      // root mean square of the error made here, relative to that of the oracle's tap
  double inherited = 0.0;  // the same for the error of its inputs; computed where the trace fails, else 0
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

/// What a tap's module computes, and where that is written.
struct Operation {
  std::string formula;   // in the notation of the reference's headers
  std::string source;    // file of this repository
  std::string upstream;  // file of KempnerForge
};

/// The element of a tap that is farthest beyond its tolerance.
struct WorstElement {
  std::vector<std::int64_t> index;
  double candidate = 0.0;
  double oracle = 0.0;
};

/// How many elements of a tap used which share of their tolerance. Bin 0 counts those that used none: off by
/// no more than the rounding of their own type. Bin i > 0 counts shares above kShareEdges[i - 1], the next
/// edge included.
inline constexpr double kShareEdges[] = {0.0, 0.01, 0.1, 1.0, 10.0, 100.0};
using ShareHistogram = std::vector<std::size_t>;

/// A tap's errors as a picture: the tap, as (rows, width), cut into cells of equal size.
struct ErrorMap {
  std::int64_t rows = 0, columns = 0;            // of cells
  std::int64_t cell_height = 1, cell_width = 1;  // elements in a cell; the last ones may be smaller
  std::vector<double> shares;                    // of each cell, row-major: the largest share of a tolerance
};

/// The first wrong tap in the order of execution.
struct FirstDivergence {
  std::string tap;
  std::string after;  // the last tap before it in the trace, which is right; empty at the first
  std::vector<std::string> between;  // modules before `tap` that the trace does not show: one may be to blame
  double local_error = 0.0;          // on the candidate's own inputs
  double inherited_error = 0.0;      // root mean square of the error of its inputs
  double tolerance = 0.0;
  Operation operation;
  std::optional<WorstElement> worst;
  std::string hint;  // what it looks like, where the pattern is known; else empty
  std::string note;  // what was skipped because the case is large; else empty
  ShareHistogram histogram;
  ErrorMap map;
};

struct Judgement {
  Verdict verdict = Verdict::match;
  double used = 0.0;            // the largest share of a tolerance over all taps
  std::vector<TapResult> taps;  // in the order of execution
  std::vector<UndecidedChoice> undecided;
  std::optional<FirstDivergence> first_divergence;
  std::string message;
  std::vector<std::string> notes;  // of a success: what the trace does not show (notes.h)
};

}  // namespace forgecheck
