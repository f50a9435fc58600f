// What one backend made of one case, as a campaign keeps it: small enough for a hundred thousand, and sent as
// JSON between the campaign and the processes that judge for it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "harness/io/strict_json.h"
#include "harness/verdict/verdict.h"

namespace forgecheck {

struct FuzzOutcome {
  std::string candidate{};
  Verdict verdict = Verdict::match;
  double used = 0.0;      // the largest share of a tolerance; infinite where none can help
  std::string message{};  // empty for a match
  std::string tap{};      // the first wrong one, in a mismatch
  std::string family{};   // its kind: tap_family()
  std::string hint{};     // what the mistake looks like, where that is known

  bool operator==(const FuzzOutcome&) const = default;
};

/// Whether it is a finding: wrong, untrusted, crashed, or refused though the case is valid. A program or a plugin may refuse
/// what it does not have.
bool is_finding(const FuzzOutcome& outcome);

/// What failures of one cause have in common: candidate, verdict, kind of tap and hint without its numbers; of
/// a crash or a refusal the message without its numbers.
std::string cause_of(const FuzzOutcome& outcome);

nlohmann::json to_json(const FuzzOutcome& outcome);
/// Throws FormatError.
FuzzOutcome read_outcome(const JsonValue& value);

}  // namespace forgecheck
