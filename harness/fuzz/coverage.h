// Which pairs and triples of levels (factors.h) the cases of a campaign have had together, and a small set of
// cases that has every pair.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "harness/fuzz/factors.h"
#include "harness/fuzz/fuzz_case.h"

namespace forgecheck {

/// Positions of two levels of different factors, the smaller first.
using LevelPair = std::pair<std::size_t, std::size_t>;

/// Every pair, feasible or not.
std::vector<LevelPair> all_pairs();

class Coverage {
 public:
  Coverage();
  /// `levels` in ascending order, as levels_of() gives them.
  std::size_t new_pairs(const std::vector<std::size_t>& levels) const;
  std::size_t new_triples(const std::vector<std::size_t>& levels) const;
  void add(const std::vector<std::size_t>& levels);
  bool has(LevelPair pair) const;
  std::size_t pairs() const { return pairs_; }
  std::size_t triples() const { return triples_; }

 private:
  std::vector<bool> seen_pairs_, seen_triples_;
  std::size_t pairs_ = 0, triples_ = 0;
};

/// What a campaign may draw from.
struct CaseSpace {
  Family family = Family::any;
  std::vector<Dtype> dtypes = {Dtype::f32, Dtype::bf16};
  CaseScale largest = CaseScale::wide;
};

struct CoveringSet {
  std::vector<Case> cases;
  std::size_t pairs = 0;                        // that they have
  std::map<LevelPair, std::string> infeasible;  // every other pair, and the rule that forbids it
};

/// Takes pair after pair that no case has yet; of several small cases that have it, the one with the most new
/// pairs. The same set for the same seed.
CoveringSet cover_pairs(const CaseSpace& space, std::uint64_t seed);

}  // namespace forgecheck
