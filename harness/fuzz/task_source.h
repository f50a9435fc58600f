// The cases of a campaign in their order: the same for the same options, whoever judges them and however fast.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "harness/fuzz/case_judge.h"
#include "harness/fuzz/coverage.h"

namespace forgecheck {

struct TaskOptions {
  CaseSpace space;
  std::uint64_t seed = 0;
  std::uint64_t shard = 0, shards = 1;    // this part, from 0, of so many: another stream of seeds
  bool cover_only = false;                // nothing behind the covering set
  std::vector<std::string> saved;         // lines that come first
  const CoveringSet* covering = nullptr;  // that of this space and seed; null: it is made
};

class TaskSource {
 public:
  explicit TaskSource(const TaskOptions& options);
  /// Saved cases, then the set that covers all pairs, then drawn ones: of two, the one with more new triples of levels; small
  /// at first, later also medium and wide. Every twentieth is one that must be refused. None at the end.
  std::optional<FuzzTask> next();
  const Coverage& coverage() const { return coverage_; }
  std::size_t feasible_pairs() const { return feasible_pairs_; }

 private:
  Case draw();
  std::uint64_t next_seed() { return options_.seed + options_.shards * drawn_++ + options_.shard; }

  TaskOptions options_;
  std::deque<FuzzTask> first_;
  Coverage coverage_;
  std::size_t feasible_pairs_ = 0;
  std::uint64_t drawn_ = 0;
};

}  // namespace forgecheck
