// Metamorphic checks: two runs of one backend that must agree whatever its architecture computes, so that no oracle is needed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/backend/problem.h"
#include "harness/fuzz/random_draws.h"

namespace forgecheck {

/// A problem whose logits are known from those of another.
struct Related {
  Problem problem;
  /// For each row of `tap`, the row of the plain problem's logits that it must equal; -1: none.
  std::vector<std::int64_t> equals;
  std::string tap = "logits";  // of the related run
};

/// What the related problem's tap must be, by the plain problem's; rows that equal none are left as they are.
Array expected_logits(const Related& related, const Array& plain);

struct Relation {
  std::string name;  // "batch rows permuted"
  /// Changes the plain problem, whose logits have this shape; none where the relation does not apply to it.
  std::optional<Related> (*make)(const Problem& plain, const Shape& logits, RandomDraws& draws);
};

/// All of them:
///   the same run again            nothing is left over from the run before
///   decode in chunks              a cache changes nothing
///   batch rows permuted           rows do not see each other
///   last token changed            no token sees a later one
///   another document changed      a document sees only itself
///   padding changed               padding is not seen
///   experts permuted              an expert is no more than its weights (in float32)
///   in pipeline stages            layers composed by hand are the model
/// Those about rows and tokens do not hold, and are not asked, where tokens compete for experts: with a capacity, where an
/// expert's load scales what it returns (moe_gradient_scale in training), and in MoMa.
const std::vector<Relation>& relations();

/// A forward run of the case that returns all logits and nothing else.
Case plain_case(const Case& value);

/// The problem as the relations want it: plain_case() of it, without labels.
Problem plain_problem(const Problem& problem);

}  // namespace forgecheck
