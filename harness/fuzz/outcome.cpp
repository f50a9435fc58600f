#include "harness/fuzz/outcome.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/error.h"

namespace forgecheck {

namespace {

/// Digits as one '#', so that sizes, values and positions do not tell causes apart; the first line only.
std::string without_numbers(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') break;
    const bool digit = c >= '0' && c <= '9';
    if (!digit) result += c;
    if (digit && (result.empty() || result.back() != '#')) result += '#';
  }
  return result;
}

Verdict read_verdict(const JsonValue& value) {
  std::vector<std::string> names;
  for (const Verdict verdict : kVerdicts) names.push_back(to_string(verdict));
  const std::string name = value.text_among(names);
  return *std::ranges::find(kVerdicts, name, [](Verdict verdict) { return to_string(verdict); });
}

}  // namespace

bool is_finding(const FuzzOutcome& outcome) {
  switch (outcome.verdict) {
    case Verdict::match:
    case Verdict::undecided:
    case Verdict::unsupported:
      return false;
    case Verdict::rejected:
      return !outcome.candidate.starts_with("exec:") && !outcome.candidate.starts_with("plugin:");
    case Verdict::mismatch:
    case Verdict::untrusted:
    case Verdict::crashed:
      return true;
  }
  throw_not_an_enumerator("verdict", outcome.verdict);
}

std::string cause_of(const FuzzOutcome& outcome) {
  const std::string start = fmt::format("{}: {}", outcome.candidate, to_string(outcome.verdict));
  switch (outcome.verdict) {
    case Verdict::match:
    case Verdict::undecided:
      return start;
    case Verdict::mismatch:
    case Verdict::untrusted:
      if (outcome.family.empty()) return fmt::format("{}: {}", start, without_numbers(outcome.message));
      return fmt::format("{} at {}{}{}", start, outcome.family, outcome.hint.empty() ? "" : ": ",
                         without_numbers(outcome.hint));
    case Verdict::rejected:
    case Verdict::crashed:
    case Verdict::unsupported:
      return fmt::format("{}: {}", start, without_numbers(outcome.message));
  }
  throw_not_an_enumerator("verdict", outcome.verdict);
}

nlohmann::json to_json(const FuzzOutcome& outcome) {
  nlohmann::json json = {{"candidate", outcome.candidate},
                         {"verdict", to_string(outcome.verdict)},
                         {"used", std::isfinite(outcome.used) ? nlohmann::json(outcome.used) : nullptr}};
  if (!outcome.message.empty()) json["message"] = outcome.message;
  if (!outcome.tap.empty()) json["tap"] = outcome.tap;
  if (!outcome.family.empty()) json["family"] = outcome.family;
  if (!outcome.hint.empty()) json["hint"] = outcome.hint;
  return json;
}

FuzzOutcome read_outcome(const JsonValue& value) {
  value.require_keys({"candidate", "verdict", "used", "message", "tap", "family", "hint"});
  const auto text = [&](const char* key) {
    const auto found = value.find(key);
    return found ? found->text() : "";
  };
  FuzzOutcome outcome;
  outcome.candidate = value.at("candidate").text();
  outcome.verdict = read_verdict(value.at("verdict"));
  const JsonValue used = value.at("used");
  outcome.used = used.is_null() ? HUGE_VAL : used.number();
  outcome.message = text("message");
  outcome.tap = text("tap");
  outcome.family = text("family");
  outcome.hint = text("hint");
  return outcome;
}

}  // namespace forgecheck
