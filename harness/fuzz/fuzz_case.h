// The cases of a fuzzing campaign: random_case with every field that changes a result, sizes at the edges of
// tiles, and in a given share cases that must be refused.
#pragma once

#include <optional>
#include <string>

#include "harness/case/case.h"
#include "harness/fuzz/random_case.h"
#include "harness/fuzz/random_draws.h"

namespace forgecheck {

/// How much work a case may be: small ones are judged in about a millisecond, wide ones reach sizes past 128.
enum class CaseScale { small, medium, wide };

/// Scales of embeddings and features: in the range of denormals, with squares in that range, and below the eps of norms, where all
/// scores of a router are close; or none at all, of images beside a text.
double tiny_scale(const Case& value, RandomDraws& draws);
/// The squares of the last are almost past float32.
inline constexpr double kLargeScales[] = {1e3, 1e15};

/// The case of that seed, always the same one. It is valid, and its inputs can be made.
Case fuzz_case(std::uint64_t seed, Family family, CaseScale scale);

/// Whether validate() and make_inputs() take the case; else why not.
std::optional<std::string> refusal_of(const Case& value);

/// Whether it has no option that the family lacks.
bool is_of(Family family, const Case& value);

/// A line that is no valid case, and what its error must name.
struct InvalidCase {
  std::string line;
  std::string field;  // "n_heads"
  std::string value;  // as the message quotes it
};

/// A valid case with one number of its configuration set to a value that no rule allows: below its range, not
/// finite, or past every size.
InvalidCase invalid_case(std::uint64_t seed, Family family);

}  // namespace forgecheck
