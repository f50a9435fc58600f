#include "harness/cli/tap_pattern.h"

#include <algorithm>
#include <utility>

namespace forgecheck {

namespace {

/// Levenshtein distance of `name` from the nearest text that `pattern` matches. row[j] is that of the part of
/// the pattern read so far from the first j characters of the name; a * takes any number of them.
std::size_t distance(std::string_view pattern, std::string_view name) {
  std::vector<std::size_t> row(name.size() + 1);
  for (std::size_t j = 0; j <= name.size(); ++j) row[j] = j;
  for (const char c : pattern) {
    if (c == '*') {
      for (std::size_t j = 0; j < name.size(); ++j) row[j + 1] = std::min(row[j + 1], row[j]);
      continue;
    }
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < name.size(); ++j) {
      const std::size_t replaced = diagonal + (c == name[j] || c == '?' ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row[name.size()];
}

}  // namespace

std::vector<std::string> nearest_taps(std::string_view pattern, std::vector<std::string> names,
                                      std::size_t count) {
  const std::string anywhere = "*" + std::string(pattern) + "*";
  const auto far = [&](const std::string& name) {
    return std::pair(distance(anywhere, name), distance(pattern, name));
  };
  std::ranges::stable_sort(names, {}, far);
  names.resize(std::min(count, names.size()));
  return names;
}

}  // namespace forgecheck
