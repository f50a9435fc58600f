#include "harness/fuzz/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace forgecheck {

namespace {

/// So many drawn cases are tried for a pair before it is called infeasible: the rarest pair that is feasible
/// is found in one of a few hundred.
constexpr std::uint64_t kDrawnCases = 4000;
/// And so many are refused before.
constexpr int kRefusals = 200;
/// Of so many cases that have a pair, the one with the most new pairs is taken.
constexpr std::size_t kCasesOfAPair = 16;

/// The rule of an error message, without the values of the case: "must divide dim = N".
std::string rule_in(const std::string& message) {
  std::string rule;
  for (const char c : message) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) rule += c;
    if (digit && (rule.empty() || rule.back() != 'N')) rule += 'N';
  }
  return rule;
}

/// Why no case has both, where none could be tried.
std::string unmet_needs(LevelPair pair) {
  const std::string& a = factor_at(pair.first).needs;
  const std::string& b = factor_at(pair.second).needs;
  if (a.empty() && b.empty()) return "they exclude each other";
  if (a.empty() || b.empty() || a == b) return fmt::format("needs {}", a.empty() ? b : a);
  return fmt::format("needs {} and {}", a, b);
}

/// Small drawn cases, changed to have pairs that are wanted.
class PairMaker {
 public:
  PairMaker(const CaseSpace& space, std::uint64_t seed) : space_(space), draws_("cover_pairs", seed) {
    for (std::uint64_t i = 0; i < kDrawnCases; ++i) {
      pool_.push_back(fuzz_case(seed + i, space.family, CaseScale::small));
      pool_.back().dtype = draws_.one_of(space.dtypes);
    }
  }

  struct Made {
    std::vector<Case> cases;
    std::string rule;  // where there is none
  };
  /// Up to kCasesOfAPair cases with the pair.
  Made make(LevelPair pair) {
    Made made;
    std::map<std::string, int> rules;
    int refused = 0;
    for (std::size_t i = 0; i < pool_.size() && made.cases.size() < kCasesOfAPair && refused < kRefusals;
         ++i) {
      std::optional<Case> value = changed(pair, pool_[(next_ + i) % pool_.size()]);
      if (!value) continue;
      if (const std::string refusal = refusal_in_space(*value); !refusal.empty()) {
        ++refused;
        ++rules[rule_in(refusal)];
      } else if (has(*value, pair.first) && has(*value, pair.second)) {
        made.cases.push_back(*std::move(value));
      }
    }
    next_ += kCasesOfAPair;  // not always the same cases first
    const auto most = std::ranges::max_element(rules, {}, [](const auto& rule) { return rule.second; });
    made.rule = rules.empty() ? unmet_needs(pair) : most->first;
    return made;
  }

 private:
  static bool has(const Case& value, std::size_t level) {
    return factor_at(level).applies(value) && level_at(level).is(value);
  }
  /// Why the case is none that may be drawn; empty if it is one.
  std::string refusal_in_space(const Case& value) const {
    if (std::ranges::find(space_.dtypes, value.dtype) == space_.dtypes.end())
      return "not among the types asked for";
    if (!is_of(space_.family, value)) return "not an option of this family";
    return refusal_of(value).value_or("");
  }
  /// None where the case has not what the levels need.
  std::optional<Case> changed(LevelPair pair, const Case& drawn) {
    for (const std::size_t level : {pair.first, pair.second}) {
      if (!factor_at(level).applies(drawn)) return std::nullopt;
      if (!level_at(level).make && !level_at(level).is(drawn)) return std::nullopt;
    }
    Case value = drawn;
    for (const std::size_t level : {pair.first, pair.second}) {
      if (!factor_at(level).applies(value))
        return std::nullopt;  // the first one took away what the second needs
      if (level_at(level).is(value)) continue;
      if (!level_at(level).make) return std::nullopt;
      level_at(level).make(value, draws_);
    }
    return value;
  }

  const CaseSpace& space_;
  RandomDraws draws_;
  std::vector<Case> pool_;
  std::size_t next_ = 0;
};

std::size_t position(std::size_t a, std::size_t b) {
  return a * level_count() + b;
}
std::size_t position(std::size_t a, std::size_t b, std::size_t c) {
  return position(a, b) * level_count() + c;
}

/// Calls visit(position) for every pair, or every triple.
template <class Visitor>
void visit_pairs(const std::vector<std::size_t>& levels, const Visitor& visit) {
  for (std::size_t i = 0; i < levels.size(); ++i) {
    for (std::size_t j = i + 1; j < levels.size(); ++j) visit(position(levels[i], levels[j]));
  }
}
template <class Visitor>
void visit_triples(const std::vector<std::size_t>& levels, const Visitor& visit) {
  for (std::size_t i = 0; i < levels.size(); ++i) {
    for (std::size_t j = i + 1; j < levels.size(); ++j) {
      for (std::size_t k = j + 1; k < levels.size(); ++k) visit(position(levels[i], levels[j], levels[k]));
    }
  }
}

}  // namespace

std::vector<LevelPair> all_pairs() {
  std::vector<LevelPair> pairs;
  for (std::size_t i = 0; i < level_count(); ++i) {
    for (std::size_t j = i + 1; j < level_count(); ++j) {
      if (&factor_at(i) != &factor_at(j)) pairs.emplace_back(i, j);
    }
  }
  return pairs;
}

Coverage::Coverage()
    : seen_pairs_(level_count() * level_count(), false),
      seen_triples_(level_count() * level_count() * level_count(), false) {}

bool Coverage::has(LevelPair pair) const {
  return seen_pairs_[position(pair.first, pair.second)];
}

std::size_t Coverage::new_pairs(const std::vector<std::size_t>& levels) const {
  std::size_t count = 0;
  visit_pairs(levels, [&](std::size_t at) { count += seen_pairs_[at] ? 0 : 1; });
  return count;
}

std::size_t Coverage::new_triples(const std::vector<std::size_t>& levels) const {
  std::size_t count = 0;
  visit_triples(levels, [&](std::size_t at) { count += seen_triples_[at] ? 0 : 1; });
  return count;
}

void Coverage::add(const std::vector<std::size_t>& levels) {
  pairs_ += new_pairs(levels);
  triples_ += new_triples(levels);
  visit_pairs(levels, [&](std::size_t at) { seen_pairs_[at] = true; });
  visit_triples(levels, [&](std::size_t at) { seen_triples_[at] = true; });
}

CoveringSet cover_pairs(const CaseSpace& space, std::uint64_t seed) {
  CoveringSet set;
  Coverage coverage;
  PairMaker maker(space, seed);
  for (const LevelPair& pair : all_pairs()) {
    if (coverage.has(pair)) continue;
    PairMaker::Made made = maker.make(pair);
    if (made.cases.empty()) {
      set.infeasible.emplace(pair, made.rule);
      continue;
    }
    const auto best = std::ranges::max_element(
        made.cases, {}, [&](const Case& value) { return coverage.new_pairs(levels_of(value)); });
    coverage.add(levels_of(*best));
    set.cases.push_back(std::move(*best));
  }
  set.pairs = coverage.pairs();
  return set;
}

}  // namespace forgecheck
