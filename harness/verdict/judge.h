// Judges traces of one problem against the oracle.
#pragma once

#include <map>
#include <string>

#include "harness/backend/problem.h"
#include "harness/verdict/verdict.h"
#include "reference/linalg/matmul.h"
#include "reference/trace.h"

namespace forgecheck {

class Judge {
 public:
  explicit Judge(const Problem& problem) : problem_(problem) {}

  /// Judges the taps of `candidate`, computed in `type`. The oracle and the baseline run behind the choices
  /// that the candidate recorded, so that everything after a different choice is still judged. Taps that the
  /// candidate lacks are not judged, but one output (logits, tokens or loss.total) must be there. Runs of the
  /// oracle are kept for the next candidate. A candidate that is the plain reference itself
  /// (`is_plain_reference`) would be compared with its own error, so its baseline sums in another order.
  Judgement judge(const Trace& candidate, Dtype type, bool is_plain_reference);

 private:
  /// A reference run: its taps and its own choices.
  struct Run {
    Trace trace;
    std::map<std::string, Decision, std::less<>> decisions;
  };
  struct Standard {
    const Run& oracle;
    const Run& baseline;
  };

  const Run& run(Dtype precision, linalg::Kind kind, const Trace& forced);
  Standard standard(const Trace& forced, Dtype type, bool permuted);

  const Problem& problem_;
  std::map<std::string, Run> runs_;
};

}  // namespace forgecheck
