// Judging one case after another in a process of its own, so that a crash, a hang or a case that eats all memory is an
// outcome and not the end of the campaign. The process is the program itself (serve_case_judge), started once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "harness/backend/child_process.h"
#include "harness/fuzz/case_check.h"
#include "harness/fuzz/fuzz_case.h"
#include "harness/fuzz/outcome.h"
#include "harness/io/scratch_folder.h"

namespace forgecheck {

/// A case of a campaign: valid, or (`refused`) one that must be refused with an error that names this field and value.
struct FuzzTask {
  std::string line;
  std::optional<InvalidCase> refused;
};

class CaseJudge {
 public:
  /// `command` runs serve_case_judge with these candidates, which answers a case within the limits or is ended.
  CaseJudge(std::string command, std::vector<std::string> candidates, const ChildLimits& limits)
      : command_(std::move(command)), candidates_(std::move(candidates)), limits_(limits) {}

  /// One outcome for each candidate; where the process ends, hangs or takes too much memory, each is asked alone, and
  /// whoever makes it do so has `crashed`.
  /// Of a case that must be refused there is one outcome, of the candidate "validate".
  std::vector<FuzzOutcome> judge(const FuzzTask& task);

 private:
  /// All candidates, or the one at this position.
  std::vector<FuzzOutcome> ask(const FuzzTask& task, std::optional<std::size_t> only);

  std::string command_;
  std::vector<std::string> candidates_;
  ChildLimits limits_;
  ScratchFolder folder_;
  std::optional<ChildProcess> child_;  // ends before its folder goes
};

/// Answers requests from standard input until it ends. Returns the exit status.
int serve_case_judge(const std::vector<CaseCheck>& checks);

}  // namespace forgecheck
