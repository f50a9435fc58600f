#include <algorithm>
#include <compare>
#include <set>
#include <tuple>

#include "harness/report/report.h"
#include "harness/report/text.h"

namespace forgecheck {

namespace {

struct Entry {
  const Result* result;
  const std::string* report;
};

/// The same comparison has the same key.
auto key(const Result& result) {
  return std::tie(result.file, result.case_line, result.candidate, result.oracle);
}

/// By key and verdict; of equals the one that used most of its tolerance first.
bool before(const Entry& a, const Entry& b) {
  const Result &x = *a.result, &y = *b.result;
  if (const auto order = key(x) <=> key(y); order != 0) return order < 0;
  if (x.judgement.verdict != y.judgement.verdict) return x.judgement.verdict < y.judgement.verdict;
  const auto order = std::strong_order(y.judgement.used, x.judgement.used);
  return order != 0 ? order < 0 : *a.report < *b.report;
}

}  // namespace

MergedReport merge_reports(const std::vector<NamedReport>& reports) {
  std::vector<Entry> entries;
  for (const NamedReport& named : reports) {
    for (const Result& result : named.report.results) entries.push_back({&result, &named.name});
  }
  std::ranges::stable_sort(entries, before);

  MergedReport merged;
  const auto same_comparison = [](const Entry& a, const Entry& b) {
    return key(*a.result) == key(*b.result);
  };
  for (std::size_t i = 0, next = 0; i < entries.size(); i = next) {
    std::string verdicts;
    std::size_t kept = 0;
    for (next = i; next < entries.size() && same_comparison(entries[i], entries[next]); ++next) {
      const Verdict verdict = entries[next].result->judgement.verdict;
      if (next > i && verdict == entries[next - 1].result->judgement.verdict) {
        ++merged.repeated;
        continue;
      }
      ++kept;
      merged.report.results.push_back(*entries[next].result);
      verdicts += (verdicts.empty() ? "" : ", ") + to_string(verdict) + " in " + *entries[next].report;
    }
    const Result& first = *entries[i].result;
    if (kept > 1) merged.conflicts.push_back(comparison(first) + ": " + verdicts);
  }
  return merged;
}

}  // namespace forgecheck
