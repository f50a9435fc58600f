#include <algorithm>
#include <array>
#include <cstdio>

#include "harness/report/report.h"

namespace forgecheck {

namespace {

std::string format(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g", value);
  return text.data();
}

}  // namespace

std::vector<std::pair<Verdict, std::size_t>> count_verdicts(const std::vector<Result>& results) {
  std::map<Verdict, std::size_t> counts;
  for (const Result& result : results) ++counts[result.judgement.verdict];
  return {counts.begin(), counts.end()};
}

int exit_status(const Report& report) {
  const bool all = std::ranges::all_of(
      report.results, [](const Result& result) { return is_success(result.judgement.verdict); });
  return all ? 0 : 1;
}

void print_failure(std::ostream& out, const Result& result) {
  constexpr std::size_t kShown = 5;
  const auto& first = result.judgement.first_divergence;
  const std::string what = result.file.empty() ? result.case_line : result.file;
  out << to_string(result.judgement.verdict) << ": " << what << " on " << result.candidate << "\n";
  out << "  " << result.judgement.message << "\n";
  if (first) {
    out << "  first divergence: " << first->tap << " (local error " << format(first->local_error)
        << ", inherited " << format(first->inherited_error) << ", tolerance " << format(first->tolerance)
        << ")\n";
  }
  std::size_t shown = 0, broken = 0;
  for (const TapResult& tap : result.judgement.taps) {
    if (is_success(tap.verdict)) continue;
    if (++broken > kShown) continue;
    ++shown;
    out << "  " << tap.name << ": error " << format(tap.error) << ", tolerance " << format(tap.tolerance)
        << ", used " << format(tap.used) << "\n";
  }
  if (broken > shown) out << "  and " << broken - shown << " more taps\n";
  if (!result.repeat.empty()) out << "  repeat: " << result.repeat << "\n";
}

std::string summary_line(const Report& report) {
  std::string text;
  for (const auto& [verdict, count] : count_verdicts(report.results)) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + to_string(verdict);
  }
  return text.empty() ? "nothing was judged" : text;
}

}  // namespace forgecheck
