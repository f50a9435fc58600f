#include "harness/report/report.h"

#include <algorithm>
#include <map>

namespace forgecheck {

std::vector<std::pair<Verdict, std::size_t>> count_verdicts(const std::vector<Result>& results) {
  std::map<Verdict, std::size_t> counts;
  for (const Result& result : results) ++counts[result.judgement.verdict];
  return {counts.begin(), counts.end()};
}

int exit_status(const Report& report) {
  const bool all = std::ranges::all_of(
      report.results, [](const Result& result) { return is_success(result.judgement.verdict); });
  return all && !report.results.empty() ? 0 : 1;
}

std::string summary_line(const Report& report) {
  std::string text;
  for (const auto& [verdict, count] : count_verdicts(report.results)) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + to_string(verdict);
  }
  return text.empty() ? "nothing was judged" : text;
}

}  // namespace forgecheck
