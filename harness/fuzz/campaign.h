// A fuzzing campaign: random cases, judged in processes beside this one; failures of one cause are one finding, saved when it
// is found and made small at the end.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "harness/backend/child_process.h"
#include "harness/fuzz/corpus.h"
#include "harness/fuzz/task_source.h"

namespace forgecheck {

struct CampaignOptions {
  TaskOptions tasks;
  std::vector<std::string> candidates;
  std::string judge_command;  // runs serve_case_judge with these candidates
  ChildLimits limits;         // of that process, for one case
  std::int64_t runs = 0;      // so many cases; 0: no limit
  double seconds = 0.0;       // no new case after so long; 0: no limit
  int jobs = 1;
  std::int64_t stop_after = 0;      // so many findings; 0: no limit
  std::int64_t shrink_limit = 600;  // cases tried to make one finding small; 0: it stays as found
  std::filesystem::path corpus;     // where findings are saved; empty: nowhere
  /// Set from outside (an interrupt): the campaign finishes and reports; findings stay as small as they are.
  const std::atomic<bool>* interrupted = nullptr;
  /// Called after every case, those that make a finding small among them.
  std::function<void(const struct Campaign&)> progress;
};

struct CaseOutcome {
  std::string line;
  FuzzOutcome outcome;
};

struct Campaign {
  std::int64_t cases = 0;
  double seconds = 0.0;
  std::vector<CaseOutcome> outcomes;                                 // in the order of the cases
  std::map<std::pair<std::string, Verdict>, std::int64_t> verdicts;  // by candidate
  std::vector<Finding> findings;                                     // in the order in which they were found
  std::int64_t tried = 0;                                            // cases, to make findings small
  std::size_t pairs = 0, feasible_pairs = 0, triples = 0;            // of levels that cases have had together
};

/// Two campaigns with the same options have the same cases, outcomes and findings, whatever `jobs` is; with a limit of time,
/// as far as they come. Throws FormatError where a finding cannot be saved.
Campaign run_campaign(const CampaignOptions& options);

}  // namespace forgecheck
