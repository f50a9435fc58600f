#include "harness/case/nearest_name.h"

#include <algorithm>
#include <numeric>

namespace forgecheck {
namespace {

/// Characters put in, left out or replaced, and neighbours swapped (optimal string alignment): at[i][j] is
/// the distance of the first i characters of `a` from the first j of `b`.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> at(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  std::iota(at[0].begin(), at[0].end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    at[i][0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = at[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      at[i][j] = std::min({replaced, at[i][j - 1] + 1, at[i - 1][j] + 1});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) at[i][j] = std::min(at[i][j], at[i - 2][j - 2] + 1);
    }
  }
  return at[a.size()][b.size()];
}

}  // namespace

std::string nearest_name(std::string_view given, const std::vector<std::string>& names) {
  std::size_t smallest = 1 + std::max<std::size_t>(1, given.size() / 3);
  std::string nearest;
  for (const std::string& name : names) {
    const std::size_t distance = edit_distance(given, name);
    if (distance >= smallest) continue;
    smallest = distance;
    nearest = name;
  }
  return nearest;
}

}  // namespace forgecheck
