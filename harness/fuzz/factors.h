// What a campaign must combine: each factor is a choice that a case makes, each level one of its answers. From
// this table the coverage of pairs is counted and missing pairs are made.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "harness/case/case.h"
#include "harness/fuzz/random_draws.h"

namespace forgecheck {

struct Level {
  std::string name;
  std::function<bool(const Case&)> is;
  /// Gives a case that has what it takes this level by changing a field or two; empty for levels that other
  /// fields hang on (the architecture, adapters): those have to be drawn.
  std::function<void(Case&, RandomDraws&)> make;
};

struct Factor {
  std::string name;
  std::string needs;  // in words: which cases have it; empty for all
  std::function<bool(const Case&)> applies;
  std::vector<Level> levels;  // a case that has the factor has one of them
};

const std::vector<Factor>& factors();

/// The number of levels of all factors: each has a position in 0 .. level_count() - 1.
std::size_t level_count();
const Factor& factor_at(std::size_t position);
const Level& level_at(std::size_t position);
/// "model.norm_type = rmsnorm".
std::string level_name(std::size_t position);

/// The positions of the levels that a case has, in the order of the factors.
std::vector<std::size_t> levels_of(const Case& value);

}  // namespace forgecheck
