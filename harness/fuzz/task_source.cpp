#include "harness/fuzz/task_source.h"

#include <algorithm>

namespace forgecheck {

namespace {

// Of the seeds; two make one case.
constexpr std::uint64_t kInvalidEvery = 40;
/// The covering set takes the seeds below.
constexpr std::uint64_t kDrawnSeeds = 1000000;
/// So many drawn cases are small; behind them one in eight is medium, one in forty wide.
constexpr std::uint64_t kSmallFirst = 500;

CaseScale scale_at(std::uint64_t seed, std::uint64_t drawn) {
  if (drawn < kSmallFirst) return CaseScale::small;
  RandomDraws draws("scale", seed);
  if (draws.one_in(40)) return CaseScale::wide;
  return draws.one_in(8) ? CaseScale::medium : CaseScale::small;
}

}  // namespace

TaskSource::TaskSource(const TaskOptions& options) : options_(options) {
  for (const std::string& line : options.saved) first_.push_back({line, std::nullopt});
  const CoveringSet set =
      options.covering != nullptr ? *options.covering : cover_pairs(options.space, options.seed);
  feasible_pairs_ = set.pairs;
  for (std::size_t i = options.shard; i < set.cases.size(); i += options.shards) {
    coverage_.add(levels_of(set.cases[i]));
    first_.push_back({case_text(set.cases[i]), std::nullopt});
  }
}

Case TaskSource::draw() {
  const auto one = [&] {
    const std::uint64_t seed = next_seed();
    Case value = fuzz_case(kDrawnSeeds + seed, options_.space.family,
                           std::min(scale_at(seed, drawn_), options_.space.largest));
    value.dtype = RandomDraws("dtype", seed).one_of(options_.space.dtypes);
    return value;
  };
  Case a = one(), b = one();
  const auto levels_a = levels_of(a), levels_b = levels_of(b);
  const bool first = coverage_.new_triples(levels_a) >= coverage_.new_triples(levels_b);
  coverage_.add(first ? levels_a : levels_b);
  return first ? a : b;
}

std::optional<FuzzTask> TaskSource::next() {
  if (!first_.empty()) {
    FuzzTask task = std::move(first_.front());
    first_.pop_front();
    return task;
  }
  if (options_.cover_only) return std::nullopt;
  if (drawn_ % kInvalidEvery == kInvalidEvery - 2) {
    InvalidCase refused = invalid_case(next_seed(), options_.space.family);
    (void)next_seed();  // as many as for a drawn case
    return FuzzTask{refused.line, std::move(refused)};
  }
  return FuzzTask{case_text(draw()), std::nullopt};
}

}  // namespace forgecheck
